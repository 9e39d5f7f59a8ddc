// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/hard_swish.h"

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

HardSwish::HardSwish(HardSwishParams params)
    : UnaryCodes("hard_swish", params.type, params.type), params_(params) {
  const auto require = [](bool ok, ErrorCode code, const char* field, int64_t found,
                          std::string expected) {
    if (ok) return;
    throw Error({code, fmt::format("hard_swish {}", field), fmt::format("{}", found),
                 std::move(expected), ""});
  };
  if (params.type != kInt8 && params.type != kUint8) {
    throw Error(
        {ErrorCode::unsupported, "hard_swish", to_string(params.type), "int8 or uint8", ""});
  }
  for (const int64_t zero_point : {params.input_zero_point, params.output_zero_point}) {
    require(zero_point >= params.type.min() && zero_point <= params.type.max(),
            ErrorCode::bad_value, "zero_point", zero_point, "a code of the type");
  }
  for (const int32_t multiplier : {params.output_multiplier, params.reluish_multiplier}) {
    require(multiplier >= 0 && multiplier <= INT16_MAX, ErrorCode::bad_value, "multiplier",
            multiplier, "0..32767");
  }
  require(params.output_exponent >= -15 && params.output_exponent <= 0, ErrorCode::unsupported,
          "output_exponent", params.output_exponent, "-15..0: the output scale is too small");
  require(params.reluish_exponent >= -15 && params.reluish_exponent <= 31, ErrorCode::unsupported,
          "reluish_exponent", params.reluish_exponent, "-15..31");
  make_table();
}

int64_t HardSwish::evaluate(int64_t code, Events& /*events*/,
                            std::vector<TracedStep>* steps) const {
  const auto value = static_cast<int32_t>(code - params_.input_zero_point);
  if (steps == nullptr) return hard_swish_s16::hard_swish(value, params_);
  steps->push_back(
      detail::integer_step(fmt::format("v = code - {}", params_.input_zero_point), value));
  return hard_swish_s16::hard_swish_traced(value, params_, [&](const char* text, int32_t v) {
    steps->push_back(detail::integer_step(text, v));
  });
}

}  // namespace facsim::sim
