// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "backends/profile/field-internal.h"

namespace facsim::backends::detail {

/// The profile format, version 1. Defaults are TFLite's int8 reference kernels.
const Field& profile_fields();

/// The ops a profile can have rules for.
const std::vector<std::string>& profile_ops();

/// The top-level keys that /ops/<op> may repeat: the numeric rules.
const std::vector<std::string>& rule_keys();

/// Names a step may use as an argument, and whether the value is real (float32).
struct ArgumentName {
  std::string name;
  std::string description;
};
const std::vector<ArgumentName>& argument_names();

inline constexpr int kSchemaVersion = 1;

}  // namespace facsim::backends::detail
