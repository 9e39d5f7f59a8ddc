// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace facsim::backends {

/// Every field of a profile as a Markdown page: pointer, allowed values, default, meaning, an
/// example with numbers; then the arguments that steps may name. As shipped in configs/FIELDS.md.
std::string profile_field_table();

}  // namespace facsim::backends
