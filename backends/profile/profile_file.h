// SPDX-License-Identifier: Apache-2.0
// Profiles as files that people edit: putting them in order, starting one, moving one to the
// current format. All of it works on text and keeps comments; nothing here writes a file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/profile.h"

namespace facsim::backends {

/// The text of a profile in canonical form: keys in the order of the format's fields
/// (`facsim profile fields`), names chosen by the author in theirs, keys that the format does not
/// have last; two spaces a level. An object with a line break behind its brace, a comment in it or
/// a member that has either takes a line a member; every other stays on its line, and is wrapped
/// behind its brace where that would pass column 100. Comments stay with the member they stand
/// before or behind, single blank lines with the member below; numbers and texts stay as written.
/// The result means the same and formats to itself. Error bad_json, duplicate_key, bad_value with
/// the place in `name`.
std::string format_profile_text(std::string_view text, const std::string& name);

/// The same of a file, at most 1 MiB. Error io as well.
struct FormattedProfile {
  std::string text;
  bool changed = false;
};
FormattedProfile format_profile(const std::filesystem::path& file);

/// A profile file's text in the current version of the format.
struct MigratedProfile {
  int from = 0, to = 0;  ///< schema_version before and after
  std::string text;
  std::vector<std::string> changes;  ///< what was done, one sentence a step
  bool changed() const { return from != to; }
};
/// Error missing_key or bad_value (schema_version), unsupported for a file that is newer than this
/// build.
MigratedProfile migrate_profile(const std::filesystem::path& file);

/// What a new profile starts from.
struct NewProfile {
  std::string name;            ///< also the file's, without .json
  std::string base;            ///< a shipped name, or a path inside the file's folder
  std::filesystem::path file;  ///< where it will be written
};
/// A commented profile that computes as its base until somebody changes it: it extends the base and
/// repeats the rules a vendor looks up first, each with its meaning and its words. Its fingerprint
/// is the base's. Error bad_value for a name that is none, a file of another name and a base that
/// the file cannot extend; errors of load_profile for the base.
std::string new_profile_text(const NewProfile& request, const ProfileSearch& search);

}  // namespace facsim::backends
