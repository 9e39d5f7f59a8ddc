// SPDX-License-Identifier: Apache-2.0
#include "tests/peers/layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "backends/graph/int_shape.h"
#include "backends/lower/lower.h"

namespace facsim::test {

namespace {

using backends::Activation;
using quant::QParams;

/// An IntGraph under construction.
struct OneNode {
  backends::IntGraph graph;

  int add(backends::IntTensor tensor) {
    graph.tensors.push_back(std::move(tensor));
    return static_cast<int>(graph.tensors.size()) - 1;
  }
};

Shape with_batch_one(const Shape& shape) {
  std::vector<int64_t> extents = shape.extents();
  if (!extents.empty()) extents[0] = 1;
  return Shape(extents);
}

QParams bias_qparams(const Layer& layer) {
  QParams qparams;
  qparams.type = sim::kInt32;
  qparams.quant_min = sim::kInt32.min();
  qparams.quant_max = sim::kInt32.max();
  qparams.scale.clear();
  for (const float scale : layer.weight.scale) {
    qparams.scale.push_back(layer.qparams[0].scale.front() * scale);
  }
  qparams.zero_point.assign(qparams.scale.size(), 0);
  qparams.channel_axis = qparams.scale.size() > 1 ? 0 : -1;
  return qparams;
}

backends::IntGraph graph_of(const Layer& layer) {
  OneNode net;
  net.graph.name = "layer";
  backends::IntNode node;
  node.name = node.op = layer.op;
  node.attributes = layer.attributes;
  for (size_t i = 0; i < layer.inputs.size(); ++i) {
    const Tensor& x = layer.inputs[i];
    std::optional<QParams> qparams;
    if (x.dtype() != DType::float32) qparams = layer.qparams[i];
    node.inputs.push_back(net.add(
        {fmt::format("x{}", i), x.dtype(), with_batch_one(x.shape()), std::move(qparams), {}}));
    net.graph.inputs.push_back(node.inputs.back());
  }
  if (!layer.weights.empty()) {
    node.inputs.push_back(
        net.add({"w", layer.weights.dtype(), layer.weights.shape(), layer.weight, layer.weights}));
  }
  if (!layer.bias.empty()) {
    std::optional<QParams> qparams;
    if (layer.bias.dtype() != DType::float32) qparams = bias_qparams(layer);
    node.inputs.push_back(
        net.add({"b", layer.bias.dtype(), layer.bias.shape(), std::move(qparams), layer.bias}));
  }
  const bool real = layer.op == "dequantize";
  backends::IntTensor y{"y", real ? DType::float32 : layer.output.type.storage(), {}, {}, {}};
  if (!real) y.qparams = layer.output;
  y.shape = backends::int_output_shape(net.graph, node);
  node.output = net.add(std::move(y));
  net.graph.outputs = {node.output};
  net.graph.nodes = {std::move(node)};
  return std::move(net.graph);
}

}  // namespace

float Layer::weight_scale(int64_t channel) const {
  return weight.scale[weight.scale.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

std::string Layer::text() const {
  std::string out = op;
  for (size_t i = 0; i < inputs.size(); ++i) {
    out += fmt::format(" x{} {} {}", i, to_string(inputs[i].dtype()), to_string(inputs[i].shape()));
    if (i < qparams.size()) {
      out += fmt::format(" s {} z {}", qparams[i].scale.front(), qparams[i].zero_point.front());
    }
  }
  if (!weights.empty()) {
    out += fmt::format(" w {} {} s {}{} z {}", to_string(weights.dtype()),
                       to_string(weights.shape()), weight.scale.front(),
                       weight.scale.size() > 1 ? " per channel" : "", weight.zero_point.front());
  }
  if (op == "conv2d" || op == "max_pool2d" || op == "avg_pool2d") {
    const sim::Window2d& w = attributes.window;
    out += fmt::format(" kernel {} {} groups {} stride {} {} dilation {} {} padding {} {} {} {}",
                       w.kernel[0], w.kernel[1], attributes.groups, w.stride[0], w.stride[1],
                       w.dilation[0], w.dilation[1], w.padding.top, w.padding.left,
                       w.padding.bottom, w.padding.right);
  }
  if (!bias.empty()) out += " bias " + std::string(to_string(bias.dtype()));
  out +=
      fmt::format(" y s {} z {} clamp {}..{} {}", output.scale.front(), output.zero_point.front(),
                  output.quant_min, output.quant_max, to_string(attributes.activation));
  return out;
}

std::array<int64_t, 2> clamp_codes(const Layer& layer) {
  const QParams& y = layer.output;
  const auto code_of = [&](float bound) {
    const auto steps = static_cast<double>(std::nearbyint(bound / y.scale.front()));
    return static_cast<int64_t>(std::clamp(static_cast<double>(y.zero_point.front()) + steps,
                                           static_cast<double>(y.quant_min),
                                           static_cast<double>(y.quant_max)));
  };
  switch (layer.attributes.activation) {
    case Activation::relu:
      return {code_of(0), y.quant_max};
    case Activation::relu6:
      return {code_of(0), code_of(6)};
    case Activation::relu_n1_to_1:
      return {code_of(-1), code_of(1)};
    case Activation::none:
      break;
  }
  return {y.quant_min, y.quant_max};
}

Tensor simulate(const Layer& layer, const backends::Profile& profile, sim::Isa isa) {
  const sim::Graph graph = backends::lower(graph_of(layer), profile);
  const sim::Op& op = *graph.nodes.front().op;
  std::vector<Shape> shapes;
  std::vector<const Tensor*> inputs;
  for (const Tensor& x : layer.inputs) {
    shapes.push_back(x.shape());
    inputs.push_back(&x);
  }
  Tensor output(op.output_dtype(), op.output_shape(shapes));
  op.run(inputs, output, {isa, nullptr, false});
  return output;
}

}  // namespace facsim::test
