// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/op_support-internal.h"

#include <fmt/format.h>

namespace facsim::sim::detail {

void check_input_count(std::string_view kind, size_t found, size_t expected) {
  if (found == expected) return;
  throw Error({ErrorCode::shape_mismatch, std::string(kind), fmt::format("{} inputs", found),
               fmt::format("{}", expected), ""});
}

void check_nhwc(std::string_view kind, const Shape& shape) {
  if (shape.rank() == 4 && shape[3] >= 1) return;
  throw Error({ErrorCode::shape_mismatch, std::string(kind), "input shape " + to_string(shape),
               "(N, H, W, C) with at least one channel", ""});
}

void check_dtype(std::string_view kind, std::string_view role, DType found, DType expected) {
  if (found == expected) return;
  throw Error({ErrorCode::bad_value, fmt::format("{} {}", kind, role),
               fmt::format("dtype {}", to_string(found)), std::string(to_string(expected)), ""});
}

void check_codes(std::string_view kind, std::string_view role, const Tensor& codes, IntType type) {
  check_dtype(kind, role, codes.dtype(), type.storage());
  const IntType storage = full_range(codes.dtype());
  if (type.min() <= storage.min() && type.max() >= storage.max()) return;
  with_integer(codes.dtype(), [&]<class T>() {
    const T lowest = static_cast<T>(type.min());
    const T highest = static_cast<T>(type.max());
    const auto values = codes.values<T>();
    bool inside = true;
    for (const T value : values) inside &= value >= lowest && value <= highest;
    if (inside) return;
    const auto bad = std::find_if(values.begin(), values.end(),
                                  [&](T value) { return value < lowest || value > highest; });
    throw Error({ErrorCode::bad_value, fmt::format("{} {}[{}]", kind, role, bad - values.begin()),
                 fmt::format("code {}", static_cast<int64_t>(*bad)),
                 fmt::format("{}..{}", type.min(), type.max()), ""});
  });
}

void check_flat_index(std::string_view kind, int64_t flat_index, int64_t numel) {
  if (flat_index >= 0 && flat_index < numel) return;
  throw Error({ErrorCode::bad_value, std::string(kind), fmt::format("output index {}", flat_index),
               fmt::format("0..{}", numel - 1), ""});
}

std::vector<Shape> shapes_of(std::span<const Tensor* const> inputs) {
  std::vector<Shape> shapes;
  shapes.reserve(inputs.size());
  for (const Tensor* input : inputs) shapes.push_back(input->shape());
  return shapes;
}

Explanation copied_element(const Tensor& input, int64_t source) {
  Explanation explanation;
  const std::string step = fmt::format("element {} of the input", source);
  if (input.dtype() == DType::float32) {
    explanation.steps = {real_step(step, input.data<float>()[source])};
  } else {
    explanation.result = input.int_at(source);
    explanation.steps = {integer_step(step, explanation.result)};
  }
  return explanation;
}

void check_output(const Op& op, std::span<const Tensor* const> inputs, const Tensor& output) {
  FACSIM_CHECK(output.shape() == op.output_shape(shapes_of(inputs)));
  FACSIM_CHECK(output.dtype() == op.output_dtype());
}

}  // namespace facsim::sim::detail
