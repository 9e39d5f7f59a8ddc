// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/add.h"

#include "fused/elementwise.h"
#include "sim/core/error.h"

namespace facsim::fused::nn {

Value Add::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{2});
  if (!(inputs[0].shape() == inputs[1].shape())) {
    throw Error({ErrorCode::shape_mismatch, "Add", to_string(inputs[1].shape()),
                 to_string(inputs[0].shape()), ""});
  }
  return Value(sum(inputs[0].real(), inputs[1].real(), context.pool));
}

std::vector<Tensor> Add::backward(const Tensor& dy, const Context& /*context*/,
                                  bool needs_input_gradient) {
  if (!needs_input_gradient) return {Tensor(), Tensor()};
  return {dy, dy};
}

}  // namespace facsim::fused::nn
