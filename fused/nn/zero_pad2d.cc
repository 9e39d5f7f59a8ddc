// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/zero_pad2d.h"

#include <algorithm>

#include "fused/integer_forward.h"
#include "sim/core/error.h"

namespace facsim::fused::nn {

ZeroPad2d::ZeroPad2d(std::array<int64_t, 4> padding) : padding_(padding) {
  for (const int64_t p : padding) {
    if (p >= 0 && p <= 65536) continue;
    throw Error({ErrorCode::bad_value, "ZeroPad2d padding", std::to_string(p), "0..65536", ""});
  }
}

Shape ZeroPad2d::output_shape(const Shape& x) const {
  if (x.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "ZeroPad2d input", to_string(x), "(N, H, W, C)", ""});
  }
  return {x[0], x[1] + padding_[2] + padding_[3], x[2] + padding_[0] + padding_[1], x[3]};
}

Value ZeroPad2d::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{1});
  x_shape_ = inputs[0].shape();
  const Shape shape = output_shape(x_shape_);
  if (inputs[0].quantized()) {
    FACSIM_CHECK(context.profile != nullptr);
    return integer_forward(*this, inputs, *context.profile, context);
  }
  Tensor y(DType::float32, shape);
  const float* x = inputs[0].real().data<float>();
  const int64_t row = x_shape_[2] * x_shape_[3];
  sim::parallel_for(context.pool, x_shape_[0] * x_shape_[1], [&](int64_t i) {
    const int64_t line = i / x_shape_[1] * shape[1] + i % x_shape_[1] + padding_[2];
    std::copy_n(x + i * row, row, y.data<float>() + (line * shape[2] + padding_[0]) * shape[3]);
  });
  return Value(y);
}

std::vector<Tensor> ZeroPad2d::backward(const Tensor& dy, const Context& context,
                                        bool needs_input_gradient) {
  if (!needs_input_gradient) return {Tensor()};
  const Shape shape = output_shape(x_shape_);
  Tensor dx = Tensor::uninitialized(DType::float32, x_shape_);
  const int64_t row = x_shape_[2] * x_shape_[3];
  sim::parallel_for(context.pool, x_shape_[0] * x_shape_[1], [&](int64_t i) {
    const int64_t line = i / x_shape_[1] * shape[1] + i % x_shape_[1] + padding_[2];
    std::copy_n(dy.data<float>() + (line * shape[2] + padding_[0]) * shape[3], row,
                dx.data<float>() + i * row);
  });
  return {dx};
}

int ZeroPad2d::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  const backends::IntTensor& x = builder.tensor(inputs[0]);
  backends::IntNode node;
  node.op = "pad";
  node.attributes.pad_before = {0, padding_[2], padding_[0], 0};
  node.attributes.pad_after = {0, padding_[3], padding_[1], 0};
  return builder.add_node(std::move(node), builder.name(), {inputs[0]}, *x.qparams,
                          output_shape(x.shape));
}

}  // namespace facsim::fused::nn
