// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/unary_real.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/scale_program-internal.h"

namespace facsim::sim {

namespace {

float nearest_exp(float x) { return static_cast<float>(std::exp(static_cast<double>(x))); }

float sigmoid_by_exp(float x) {
  return std::signbit(x) ? 1.0f / (1.0f + nearest_exp(-x)) : 1.0f - 1.0f / (1.0f + nearest_exp(x));
}

/// Highest power first; each step one fused multiply-add.
template <size_t N>
float horner_fma(const std::array<float, N>& coefficients, float s) {
  float value = coefficients[0];
  for (size_t i = 1; i < N; ++i) value = std::fma(value, s, coefficients[i]);
  return value;
}

float sigmoid_by_rational(float x) {
  constexpr float kRange = 18.0f;
  constexpr std::array<float, 5> kNumerator = {4.37031012579801e-11f, 1.15627324459942e-07f,
                                               6.08574864600143e-05f, 8.51377133304701e-03f,
                                               2.48287947061529e-01f};
  constexpr std::array<float, 6> kDenominator = {6.10247389755681e-13f, 5.76102136993427e-09f,
                                                 6.29106785017040e-06f, 1.70198817374094e-03f,
                                                 1.16817656904453e-01f, 9.93151921023180e-01f};
  const float cut = std::min(std::max(x, -kRange), kRange);
  const float square = cut * cut;
  const float numerator = cut * horner_fma(kNumerator, square);
  const float quotient = numerator / horner_fma(kDenominator, square);
  return std::max(quotient + 0.5f, 0.0f);
}

}  // namespace

std::string_view to_string(RealFunction function) {
  switch (function) {
    case RealFunction::leaky_relu:
      return "leaky_relu";
    case RealFunction::sigmoid_exp:
      return "sigmoid_exp";
    case RealFunction::sigmoid_rational_fma:
      return "sigmoid_rational_fma";
    case RealFunction::tanh:
      return "tanh";
  }
  return "?";
}

float apply_real_function(RealFunction function, float x, float alpha) {
  switch (function) {
    case RealFunction::leaky_relu:
      return x >= 0 ? x : x * alpha;
    case RealFunction::sigmoid_exp:
      return sigmoid_by_exp(x);
    case RealFunction::sigmoid_rational_fma:
      return sigmoid_by_rational(x);
    case RealFunction::tanh:
      return static_cast<float>(std::tanh(static_cast<double>(x)));
  }
  FACSIM_CHECK(false);
  return 0;
}

UnaryReal::UnaryReal(UnaryRealParams params)
    : UnaryCodes("unary_real", params.input_type, params.output.output_type()),
      params_(std::move(params)) {
  const auto refuse = [](const char* field, std::string found, const char* expected) {
    throw Error({ErrorCode::bad_value, fmt::format("unary_real {}", field), std::move(found),
                 expected, ""});
  };
  if (!std::isfinite(params_.scale) || params_.scale <= 0) {
    refuse("scale", fmt::format("{}", params_.scale), "a finite scale > 0");
  }
  if (!std::isfinite(params_.alpha)) {
    refuse("alpha", fmt::format("{}", params_.alpha), "a finite slope");
  }
  detail::check_zero_point("unary_real", "zero_point", params_.zero_point, params_.input_type);
  const Requantizer& output = params_.output;
  if (!output.program().input_is_real || output.output_is_real() || output.channels() != 1) {
    refuse("output", "a program over integers, to float32, or per channel",
           "a program from float32 to codes, per tensor");
  }
  make_table();
}

int64_t UnaryReal::evaluate(int64_t code, Events& events, std::vector<TracedStep>* steps) const {
  const float x = static_cast<float>(code - params_.zero_point) * params_.scale;
  const float y = apply_real_function(params_.function, x, params_.alpha);
  if (steps != nullptr) {
    steps->push_back(detail::real_step("dequantized", x));
    steps->push_back(detail::real_step(std::string(to_string(params_.function)), y));
    const std::vector<TracedStep> rest = params_.output.trace_real(y, 0);
    steps->insert(steps->end(), rest.begin(), rest.end());
  }
  return params_.output.apply_real(y, 0, events);
}

}  // namespace facsim::sim
