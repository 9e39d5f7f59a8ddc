// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/dynamic_quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {

namespace {

constexpr float kHighestCode = 255;

float round_half_even(float v) { return round_real(Rounding::half_even, v); }

int64_t dynamic_code(float x, const DynamicRange& range) {
  const float code = round_half_even(x / range.scale) + static_cast<float>(range.zero_point);
  return static_cast<int64_t>(std::clamp(code, 0.0f, kHighestCode));
}

// Not inlined, so that no float operation leaves the FloatMode scope of dynamic_range.
__attribute__((noinline)) DynamicRange range_between(float low, float high) {
  DynamicRange range;
  if (high != low) range.scale = (high - low) / kHighestCode;
  if (!std::isnormal(range.scale)) {
    throw Error({ErrorCode::bad_value, "dynamic_quantize",
                 fmt::format("values in {}..{}: scale {}", low, high, range.scale),
                 "a scale that is a normal float32 number", ""});
  }
  const float zero_point = std::clamp(0.0f - low / range.scale, 0.0f, kHighestCode);
  range.zero_point = static_cast<int64_t>(round_half_even(zero_point));
  return range;
}

}  // namespace

DynamicRange dynamic_range(std::span<const float> values) {
  float low = 0, high = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw Error({ErrorCode::bad_value, fmt::format("dynamic_quantize input, index {}", i),
                   fmt::format("{}", values[i]), "a finite number", ""});
    }
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  const FloatMode mode;
  return range_between(low, high);
}

Shape DynamicQuantize::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  return output_ == Output::codes ? inputs[0] : Shape{1};
}

DType DynamicQuantize::output_dtype() const {
  return output_ == Output::scale ? DType::float32 : DType::uint8;
}

Events DynamicQuantize::run(std::span<const Tensor* const> inputs, Tensor& output,
                            const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), DType::float32);
  const DynamicRange range = dynamic_range(input.values<float>());
  if (output_ == Output::scale) {
    output.data<float>()[0] = range.scale;
  } else if (output_ == Output::zero_point) {
    output.set_int(0, range.zero_point);
  } else {
    const float* x = input.data<float>();
    auto* y = output.data<uint8_t>();
    detail::for_blocks(context.pool, input.numel(), detail::kElementBlock,
                       [&](int64_t begin, int64_t end) {
                         for (int64_t i = begin; i < end; ++i) {
                           y[i] = static_cast<uint8_t>(dynamic_code(x[i], range));
                         }
                         return Events{};
                       });
  }
  return {};
}

Explanation DynamicQuantize::explain(std::span<const Tensor* const> inputs,
                                     int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), DType::float32);
  const DynamicRange range = dynamic_range(input.values<float>());
  Explanation explanation;
  explanation.steps = {detail::real_step("scale of the range", range.scale),
                       detail::integer_step("zero point of the range", range.zero_point)};
  if (output_ == Output::zero_point) explanation.result = range.zero_point;
  if (output_ == Output::codes) {
    const FloatMode mode;
    const float x = input.data<float>()[flat_index];
    explanation.steps.push_back(detail::real_step("x", x));
    explanation.result = dynamic_code(x, range);
    explanation.steps.push_back(
        detail::integer_step("half_even(x / scale) + zero point, clamped", explanation.result));
  }
  return explanation;
}

}  // namespace facsim::sim
