// SPDX-License-Identifier: Apache-2.0
// A profile file for what was found.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/json/positioned_json-internal.h"
#include "backends/parity/identify-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using IdentifiedText = nlohmann::ordered_json;

/// The value of an override: JSON, or a bare word.
IdentifiedText override_json(const std::string& text) {
  IdentifiedText value = IdentifiedText::parse(text, nullptr, false);
  return value.is_discarded() ? IdentifiedText(text) : value;
}

/// Settings as the members of a profile: /a/b=1 is {"a": {"b": 1}}.
void set_in_profile(IdentifiedText& profile, const std::string& pointer,
                    const IdentifiedText& value) {
  const nlohmann::ordered_json::json_pointer at(pointer);
  if (profile.contains(at) && profile.at(at).is_object() && value.is_object()) {
    profile.at(at).merge_patch(value);
  } else {
    profile[at] = value;
  }
}

}  // namespace

void require_new_profile_file(const std::filesystem::path& file) {
  const std::string name = file.stem().string();
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (!plain || file.extension() != ".json") {
    throw Error({ErrorCode::bad_value, file.string(), "not the name of a profile's file",
                 "lower-case letters, digits and hyphens, then .json", ""});
  }
  std::error_code error;
  if (std::filesystem::exists(file, error)) {
    throw Error({ErrorCode::io, file.string(), "exists already", "the name of a new file", ""});
  }
}

std::vector<LintFinding> write_identified_profile(const std::filesystem::path& file,
                                                  const IdentifyCandidate& candidate,
                                                  const ProfileSearch& search,
                                                  const std::string& found_in) {
  require_new_profile_file(file);
  IdentifiedText profile = {
      {"schema_version", 1},
      {"name", file.stem().string()},
      {"title", fmt::format("Found by facsim identify; rules of {}{}", candidate.profile,
                            candidate.settings.empty() ? "" : " with changes")},
      {"extends", candidate.profile},
      {"evidence",
       {{"level", "assumed"}, {"sources", {fmt::format("facsim identify: {}", found_in)}}}}};
  for (const ProfileOverride& setting : candidate.settings) {
    set_in_profile(profile, setting.pointer, override_json(setting.value));
  }
  // Checked as a file: what does not read back is removed.
  const Profile wanted = load_profile(candidate.profile, search, candidate.settings);
  write_file_atomically(file, profile.dump(2) + "\n");
  try {
    const Profile got = load_profile(file.string(), search);
    if (got.fingerprint != wanted.fingerprint) {
      throw Error({ErrorCode::bad_value, file.string(), "other rules than the candidate's",
                   "the same", "a profile of that name is in the way"});
    }
    return lint_profile(file.string(), search);
  } catch (const Error&) {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
    throw;
  }
}

}  // namespace facsim::backends
