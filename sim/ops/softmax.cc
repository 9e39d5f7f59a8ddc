// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/softmax.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/core/error.h"
#include "sim/kernels/requantize.h"
#include "sim/ops/gemmlowp_fixed_point.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/scale_program-internal.h"

namespace facsim::sim {

namespace {

constexpr int kSoftmaxSumIntegerBits = 12;
constexpr int64_t kSoftmaxBlock = 4096;  ///< elements

/// f is float32 to float32.
template <class F>
SoftmaxTable make_softmax_table(float begin, float end, const F& f) {
  const FloatMode mode;
  const float step = (end - begin) / 512;
  const auto at = [&](float x) { return f(x) * 32768.0f; };
  const auto to_code = [](float v) {
    return static_cast<int16_t>(std::clamp(v, -32768.0f, 32767.0f));
  };
  SoftmaxTable table{};
  for (size_t i = 0; i < 512; ++i) {
    const float x = begin + static_cast<float>(i) * step;
    const float sample = std::round(at(x));
    const float between = std::round((at(begin + static_cast<float>(i + 1) * step) + sample) / 2);
    const float middle = std::round(at(x + step / 2));
    table[i] = to_code(sample - std::round((between - middle) / 2));
  }
  table[512] = to_code(std::round(at(end)));
  return table;
}

/// Entry value / 128 of the table, the first standing for -32768, interpolated half_up.
int32_t interpolate_softmax(const SoftmaxTable& table, int32_t value) {
  const int32_t clamped = std::clamp(value, INT16_MIN, INT16_MAX);
  const auto index = static_cast<size_t>(256 + (clamped >> 7));
  const int32_t low = table[index], slope = table[index + 1] - low;
  return low + ((slope * (clamped & 0x7f) + 64) >> 7);
}

}  // namespace

const SoftmaxTable& softmax_exp_table() {
  // exp in float64, rounded once: float32's own exp differs between libraries.
  static const SoftmaxTable table = make_softmax_table(
      -10.0f, 0.0f, [](float x) { return static_cast<float>(std::exp(static_cast<double>(x))); });
  return table;
}

const SoftmaxTable& softmax_reciprocal_table() {
  static const SoftmaxTable table =
      make_softmax_table(0.0f, 1.0f, [](float x) { return 1.0f / (1.0f + x); });
  return table;
}

/// What all elements of a row share.
struct Softmax::Row {
  int64_t max = 0;
  int64_t sum = 0;         ///< gemmlowp_exp: Q12.19; lut513: Q15
  int32_t reciprocal = 0;  ///< gemmlowp_exp: Q0.31; lut513: Q15
  int shift = 0;           ///< right, of exponential * reciprocal
};

Softmax::Softmax(SoftmaxParams params) : params_(std::move(params)) {
  const IntType in = params_.input_type, out = params_.output_type;
  const bool by_lut = params_.algorithm == SoftmaxParams::Algorithm::lut513;
  const bool supported = by_lut ? in == kInt16 && out == kInt16
                                : (in == kInt8 && (out == kInt8 || out == kInt16)) ||
                                      (in == kUint8 && (out == kUint8 || out == kInt16));
  if (!supported) {
    throw Error({ErrorCode::unsupported, "softmax",
                 fmt::format("{} to {}", to_string(in), to_string(out)),
                 by_lut ? "int16 to int16" : "int8 or uint8 to the same type or int16", ""});
  }
  if (params_.difference_min > 0) {
    throw Error({ErrorCode::bad_value, "softmax difference_min",
                 fmt::format("{}", params_.difference_min), "at most 0", ""});
  }
  detail::check_scale_program("softmax", "scale", params_.scale);
  Events ignored;
  if (const int64_t zero = params_.scale.apply(0, 0, ignored); zero != 0) {
    throw Error({ErrorCode::bad_value, "softmax scale", fmt::format("0 becomes {}", zero),
                 "a program that only scales", ""});
  }
  exponentials_.resize(size_t{1} << in.bits);
  for (size_t i = 0; i < exponentials_.size(); ++i) {
    exponentials_[i] = exponential(-static_cast<int64_t>(i));
  }
  for (const int32_t e : exponentials_) terms_.push_back(term(e));
}

int32_t Softmax::exponential(int64_t difference) const {
  Events ignored;
  if (params_.algorithm == SoftmaxParams::Algorithm::lut513) {
    // Beyond int16 the table has no entry: one more step to either side decides nothing.
    const int64_t scaled = params_.scale.apply(difference, 0, ignored);
    return interpolate_softmax(softmax_exp_table(), static_cast<int32_t>(std::clamp<int64_t>(
                                                        scaled + INT16_MAX, INT16_MIN, INT16_MAX)));
  }
  if (difference < params_.difference_min) return 0;
  const int64_t scaled = params_.scale.apply(difference, 0, ignored);
  if (scaled > 0 || scaled < INT32_MIN) {
    throw Error({ErrorCode::bad_value, "softmax scale",
                 fmt::format("{} becomes {} * 2^-26", difference, scaled), "-32..0",
                 "the multiplier and difference_min belong together"});
  }
  return gemmlowp::exp_of_negative<5>(static_cast<int32_t>(scaled));
}

int32_t Softmax::term(int32_t exponential) const {
  return params_.algorithm == SoftmaxParams::Algorithm::lut513
             ? exponential
             : gemmlowp::rescale<0, kSoftmaxSumIntegerBits>(exponential);
}

template <class In>
Softmax::Row Softmax::reduce(const In* x, int64_t depth, bool by_norm) const {
  Row row;
  In max = x[0];
  for (int64_t i = 1; i < depth; ++i) max = std::max(max, x[i]);
  row.max = max;
  const bool by_lut = params_.algorithm == SoftmaxParams::Algorithm::lut513;
  if (by_norm) {
    for (int64_t i = 0; i < depth; ++i) row.sum += term(exponential(x[i] - row.max));
  } else {
    for (int64_t i = 0; i < depth; ++i) row.sum += terms_[static_cast<size_t>(row.max - x[i])];
  }
  const bool to_8_bits = params_.output_type.bits == 8;
  if (row.sum >= (int64_t{1} << (to_8_bits ? 28 : 31))) {
    throw Error({ErrorCode::unsupported, "softmax",
                 fmt::format("a row of {} whose exponentials sum to {}", depth,
                             row.sum >> (by_lut ? 15 : 31 - kSoftmaxSumIntegerBits)),
                 to_8_bits ? "a sum below 512" : "a sum that fits 32 bits",
                 "the platform's own kernel stops or overflows here"});
  }
  const auto sum = static_cast<int32_t>(row.sum);
  if (!by_lut) {
    const gemmlowp::Reciprocal reciprocal = gemmlowp::reciprocal(sum, kSoftmaxSumIntegerBits);
    row.reciprocal = reciprocal.significand;
    row.shift = reciprocal.bits_over_unit + 31 - params_.output_type.bits;
    return row;
  }
  const int leading_zeros = std::countl_zero(static_cast<uint32_t>(sum));
  const int64_t leading = ((row.sum << (leading_zeros - 1)) + (1 << 13)) >> 14;
  row.reciprocal = interpolate_softmax(softmax_reciprocal_table(),
                                       static_cast<int32_t>(leading - ((1 << 15) + (1 << 16))));
  row.shift = 31 - leading_zeros;
  return row;
}

Softmax::Share Softmax::share_of(int32_t exponential, const Row& row) const {
  const auto lowest = static_cast<int32_t>(params_.output_type.min());
  const auto highest = static_cast<int32_t>(params_.output_type.max());
  if (params_.algorithm == SoftmaxParams::Algorithm::lut513) {
    const int64_t product = int64_t{exponential} * row.reciprocal;
    const int64_t rounded = (product + (int64_t{1} << (row.shift - 1))) >> row.shift;
    return {product, rounded, static_cast<int32_t>(std::clamp<int64_t>(rounded, 0, highest))};
  }
  const int32_t product = gemmlowp::multiply(row.reciprocal, exponential);
  const int32_t share = fixed_point::rounding_divide_by_pot(product, row.shift);
  return {product, share, std::clamp(share + lowest, lowest, highest)};
}

template <class In, class Out>
void Softmax::run_row(const In* x, int64_t depth, bool by_norm, Out* y) const {
  const Row row = reduce(x, depth, by_norm);
  if (by_norm) {
    for (int64_t i = 0; i < depth; ++i) {
      y[i] = static_cast<Out>(output_of(exponential(x[i] - row.max), row));
    }
    return;
  }
  if (sizeof(In) == 1 && depth > 256) {  // a table of outputs costs less than the outputs
    std::array<Out, 256> by_difference;
    for (size_t i = 0; i < by_difference.size(); ++i) {
      by_difference[i] = static_cast<Out>(output_of(exponentials_[i], row));
    }
    for (int64_t i = 0; i < depth; ++i) {
      y[i] = by_difference[static_cast<uint8_t>(row.max - x[i])];
    }
    return;
  }
  if (params_.algorithm == SoftmaxParams::Algorithm::lut513) {
    for (int64_t i = 0; i < depth; ++i) {
      y[i] = static_cast<Out>(output_of(exponentials_[static_cast<size_t>(row.max - x[i])], row));
    }
    return;
  }
  // As output_of: no factor is negative, so both roundings are floor(v + half).
  const int64_t lowest = params_.output_type.min(), highest = params_.output_type.max();
  const int64_t half = (int64_t{1} << row.shift) >> 1;
  for (int64_t i = 0; i < depth; ++i) {
    const int64_t e = exponentials_[static_cast<size_t>(row.max - x[i])];
    const int64_t product = (e * row.reciprocal + (int64_t{1} << 30)) >> 31;
    y[i] = static_cast<Out>(std::min(((product + half) >> row.shift) + lowest, highest));
  }
}

Shape Softmax::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& shape = inputs[0];
  if (shape.rank() >= 1 && shape[shape.rank() - 1] >= 1) return shape;
  throw Error({ErrorCode::shape_mismatch, "softmax", "input shape " + to_string(shape),
               "a last axis of at least 1", ""});
}

