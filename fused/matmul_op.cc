// SPDX-License-Identifier: Apache-2.0
#include "fused/matmul_op.h"

#include "fused/kernels/conv2d_backward.h"
#include "sim/core/error.h"

namespace facsim::fused {

MatmulOp::MatmulOp(int64_t in_features, int64_t out_features)
    : in_(in_features), out_(out_features) {
  if (in_ < 1 || out_ < 1 || in_ > (int64_t{1} << 28) || out_ > (int64_t{1} << 28)) {
    throw Error({ErrorCode::bad_value, "Linear",
                 std::to_string(in_) + " in_features, " + std::to_string(out_) + " out_features",
                 "1..2^28", ""});
  }
}

Shape MatmulOp::output_shape(const Shape& input) const {
  if (input.rank() >= 2 && input[input.rank() - 1] == in_) {
    Shape out = input;
    out[input.rank() - 1] = out_;
    return out;
  }
  if (input.rank() >= 2 && input[0] > 0 && input.numel() / input[0] == in_) return {input[0], out_};
  throw Error({ErrorCode::shape_mismatch, "Linear input", to_string(input),
               std::to_string(in_) + " features", ""});
}

Tensor MatmulOp::forward(const Tensor& x, const Tensor& w, sim::ThreadPool* pool) const {
  Tensor z = Tensor::uninitialized(DType::float32, output_shape(x.shape()));
  kernels::conv2d_forward(kernels::linear_shape(x.numel() / in_, in_, out_), x.data<float>(),
                          w.data<float>(), z.data<float>(), pool);
  return z;
}

Tensor MatmulOp::backward(const LinearBackward& pass, sim::ThreadPool* pool) const {
  kernels::BackwardPass run = kernel_pass(kernels::linear_shape(pass.dz.gradient.rows, in_, out_),
                                          activations_of(pass.x), pass);
  Tensor dx;
  if (pass.needs_input_gradient) {
    dx = Tensor::uninitialized(DType::float32, pass.x.shape());
    run.dx = dx.data<float>();
  }
  kernels::conv2d_backward(run, pool);
  return dx;
}

Tensor MatmulOp::accumulator_image(const Tensor& codes, int64_t /*zero*/) const {
  return codes.reshaped({codes.numel() / in_, 1, 1, in_});
}

Tensor MatmulOp::accumulator_weights(const Tensor& codes) const {
  return codes.reshaped({out_, 1, 1, in_});
}

backends::IntNode MatmulOp::integer_node() const {
  backends::IntNode node;
  node.op = "linear";
  return node;
}

}  // namespace facsim::fused
