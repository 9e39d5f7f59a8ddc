// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <set>
#include <system_error>

#include "backends/profile/profile.h"
#include "backends/profile/resolve-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends {

namespace fs = std::filesystem;

ProfileSearch ProfileSearch::standard() {
  ProfileSearch search;
  if (const char* path = std::getenv("FACSIM_PROFILE_PATH")) {
    std::string_view rest = path;
    while (!rest.empty()) {
      const size_t colon = std::min(rest.find(':'), rest.size());
      if (colon > 0) search.folders.emplace_back(rest.substr(0, colon));
      rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
  }
  for (const char* configs : {FACSIM_SOURCE_CONFIGS, FACSIM_INSTALL_CONFIGS}) {
    std::error_code ignored;
    const fs::path folder = fs::path(configs) / "profiles";
    if (fs::is_directory(folder, ignored)) {
      search.folders.push_back(folder);
      break;
    }
  }
  return search;
}

std::vector<std::string> list_profiles(const ProfileSearch& search) {
  std::set<std::string> names;
  for (const fs::path& folder : search.folders) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      if (it->path().extension() == ".json" && it->is_regular_file(ignored)) {
        names.insert(it->path().stem().string());
      }
    }
  }
  return {names.begin(), names.end()};
}

namespace detail {

namespace {

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

bool is_there(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(file, ignored));
}

/// True if `file`, all links resolved, lies in `folder`.
bool lies_inside(const fs::path& file, const fs::path& folder) {
  std::error_code error;
  const fs::path real_file = fs::canonical(file, error);
  if (error) return false;
  const fs::path real_folder = fs::canonical(folder, error);
  if (error) return false;
  const auto [end_of_folder, ignored] =
      std::mismatch(real_folder.begin(), real_folder.end(), real_file.begin(), real_file.end());
  return end_of_folder == real_folder.end();
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

/// A path with '/' that stays below the folder it starts from, as written.
bool is_plain_relative_path(std::string_view text) {
  if (text.empty() || text.size() > 255 || text.front() == '/') return false;
  const auto is_refused = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '\\' || c == ':' || c == '%';
  };
  if (std::any_of(text.begin(), text.end(), is_refused)) return false;
  const fs::path path = fs::path(text).lexically_normal();
  return path != "." && path.has_filename() && *path.begin() != "..";
}

}  // namespace

fs::path find_profile(std::string_view name_or_path, const ProfileSearch& search) {
  if (name_or_path.find('/') != std::string_view::npos || name_or_path.ends_with(".json")) {
    return fs::path(name_or_path);
  }
  if (is_name(name_or_path)) {
    for (const fs::path& folder : search.folders) {
      fs::path file = folder / (std::string(name_or_path) + ".json");
      if (is_there(file)) return file;
    }
  }
  const std::vector<std::string> names = list_profiles(search);
  std::string hint = did_you_mean_hint(name_or_path, names);
  if (hint.empty()) hint = "facsim profile list shows all";
  throw Error({ErrorCode::io, "profile", "no profile \"" + std::string(name_or_path) + "\"",
               "a shipped name, or a path with '/' or ending in .json", hint});
}

fs::path find_base(std::string_view extends, const fs::path& file, const ProfileSearch& search,
                   std::string_view place) {
  const fs::path own_folder = folder_of(file);
  const auto refuse = [&](std::string found, std::string expected) {
    throw Error(
        {ErrorCode::bad_value, std::string(place), std::move(found), std::move(expected), ""});
  };
  const std::string quoted = "extends \"" + std::string(extends) + "\"";
  if (is_name(extends)) {
    std::vector<fs::path> folders = {own_folder};
    folders.insert(folders.end(), search.folders.begin(), search.folders.end());
    for (const fs::path& folder : folders) {
      fs::path base = folder / (std::string(extends) + ".json");
      if (!is_there(base)) continue;
      if (!lies_inside(base, folder)) {
        refuse(quoted + " leads outside " + folder.string(), "a file inside the folder");
      }
      return base;
    }
    throw Error({ErrorCode::bad_value, std::string(place),
                 "no profile \"" + std::string(extends) + "\"", "",
                 did_you_mean_hint(extends, list_profiles(search))});
  }
  if (!is_plain_relative_path(extends)) {
    refuse(quoted, "a shipped name, or a relative path inside " + own_folder.string());
  }
  fs::path base = own_folder / fs::path(extends).lexically_normal();
  if (!is_there(base)) refuse("no file " + base.string(), "");
  if (!lies_inside(base, own_folder)) {
    refuse(quoted + " leads outside " + own_folder.string(), "a file inside the folder");
  }
  return base;
}

}  // namespace detail
}  // namespace facsim::backends
