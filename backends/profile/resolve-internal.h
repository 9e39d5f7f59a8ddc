// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backends/json/positioned_json-internal.h"
#include "backends/profile/field-internal.h"
#include "backends/profile/profile.h"

namespace facsim::backends::detail {

inline constexpr int kMaxChain = 16;

/// A profile with everything it extends merged in, overrides applied, checked against
/// profile_fields and defaults filled in; no rule has been interpreted yet.
struct ResolvedProfile {
  /// One text that set values: a file of the chain, or an override.
  struct Source {
    json::Document document;
    bool is_override = false;
  };
  Json value;
  std::vector<Source> sources;  ///< the base first, overrides last
  /// Who set the value at a pointer: index into `sources`. Absent: a default of the format.
  std::map<std::string, size_t, std::less<>> origin;
  std::filesystem::path file;

  /// "file:LINE:COLUMN /pointer" of who set it; of the nearest object that is written for a
  /// default.
  std::string place(std::string_view pointer) const;
  std::string key_place(std::string_view pointer) const;
  Placer placer() const;
};

/// Throws Error with all findings of the text and of the fields.
ResolvedProfile resolve_profile(std::string_view name_or_path, const ProfileSearch& search,
                                const std::vector<ProfileOverride>& overrides);

/// Merges one `--set` into a resolved profile; what cannot be set goes to `errors`.
void apply_override(ResolvedProfile& resolved, const ProfileOverride& setting,
                    std::vector<ErrorInfo>& errors);

/// The file of a shipped name or path. Error io with the nearest name.
std::filesystem::path find_profile(std::string_view name_or_path, const ProfileSearch& search);

/// The file an `extends` value means, seen from `file`. Refuses with Error bad_value (`place`)
/// everything that is not a regular file inside the file's own folder or, for a name, a search
/// folder, after resolving symbolic links.
std::filesystem::path find_base(std::string_view extends, const std::filesystem::path& file,
                                const ProfileSearch& search, std::string_view place);

/// 16 hex digits: xxhash64 of the resolved rules, keys sorted, without names and prose ($schema,
/// name, title, evidence): two profiles with the same rules have the same fingerprint.
std::string fingerprint(const Json& resolved);

}  // namespace facsim::backends::detail
