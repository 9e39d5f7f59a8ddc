// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "sim/core/error.h"

namespace facsim::cli {

/// A folder for temporary files, which is removed at the end.
class ScratchFolder {
 public:
  /// Error io.
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "facsim-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw Error({ErrorCode::io, name, std::strerror(errno), "a folder for temporary files", ""});
    }
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace facsim::cli
