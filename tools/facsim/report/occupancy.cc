// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/report/occupancy.h"

#include <algorithm>

#include "backends/parity/element.h"
#include "sim/ops/linear.h"

namespace facsim::cli {

namespace {

/// The node as a convolution; null if it has no accumulator.
const sim::Conv2d* as_conv2d(const sim::Op& op) {
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) return &linear->conv();
  return dynamic_cast<const sim::Conv2d*>(&op);
}

/// A linear layer sees its input as [N, 1, 1, I].
Tensor as_images(const Tensor& codes, const sim::Op& op) {
  if (op.kind() != "linear") return codes;
  const int64_t n = codes.shape()[0];
  return codes.reshaped(Shape{n, 1, 1, n == 0 ? 0 : codes.numel() / n});
}

void measure(const sim::Conv2d& conv, const Tensor& input, LayerOccupancy& layer) {
  const Shape shape = conv.output_shape(std::vector<Shape>{input.shape()});
  const DType dtype = conv.params().accumulator.bits > 32 ? DType::int64 : DType::int32;
  Tensor accumulators = Tensor::uninitialized(dtype, shape);
  layer.overflows =
      sim::conv2d_accumulate(conv.params(), input, accumulators, {.count_events = true})
          .accumulator_overflow;
  for (int64_t i = 0; i < accumulators.numel(); ++i) {
    layer.observed = std::max(layer.observed, backends::signed_bits(accumulators.int_at(i)));
  }
}

}  // namespace

std::vector<LayerOccupancy> accumulator_occupancy(const sim::Graph& graph,
                                                  const backends::NamedTensors& activations,
                                                  int64_t images) {
  std::vector<LayerOccupancy> layers;
  for (const sim::Graph::Node& node : graph.nodes) {
    const sim::Conv2d* conv = as_conv2d(*node.op);
    if (conv == nullptr) continue;
    const std::string& input = graph.tensors[static_cast<size_t>(node.inputs[0])].name;
    const Tensor& codes = backends::member(activations, input, "activations");
    LayerOccupancy layer{.name = node.name,
                         .op = std::string(node.op->kind()),
                         .available = conv->params().accumulator.bits};
    const int64_t channels = conv->params().weights.shape()[0];
    for (int64_t oc = 0; oc < channels; ++oc) {
      layer.worst_case =
          std::max(layer.worst_case, backends::signed_bits(conv->accumulator_bound(oc)));
    }
    measure(*conv, as_images(codes.slice(0, std::min(images, codes.shape()[0])), *node.op), layer);
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace facsim::cli
