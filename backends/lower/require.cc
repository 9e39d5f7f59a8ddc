// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/require-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

bool is_power_of_two(float scale) {
  int exponent = 0;
  return std::frexp(scale, &exponent) == 0.5f;
}

}  // namespace

void require_type(std::string_view what, sim::IntType type,
                  const std::vector<sim::IntType>& accepted) {
  if (std::find(accepted.begin(), accepted.end(), type) != accepted.end()) return;
  std::string names;
  for (const sim::IntType& t : accepted) names += (names.empty() ? "" : ", ") + sim::to_string(t);
  throw Error({ErrorCode::unsupported, std::string(what), sim::to_string(type), names,
               "the profile's /tensors say which types the op takes"});
}

void require_activation(std::string_view what, const quant::QParams& qparams,
                        const OpRules& rules) {
  quant::check(qparams, what);
  const auto refuse = [&](std::string found, std::string expected) {
    throw Error({ErrorCode::unsupported, std::string(what), std::move(found), std::move(expected),
                 "the profile's /tensors/activation"});
  };
  if (qparams.per_channel()) refuse("a scale per channel", "one scale per tensor");
  require_type(what, qparams.type, rules.activation_types);
  if (rules.activation.zero_point == quant::TensorSpec::ZeroPoint::zero &&
      qparams.zero_point.front() != 0) {
    refuse(fmt::format("zero point {}", qparams.zero_point.front()), "0");
  }
  if (rules.activation.scale == quant::TensorSpec::Scale::power_of_two &&
      !is_power_of_two(qparams.scale.front())) {
    refuse(fmt::format("scale {}", qparams.scale.front()), "a power of two");
  }
}

void require_output(const quant::QParams& qparams, const OpRules& rules) {
  OpRules output = rules;
  output.activation_types = rules.output_types;
  require_activation("output", qparams, output);
}

void require_program(const OpRules& rules) {
  const auto refuse = [](const char* found, const char* pointer) {
    throw Error({ErrorCode::unsupported, "requantize", found, "a named algorithm of the op",
                 std::string("the profile's ") + pointer});
  };
  if (rules.domain == OpRules::Domain::threshold) {
    refuse("domain threshold", "/requantize/domain");
  }
  if (rules.domain == OpRules::Domain::lut) refuse("domain lut", "/requantize/domain");
  if (rules.activation_scheme != OpRules::Scheme::affine) {
    refuse("activation codes that are not affine", "/tensors/activation/scheme");
  }
  if (rules.weight_scheme != OpRules::Scheme::affine) {
    refuse("weight codes that are not affine", "/tensors/weight/scheme");
  }
}

void require_finite(std::string_view op, std::string_view name, double value) {
  if (std::isfinite(value)) return;
  throw Error({ErrorCode::bad_value, fmt::format("{} {}", op, name), fmt::format("{}", value),
               "a finite number", ""});
}

Error with_place(const Error& error, std::string_view place) {
  std::vector<ErrorInfo> infos = error.infos();
  for (ErrorInfo& info : infos) {
    info.place = std::string(place) + (info.place.empty() ? "" : ", ") + info.place;
  }
  return Error(std::move(infos));
}

void check_code(std::string_view place, int64_t code, sim::IntType type) {
  if (code >= type.min() && code <= type.max()) return;
  throw Error({ErrorCode::bad_value, std::string(place), std::to_string(code),
               fmt::format("{}..{} ({})", type.min(), type.max(), sim::to_string(type)), ""});
}

void check_given(const OpRules& rules, const GivenMultiplier& given) {
  if (given.multiplier.empty() != given.shift.empty() ||
      (given.shift.size() > 1 && given.shift.size() != given.multiplier.size())) {
    throw Error(
        {ErrorCode::bad_value, "multiplier",
         fmt::format("{} multipliers and {} shifts", given.multiplier.size(), given.shift.size()),
         "one shift, or one per multiplier", ""});
  }
  for (const float scale : given.scale) {
    if (!std::isnormal(scale) || scale < 0) {
      throw Error({ErrorCode::bad_value, "scale", fmt::format("{}", scale),
                   "a normal float32 number > 0", ""});
    }
  }
  check_code("zero_point", given.zero_point, given.output);
  check_code("clamp_min", given.clamp.min, given.output);
  check_code("clamp_max", given.clamp.max, given.output);
  const int64_t largest = (int64_t{1} << (rules.multiplier.bits - 1)) - 1;
  // Derived multipliers are positive; a converter whose steps are written out has a sign (NVDLA).
  const int64_t lowest = rules.domain == OpRules::Domain::steps ? -largest - 1 : 0;
  for (size_t c = 0; c < given.multiplier.size(); ++c) {
    if (given.multiplier[c] < lowest || given.multiplier[c] > largest) {
      throw Error({ErrorCode::bad_value, fmt::format("multiplier, channel {}", c),
                   std::to_string(given.multiplier[c]), fmt::format("{}..{}", lowest, largest),
                   ""});
    }
    const int64_t shift = given.shift[given.shift.size() == 1 ? 0 : c];
    if (shift < -62 || shift > 124) {
      throw Error({ErrorCode::bad_value, fmt::format("shift, channel {}", c), std::to_string(shift),
                   "-62..124", ""});
    }
  }
}

}  // namespace facsim::backends::detail
