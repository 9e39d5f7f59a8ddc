// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/linear.h"

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

Conv2dParams as_conv2d(LinearParams params) {
  if (params.weights.shape().rank() != 2) {
    throw Error({ErrorCode::shape_mismatch, "linear weights",
                 "shape " + to_string(params.weights.shape()), "(O, I)", ""});
  }
  Conv2dParams conv;
  conv.input_type = params.input_type;
  conv.weight_type = params.weight_type;
  conv.input_zero_point = params.input_zero_point;
  conv.weight_zero_point = std::move(params.weight_zero_point);
  conv.padding_value = params.input_zero_point;
  conv.accumulator = params.accumulator;
  conv.weights =
      params.weights.reshaped({params.weights.shape()[0], 1, 1, params.weights.shape()[1]});
  conv.bias = std::move(params.bias);
  conv.requantize = std::move(params.requantize);
  return conv;
}

}  // namespace

Linear::Linear(LinearParams params) : conv_(as_conv2d(std::move(params))) {}

Shape Linear::input_as_conv2d(std::span<const Shape> inputs) const {
  detail::check_input_count("linear", inputs.size(), 1);
  const int64_t in = conv_.params().weights.shape()[3];
  const Shape& shape = inputs[0];
  const bool is_flat = shape.rank() >= 2 && (shape[0] == 0 || shape.numel() == shape[0] * in);
  if (is_flat) return {shape[0], 1, 1, in};
  if (shape.rank() < 3 || shape[shape.rank() - 1] != in) {
    throw Error({ErrorCode::shape_mismatch, "linear input", "shape " + to_string(shape),
                 "(N, …) with " + std::to_string(in) +
                     " elements for each N, or rows of that many on the last axis",
                 ""});
  }
  return {shape[0], 1, shape.numel() / (shape[0] * in), in};
}

Shape Linear::output_shape(std::span<const Shape> inputs) const {
  const Shape conv = input_as_conv2d(inputs);
  const int64_t out = conv_.params().weights.shape()[0];
  if (conv[2] == 1) return {conv[0], out};
  std::vector<int64_t> extents = inputs[0].extents();
  extents.back() = out;
  return Shape(std::move(extents));
}

DType Linear::output_dtype() const { return conv_.output_dtype(); }

Events Linear::run(std::span<const Tensor* const> inputs, Tensor& output,
                   const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Shape shape = input_as_conv2d(detail::shapes_of(inputs));
  const Tensor input = inputs[0]->reshaped(shape);
  Tensor pixels = output.reshaped({shape[0], 1, shape[2], conv_.params().weights.shape()[0]});
  const Tensor* const conv_inputs[] = {&input};
  return conv_.run(conv_inputs, pixels, context);
}

Explanation Linear::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Tensor input = inputs[0]->reshaped(input_as_conv2d(detail::shapes_of(inputs)));
  const Tensor* const conv_inputs[] = {&input};
  return conv_.explain(conv_inputs, flat_index);
}

int64_t Linear::macs(std::span<const Shape> inputs) const {
  const Shape conv_inputs[] = {input_as_conv2d(inputs)};
  return conv_.macs(conv_inputs);
}

}  // namespace facsim::sim
