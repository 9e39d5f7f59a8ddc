// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/concat.h"

#include "fused/concat_channels.h"

namespace facsim::fused::nn {

Value Concat::forward(std::span<const Value> inputs, const Context& context) {
  std::vector<Tensor> parts;
  for (const Value& input : inputs) parts.push_back(input.real());
  Tensor y = concat_channels(parts, context.pool);
  channels_.clear();
  for (const Tensor& part : parts) channels_.push_back(part.shape()[part.shape().rank() - 1]);
  return Value(std::move(y));
}

std::vector<Tensor> Concat::backward(const Tensor& dy, const Context& context,
                                     bool needs_input_gradient) {
  if (!needs_input_gradient) return std::vector<Tensor>(channels_.size());
  return split_channels(dy, channels_, context.pool);
}

}  // namespace facsim::fused::nn
