// SPDX-License-Identifier: Apache-2.0
#include "fused/linear_op.h"

namespace facsim::fused {

kernels::BackwardPass kernel_pass(const kernels::Conv2dShape& shape, const kernels::Activations& x,
                                  const LinearBackward& pass) {
  kernels::BackwardPass out;
  out.shape = shape;
  out.x = x;
  out.dz = pass.dz;
  out.w = pass.w.data<float>();
  out.dw = pass.dw.data<float>();
  if (pass.weights && kernels::can_run_in_bf16(shape, x, *pass.weights)) out.weights = pass.weights;
  return out;
}

kernels::Activations activations_of(const Value& x) {
  if (x.quantized() && x.qparams().scale.size() == 1 && x.qparams().type.bits <= 16) {
    return {.data = x.codes().raw(),
            .type = x.codes().dtype(),
            .zero_point = static_cast<int32_t>(x.qparams().zero_point.front()),
            .scale = x.qparams().scale.front()};
  }
  return {.data = x.real().raw()};
}

}  // namespace facsim::fused
