// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "backends/graph/int_shape.h"
#include "backends/parity/vectors_gen_build-internal.h"

namespace facsim::backends::detail {

namespace {

Shape batch_of_one(const Shape& shape) {
  std::vector<int64_t> extents = shape.extents();
  extents[0] = 1;
  return Shape(extents);
}

int add_tensor(IntGraph& graph, IntTensor tensor) {
  graph.tensors.push_back(std::move(tensor));
  return static_cast<int>(graph.tensors.size()) - 1;
}

}  // namespace

void add_input(VectorLayer& layer, std::string name, Tensor x,
               std::optional<quant::QParams> qparams) {
  IntGraph& graph = layer.graph;
  const int number = add_tensor(
      graph, {std::move(name), x.dtype(), batch_of_one(x.shape()), std::move(qparams), {}});
  graph.inputs.push_back(number);
  graph.nodes.front().inputs.push_back(number);
  layer.inputs.push_back(std::move(x));
}

void add_constant(VectorLayer& layer, std::string name, const Tensor& data,
                  std::optional<quant::QParams> qparams) {
  IntGraph& graph = layer.graph;
  graph.nodes.front().inputs.push_back(
      add_tensor(graph, {std::move(name), data.dtype(), data.shape(), std::move(qparams), data}));
}

void add_output(VectorLayer& layer, DType dtype, std::optional<quant::QParams> qparams) {
  IntGraph& graph = layer.graph;
  IntTensor y{"output", dtype, {}, std::move(qparams), {}};
  y.shape = int_output_shape(graph, graph.nodes.front());
  graph.nodes.front().output = add_tensor(graph, std::move(y));
  graph.outputs = {graph.nodes.front().output};
}

VectorLayer empty_layer(const VectorTarget& target) {
  VectorLayer layer;
  layer.graph.name = target.op;
  layer.graph.profile = target.profile.name;
  layer.graph.profile_fingerprint = target.profile.fingerprint;
  IntNode node;
  node.name = node.op = target.op;
  layer.graph.nodes.push_back(std::move(node));
  return layer;
}

float legal_scale(const VectorTarget& target, float scale) {
  if (target.rules.activation.scale == quant::TensorSpec::Scale::any) return scale;
  return std::ldexp(1.0f, std::ilogb(scale));
}

quant::QParams activation_qparams(const VectorTarget& target, VectorDice& dice, sim::IntType type,
                                  float scale, VectorStrategy strategy) {
  quant::QParams q;
  q.type = type;
  q.quant_min = type.min();
  q.quant_max = type.max();
  q.scale = {legal_scale(target, scale)};
  const int64_t middle = type.is_signed ? 0 : (type.max() + 1) / 2;
  int64_t zero_point = dice.pick<int64_t>({middle, dice.between(type.min(), type.max())});
  if (strategy == VectorStrategy::edges) zero_point = dice.pick({type.min(), type.max(), middle});
  if (target.rules.activation.zero_point == quant::TensorSpec::ZeroPoint::zero) zero_point = 0;
  if (target.rules.activation.zero_point == quant::TensorSpec::ZeroPoint::middle)
    zero_point = middle;
  q.zero_point = {zero_point};
  return q;
}

Tensor codes_of(VectorDice& dice, sim::IntType type, const Shape& shape, VectorStrategy strategy) {
  Tensor codes(type.storage(), shape);
  const bool ends = strategy == VectorStrategy::edges || strategy == VectorStrategy::overflow;
  for (int64_t i = 0; i < codes.numel(); ++i) {
    int64_t code = dice.between(type.min(), type.max());
    if (ends && !dice.one_in(3)) code = dice.pick({type.min(), type.max()});
    codes.set_int(i, code);
  }
  return codes;
}

void TapSolver::solve(const std::vector<int64_t>& places, const std::vector<int64_t>& weights,
                      int64_t sum) {
  const int64_t zero_point = input_.zero_point.front();
  const int64_t low = input_.type.min() - zero_point, high = input_.type.max() - zero_point;
  for (size_t i = places.size(); i-- > 0;) {
    int64_t value = 0;
    if (weights[i] != 0) {
      // Toward zero: what is left keeps its sign, and the first tap, of weight 1, adds it.
      value = std::clamp(sum / weights[i], low, high);
      sum -= value * weights[i];
    }
    x_.set_int(places[i], zero_point + value);
  }
}

}  // namespace facsim::backends::detail
