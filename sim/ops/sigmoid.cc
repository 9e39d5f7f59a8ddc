// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/sigmoid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/ops/gemmlowp_fixed_point.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/scale_program-internal.h"

namespace facsim::sim {

namespace {

/// a table entry and the way to the next one, in 2^FractionBits steps.
template <int FractionBits>
int64_t interpolate_sigmoid(int64_t magnitude) {
  const auto& table = sigmoid_table();
  const auto index = static_cast<size_t>(magnitude >> FractionBits);
  const int64_t fraction = magnitude & ((int64_t{1} << FractionBits) - 1);
  const int64_t low = table[index], high = table[index + 1];
  return (low << FractionBits) + fraction * (high - low);
}

std::string_view sigmoid_word(SigmoidParams::Function function) {
  return function == SigmoidParams::Function::sigmoid ? "sigmoid" : "tanh";
}

}  // namespace

const std::array<uint16_t, 256>& sigmoid_table() {
  static const std::array<uint16_t, 256> table = [] {
    const FloatMode mode;
    const auto value = [](double i) { return 65536.0 / (1.0 + std::exp(-i / 24.0)); };
    std::array<uint16_t, 256> entries{};
    for (size_t i = 0; i < 255; ++i) {
      const auto x = static_cast<double>(i);
      const double error = (value(x) + value(x + 1)) / 2 - value(x + 0.5);
      entries[i] = static_cast<uint16_t>(std::floor(value(x) - error / 2 + 0.5));
    }
    entries[255] = 65535;
    return entries;
  }();
  return table;
}

int32_t sigmoid_by_table(int64_t x) {
  const int64_t magnitude = std::abs(x);
  const int64_t r =
      magnitude >> 9 >= 255 ? int64_t{0x7fff} << 10 : interpolate_sigmoid<9>(magnitude);
  return static_cast<int32_t>((x >= 0 ? r + 512 : (1 << 25) - r + 511) >> 10);
}

int32_t tanh_by_table(int64_t x) {
  const int64_t magnitude = std::abs(x);
  const int64_t r =
      magnitude >> 8 >= 255 ? int64_t{0xffff} << 8 : interpolate_sigmoid<8>(magnitude);
  return static_cast<int32_t>((x >= 0 ? r - (1 << 23) + 128 : (1 << 23) - r + 127) >> 8);
}

Sigmoid::Sigmoid(SigmoidParams params)
    : UnaryCodes(sigmoid_word(params.function), params.type, params.type),
      params_(std::move(params)) {
  const bool by_table = params_.algorithm == SigmoidParams::Algorithm::table_u16;
  if (by_table ? params_.type != kInt16 : params_.type != kInt8) {
    throw Error({ErrorCode::unsupported, std::string(kind()), to_string(params_.type),
                 by_table ? "int16" : "int8", "the algorithm's codes"});
  }
  detail::check_scale_program(kind(), "scale", params_.scale);
  detail::check_zero_point(kind(), "zero_point", params_.zero_point, params_.type);
  if (params_.radius < 0 || params_.radius > INT32_MAX) {
    throw Error({ErrorCode::bad_value, fmt::format("{} radius", kind()),
                 fmt::format("{}", params_.radius), "0..2^31-1", ""});
  }
  make_table();
}

std::string_view Sigmoid::kind() const { return sigmoid_word(params_.function); }

int64_t Sigmoid::gemmlowp_q4(int64_t value, Events& events, std::vector<TracedStep>* steps) const {
  const IntType type = params_.type;
  if (value <= -params_.radius || value >= params_.radius) {
    const int64_t end = value < 0 ? type.min() : type.max();
    if (steps != nullptr) {
      steps->push_back(detail::integer_step(fmt::format("outside +-{}", params_.radius), end));
    }
    return end;
  }
  const bool is_sigmoid = params_.function == SigmoidParams::Function::sigmoid;
  const auto q4 = static_cast<int32_t>(detail::apply_traced(params_.scale, value, events, steps));
  // The radius keeps |q4| below 2^31.
  const int32_t q0 = is_sigmoid ? gemmlowp::logistic<4>(q4) : gemmlowp::tanh<4>(q4);
  const int32_t rounded = fixed_point::rounding_divide_by_pot(q0, is_sigmoid ? 23 : 24);
  if (steps != nullptr) {
    steps->push_back(detail::integer_step(fmt::format("gemmlowp {}, Q0.31", kind()), q0));
    steps->push_back(detail::integer_step(
        fmt::format("right shift {}, half_away_from_zero", is_sigmoid ? 23 : 24), rounded));
  }
  const int64_t zero_point = is_sigmoid ? type.min() : 0;
  const int64_t result = std::clamp<int64_t>(rounded + zero_point, type.min(), type.max());
  if (steps != nullptr) {
    steps->push_back(
        detail::integer_step(fmt::format("zero point {}, saturated", zero_point), result));
  }
  return result;
}

int64_t Sigmoid::evaluate(int64_t code, Events& events, std::vector<TracedStep>* steps) const {
  const int64_t value = code - params_.zero_point;
  if (steps != nullptr) {
    steps->push_back(detail::integer_step(fmt::format("code - {}", params_.zero_point), value));
  }
  if (params_.algorithm == SigmoidParams::Algorithm::gemmlowp_q4) {
    return gemmlowp_q4(value, events, steps);
  }
  const int64_t x = detail::apply_traced(params_.scale, value, events, steps);
  const int64_t result =
      params_.function == SigmoidParams::Function::sigmoid ? sigmoid_by_table(x) : tanh_by_table(x);
  if (steps != nullptr) {
    steps->push_back(
        detail::integer_step(fmt::format("{} by table, interpolated", kind()), result));
  }
  return result;
}

}  // namespace facsim::sim
