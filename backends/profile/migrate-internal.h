// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "backends/profile/profile_file.h"
#include "backends/profile/profile_text-internal.h"

namespace facsim::backends::detail {

/// One step of the format: what makes a file of version `from` one of `from` + 1. schema_version
/// itself is changed by whoever runs the steps.
struct Migration {
  int from = 0;
  std::string description;  ///< one sentence for people
  void (*apply)(TextNode& root) = nullptr;
};

/// All steps there are, the oldest first. A new version of the format adds its line here.
std::span<const Migration> migrations();

/// `text` brought to version `current` by `steps`, which must hold each version from the oldest
/// that is read. Errors as migrate_profile; `name` is the file's.
MigratedProfile migrate_text(std::string_view text, const std::string& name,
                             std::span<const Migration> steps, int current);

}  // namespace facsim::backends::detail