Events Softmax::run(std::span<const Tensor* const> inputs, Tensor& output,
                    const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  const int64_t depth = input.shape()[input.shape().rank() - 1];
  const int64_t rows_per_block = std::max<int64_t>(1, kSoftmaxBlock / depth);
  const bool by_norm = context.isa == Isa::scalar;
  detail::with_integer(input.dtype(), [&]<class In>() {
    detail::with_integer(output.dtype(), [&]<class Out>() {
      if constexpr (sizeof(In) <= 2 && sizeof(Out) <= 2) {
        const In* x = input.data<In>();
        Out* y = output.data<Out>();
        detail::for_blocks(context.pool, input.numel() / depth, rows_per_block,
                           [&](int64_t begin, int64_t end) {
                             for (int64_t r = begin; r < end; ++r) {
                               run_row(x + r * depth, depth, by_norm, y + r * depth);
                             }
                             return Events{};
                           });
      }
    });
  });
  return {};
}

std::vector<SourceElement> Softmax::sources(std::span<const Shape> inputs,
                                            int64_t flat_index) const {
  return detail::row_sources(*this, inputs, flat_index);
}

Explanation Softmax::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape shape = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, shape.numel());
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  const int64_t depth = shape[shape.rank() - 1];
  std::vector<int32_t> codes;
  for (int64_t i = 0; i < depth; ++i) {
    codes.push_back(static_cast<int32_t>(input.int_at(flat_index / depth * depth + i)));
  }
  const Row row = reduce(codes.data(), depth, /*by_norm=*/true);
  const int64_t difference = input.int_at(flat_index) - row.max;
  const int32_t e = exponential(difference);
  const bool by_lut = params_.algorithm == SoftmaxParams::Algorithm::lut513;
  const Share share = share_of(e, row);
  Explanation explanation;
  std::vector<TracedStep>& steps = explanation.steps;
  const auto say = [&](std::string text, int64_t value) {
    steps.push_back(detail::integer_step(std::move(text), value));
  };
  say("largest code of the row", row.max);
  say("code - largest", difference);
  for (TracedStep& step : params_.scale.trace(difference, 0)) {
    step.step = "scale: " + step.step;
    steps.push_back(std::move(step));
  }
  say(by_lut ? "exp by table, Q15" : "exp, Q0.31", e);
  trace_terms(codes, row.max, steps);
  say(by_lut ? "sum of exp, Q15" : "sum of exp, Q12.19", row.sum);
  say(by_lut ? "1 / sum by table, Q15" : "1 / sum, Q0.31", row.reciprocal);
  say(by_lut ? "exp * 1 / sum" : "exp * 1 / sum, half_up by 31 bits", share.product);
  say(fmt::format("right shift {}, {}", row.shift, by_lut ? "half_up" : "half_away_from_zero"),
      share.shifted);
  if (!by_lut) say(fmt::format("zero point {}, saturated", params_.output_type.min()), share.code);
  if (by_lut) say("saturated", share.code);
  explanation.result = share.code;
  return explanation;
}

/// What each code of a short row adds to the sum.
void Softmax::trace_terms(const std::vector<int32_t>& codes, int64_t max,
                          std::vector<TracedStep>& steps) const {
  constexpr size_t kShown = 16;
  for (size_t i = 0; i < codes.size() && codes.size() <= kShown; ++i) {
    const int64_t difference = codes[i] - max;
    steps.push_back(
        detail::integer_step(fmt::format("term {}: exp of difference {}", i, difference),
                             term(exponential(difference))));
  }
}

}  // namespace facsim::sim
