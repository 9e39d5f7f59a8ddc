// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/core/error.h"

namespace facsim::cli {

inline std::filesystem::path without_trailing_slash(const std::filesystem::path& folder) {
  const std::filesystem::path normal = folder.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

/// Removes what processes that were killed left beside `target`: TARGET.tmp-PID of a PID that is no
/// process any more.
inline void remove_dead_stages(const std::filesystem::path& target) {
  const std::string start = target.filename().string() + ".tmp-";
  const auto folder = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  std::error_code error;
  std::vector<std::filesystem::path> dead;
  for (std::filesystem::directory_iterator it(folder, error), last; !error && it != last;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(start)) continue;
    const std::string_view digits = std::string_view(name).substr(start.size());
    pid_t pid = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
    const bool is_pid = failed == std::errc() && end == digits.data() + digits.size() && pid > 0;
    if (is_pid && kill(pid, 0) != 0 && errno == ESRCH) dead.push_back(it->path());
  }
  for (const auto& path : dead) std::filesystem::remove_all(path, error);
}

/// A folder that becomes `target` when it is complete, and is removed otherwise. An empty folder
/// that is there stays the same folder (it may be the one the user is in, or a mount): it takes the
/// files, the last of them by name at the end.
class StagedFolder {
 public:
  explicit StagedFolder(const std::filesystem::path& target) {
    std::error_code error;
    target_ = std::filesystem::weakly_canonical(target, error);
    if (error || target_.empty()) target_ = target;
    remove_dead_stages(target_);
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
    if (std::filesystem::is_directory(target_, error)) {
      move_content();
    } else {
      move(path_, target_);
    }
    std::filesystem::remove_all(path_, error);
    path_.clear();
  }

 private:
  static void move(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::error_code error;
    std::filesystem::rename(from, to, error);
    if (error) {
      throw Error({ErrorCode::io, to.string(), "cannot write: " + error.message(), "", ""});
    }
  }

  /// Folders first, then files by name.
  void move_content() {
    std::vector<std::pair<bool, std::string>> entries;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      entries.emplace_back(!entry.is_directory(), entry.path().filename().string());
    }
    std::sort(entries.begin(), entries.end());
    for (const auto& [is_file, name] : entries) move(path_ / name, target_ / name);
  }

  std::filesystem::path target_, path_;
};

}  // namespace facsim::cli
