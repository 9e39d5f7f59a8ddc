// SPDX-License-Identifier: Apache-2.0
#include "fused/linear_parts.h"

#include <cmath>

namespace facsim::fused {

namespace {

Parameter zeros(std::string name, const Shape& shape) {
  return {std::move(name), Tensor(DType::float32, shape), Tensor(DType::float32, shape)};
}

Parameter copy(const Parameter& p) { return {p.name, p.value.clone(), p.grad.clone()}; }

}  // namespace

LinearParts::LinearParts(std::shared_ptr<const LinearOp> linear_op, Bias with_bias)
    : op(std::move(linear_op)), weight(zeros("weight", op->weight_shape())) {
  if (with_bias == Bias::present) bias = zeros("bias", {op->out_channels()});
}

LinearParts LinearParts::clone() const {
  LinearParts out(op, bias ? Bias::present : Bias::absent);
  out.weight = copy(weight);
  if (bias) out.bias = copy(*bias);
  if (bn) out.bn = bn->clone("bn.");
  out.adds = adds;
  out.activation = activation;
  return out;
}

std::vector<Parameter*> LinearParts::parameters() {
  std::vector<Parameter*> out{&weight};
  if (bias) out.push_back(&*bias);
  if (bn) {
    for (Parameter* p : bn->parameters()) out.push_back(p);
  }
  return out;
}

std::vector<Buffer*> LinearParts::buffers() { return bn ? bn->buffers() : std::vector<Buffer*>{}; }

void LinearParts::reset(Random& random) {
  const float bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(op->fan_in())));
  for (float& w : weight.value.values<float>()) w = random.uniform(-bound, bound);
  if (!bias) return;
  for (float& b : bias->value.values<float>()) b = random.uniform(-bound, bound);
}

}  // namespace facsim::fused
