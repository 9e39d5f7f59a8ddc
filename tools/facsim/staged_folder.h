// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "sim/core/error.h"

namespace facsim::cli {

inline std::filesystem::path without_trailing_slash(const std::filesystem::path& folder) {
  const std::filesystem::path normal = folder.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

/// A folder that becomes `target` when it is complete, and is removed otherwise.
class StagedFolder {
 public:
  explicit StagedFolder(std::filesystem::path target) : target_(std::move(target)) {
    path_ = target_;
    path_ += fmt::format(".tmp-{}", getpid());
    make(path_);
  }
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;
  ~StagedFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  static void make(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) {
      throw Error({ErrorCode::io, folder.string(), "cannot write: " + error.message(), "", ""});
    }
  }
  void commit() {
    std::error_code error;
    std::filesystem::rename(path_, target_, error);
    if (error) {
      throw Error({ErrorCode::io, target_.string(), "cannot write: " + error.message(), "", ""});
    }
    path_.clear();
  }

 private:
  std::filesystem::path target_, path_;
};

}  // namespace facsim::cli
