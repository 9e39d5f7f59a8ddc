// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/log2_code.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

constexpr int kStepsPerOctave = 16;
constexpr int kLargestMagnitude = 127;
constexpr uint8_t kSignBit = 0x80;

double octaves(double steps) { return std::exp2(steps / kStepsPerOctave); }

/// round(16 log2 v), v > 0.
double steps_of(double v) {
  return round_real(Rounding::half_even, kStepsPerOctave * std::log2(v));
}

}  // namespace

Log2Code Log2Code::of_largest(double largest) {
  if (!std::isfinite(largest) || largest <= 0) {
    throw Error({ErrorCode::bad_value, "log2 code", fmt::format("largest value {}", largest),
                 "a finite number > 0", ""});
  }
  return {static_cast<int>(steps_of(largest)) - kLargestMagnitude};
}

uint8_t Log2Code::quantize(float x) const {
  const bool positive = x > octaves(z - kStepsPerOctave);
  const bool negative = x < -octaves(z + 1 - kStepsPerOctave);
  if (!positive && !negative) return kSignBit;
  const double steps = steps_of(std::abs(static_cast<double>(x))) - z;
  const double magnitude = std::clamp<double>(steps, positive ? 0 : 1, kLargestMagnitude);
  return static_cast<uint8_t>(static_cast<int>(magnitude) | (positive ? 0 : kSignBit));
}

float Log2Code::dequantize(uint8_t code) const {
  if (code == kSignBit) return 0;
  const auto magnitude = static_cast<float>(octaves((code & kLargestMagnitude) + z));
  return (code & kSignBit) != 0 ? -magnitude : magnitude;
}

Log2Map::Log2Map(Log2MapParams params) : params_(params) {
  if (quantizes()) return;
  const FloatMode mode;
  for (int code = 0; code < 256; ++code) {
    values_.push_back(params_.code.dequantize(static_cast<uint8_t>(code)));
  }
}

std::string_view Log2Map::kind() const { return quantizes() ? "log2_quantize" : "log2_dequantize"; }

Shape Log2Map::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  return inputs[0];
}

DType Log2Map::output_dtype() const { return quantizes() ? DType::uint8 : DType::float32; }

std::optional<DType> Log2Map::input_dtype(int /*index*/) const {
  return quantizes() ? DType::float32 : DType::uint8;
}

Events Log2Map::run(std::span<const Tensor* const> inputs, Tensor& output,
                    const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), *input_dtype(0));
  return detail::for_blocks(
      context.pool, input.numel(), detail::kElementBlock, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          if (quantizes()) {
            output.data<uint8_t>()[i] = params_.code.quantize(input.data<float>()[i]);
          } else {
            output.data<float>()[i] = values_[input.data<uint8_t>()[i]];
          }
        }
        return Events{};
      });
}

Explanation Log2Map::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_dtype(kind(), "input", inputs[0]->dtype(), *input_dtype(0));
  const FloatMode mode;
  Explanation explanation;
  if (quantizes()) {
    const float x = inputs[0]->data<float>()[flat_index];
    explanation.result = params_.code.quantize(x);
    explanation.steps = {detail::real_step("x", x), detail::integer_step("z", params_.code.z),
                         detail::integer_step("code", explanation.result)};
  } else {
    const uint8_t code = inputs[0]->data<uint8_t>()[flat_index];
    explanation.result = std::bit_cast<int32_t>(values_[code]);
    explanation.steps = {detail::integer_step("code", code),
                         detail::integer_step("z", params_.code.z),
                         detail::real_step("value", values_[code])};
  }
  return explanation;
}

}  // namespace facsim::sim
