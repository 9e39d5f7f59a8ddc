// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/concat.h"

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/strided_copy-internal.h"

namespace facsim::sim {

namespace {

int64_t elements_from(const Shape& shape, int axis) {
  int64_t count = 1;
  for (int i = axis; i < shape.rank(); ++i) count *= shape[i];
  return count;
}

}  // namespace

Concat::Concat(ConcatParams params) : params_(std::move(params)) {
  const auto refuse = [](std::string place, std::string found, std::string expected) {
    throw Error(
        {ErrorCode::bad_value, std::move(place), std::move(found), std::move(expected), ""});
  };
  if (params_.inputs.empty()) refuse("concat", "no inputs", "at least one");
  for (size_t i = 0; i < params_.inputs.size(); ++i) {
    const ConcatInput& input = params_.inputs[i];
    const std::string place = fmt::format("concat input {}", i);
    if (!input.requantize) {
      detail::check_dtype(kind(), fmt::format("input {}", i), input.dtype, params_.output_dtype);
      maps_.emplace_back();
      continue;
    }
    if (input.requantize->channels() != 1) refuse(place, "a program per channel", "per tensor");
    maps_.emplace_back(Map({"requantize", input.dtype, *input.requantize, -1}));
    detail::check_dtype(kind(), fmt::format("input {}", i), maps_.back()->output_dtype(),
                        params_.output_dtype);
  }
}

int Concat::axis_of(const Shape& shape) const {
  const int axis = params_.axis < 0 ? params_.axis + shape.rank() : params_.axis;
  if (axis >= 0 && axis < shape.rank()) return axis;
  throw Error({ErrorCode::shape_mismatch, "concat", "input shape " + to_string(shape),
               fmt::format("an axis {}", params_.axis), ""});
}

Shape Concat::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), params_.inputs.size());
  Shape out = inputs[0];
  const int axis = axis_of(out);
  for (const Shape& input : inputs.subspan(1)) {
    Shape other = input;
    if (other.rank() == out.rank()) other[axis] = out[axis];
    if (other != out) {
      throw Error({ErrorCode::shape_mismatch, "concat",
                   "input shapes " + to_string(inputs[0]) + " and " + to_string(input),
                   fmt::format("equal but for axis {}", axis), ""});
    }
    out[axis] += input[axis];
  }
  return out;
}

std::optional<DType> Concat::input_dtype(int index) const {
  const auto i = static_cast<size_t>(index);
  if (index < 0 || i >= params_.inputs.size()) return std::nullopt;
  return params_.inputs[i].dtype;
}

Events Concat::run(std::span<const Tensor* const> inputs, Tensor& output,
                   const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const int axis = axis_of(output.shape());
  const int64_t out_row = elements_from(output.shape(), axis);
  const size_t element = size_of(output.dtype());
  auto* to = static_cast<std::byte*>(output.raw());
  Events events;
  for (size_t i = 0; i < inputs.size(); ++i) {
    detail::check_dtype(kind(), fmt::format("input {}", i), inputs[i]->dtype(),
                        params_.inputs[i].dtype);
    Tensor codes = *inputs[i];
    if (maps_[i]) {
      codes = Tensor::uninitialized(output.dtype(), codes.shape());
      const Tensor* const map_inputs[] = {inputs[i]};
      events += maps_[i]->run(map_inputs, codes, context);
    }
    const int64_t row = elements_from(codes.shape(), axis);
    if (row == 0) continue;
    detail::strided_copy(context.pool, element, {{codes.numel() / row, row, out_row}, {row, 1, 1}},
                         codes.raw(), to);
    to += row * static_cast<int64_t>(element);
  }
  return events;
}

std::vector<SourceElement> Concat::sources(std::span<const Shape> inputs,
                                           int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  const int axis = axis_of(out);
  const int64_t out_row = elements_from(out, axis);
  int64_t column = flat_index % out_row;
  size_t i = 0;
  int64_t row = elements_from(inputs[0], axis);
  for (; column >= row; row = elements_from(inputs[++i], axis)) column -= row;
  return {{static_cast<int>(i), flat_index / out_row * row + column}};
}

Explanation Concat::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const SourceElement source = sources(detail::shapes_of(inputs), flat_index).front();
  const auto i = static_cast<size_t>(source.input);
  detail::check_dtype(kind(), fmt::format("input {}", i), inputs[i]->dtype(),
                      params_.inputs[i].dtype);
  if (!maps_[i]) return detail::copied_element(*inputs[i], source.flat_index);
  const Tensor* const map_inputs[] = {inputs[i]};
  return maps_[i]->explain(map_inputs, source.flat_index);
}

}  // namespace facsim::sim
