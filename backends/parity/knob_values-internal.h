// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/field-internal.h"

namespace facsim::backends::detail {

/// Another value of one rule, with what has to follow it. Pointers are relative to a set of rules:
/// "/accumulator/bits".
struct KnobValue {
  struct Setting {
    std::string pointer;
    Json value;
  };
  std::string pointer;
  Json from;
  std::vector<Setting> settings;  ///< the first is the rule itself
};

/// Other values of the rules of one op, variant or profile (`op` empty), of which `rules` are the
/// effective ones, in the order of the fields. Whether they load is for the caller to see.
std::vector<KnobValue> knob_values(const Json& rules, std::string_view op);

/// "the device rounds half_even where the profile says half_up", with "in conv2d" for an op's.
std::string knob_sentence(const KnobValue& value, std::string_view op);

}  // namespace facsim::backends::detail
