// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <initializer_list>

namespace facsim::cli {

/// UsageError if the file `output` is one of `inputs`, by whatever path or link, or holds the
/// constants (NAME.npz) of a facsim network NAME.json among them: writing it would destroy what was
/// read. Files that do not exist are no inputs.
void require_not_an_input(const std::filesystem::path& output,
                          std::initializer_list<std::filesystem::path> inputs);

}  // namespace facsim::cli
