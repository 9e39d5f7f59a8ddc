// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/profile_file.h"

#include <algorithm>

#include <fmt/format.h>

#include "backends/io/npy.h"
#include "backends/profile/migrate-internal.h"
#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/profile_text-internal.h"
#include "sim/core/check.h"

namespace facsim::backends {

namespace {

constexpr uint64_t kMaxProfileBytes = uint64_t{1} << 20;

}  // namespace

std::string format_profile_text(std::string_view text, const std::string& name) {
  detail::ProfileText profile = detail::read_profile_text(text, name);
  detail::sort_members(profile.root, &detail::profile_fields());
  return detail::write_profile_text(profile);
}

FormattedProfile format_profile(const std::filesystem::path& file) {
  const std::string text = read_file(file, kMaxProfileBytes);
  FormattedProfile out{format_profile_text(text, file.string()), false};
  out.changed = out.text != text;
  return out;
}

MigratedProfile migrate_profile(const std::filesystem::path& file) {
  return detail::migrate_text(read_file(file, kMaxProfileBytes), file.string(),
                              detail::migrations(), detail::kSchemaVersion);
}

namespace detail {

std::span<const Migration> migrations() {
  return {};  // version 1 is the first
}

MigratedProfile migrate_text(std::string_view text, const std::string& name,
                             std::span<const Migration> steps, int current) {
  ProfileText profile = read_profile_text(text, name);
  const json::Document document = json::parse_json(
      text, name,
      {.max_bytes = kMaxProfileBytes, .max_depth = 64, .comments = json::Comments::allowed});
  const int oldest = steps.empty() ? current : steps.front().from;
  const std::string expected = fmt::format("\"schema_version\": {}..{}", oldest, current);
  if (!document.value.is_object()) {
    throw Error({ErrorCode::bad_value, document.place(""), shown(document.value),
                 "an object at the top level", ""});
  }
  const auto version = document.value.find("schema_version");
  if (version == document.value.end()) {
    throw Error({ErrorCode::missing_key, document.place(""), "missing \"schema_version\"", expected,
                 fmt::format("files without it were never read; try {}", oldest)});
  }
  const bool is_version = version->is_number_integer() && version->get<int64_t>() >= oldest &&
                          version->get<int64_t>() <= INT32_MAX;
  if (!is_version) {
    throw Error({ErrorCode::bad_value, document.place("/schema_version"),
                 "schema version " + shown(*version), expected, ""});
  }
  MigratedProfile out;
  out.from = version->get<int>();
  out.to = current;
  if (out.from > current) {
    throw Error({ErrorCode::unsupported, document.place("/schema_version"),
                 fmt::format("schema version {}, newer than this build", out.from), expected,
                 "a facsim that reads it"});
  }
  for (const Migration& step : steps) {
    if (step.from < out.from) continue;
    step.apply(profile.root);
    out.changes.push_back(step.description);
  }
  FACSIM_CHECK(static_cast<int>(out.changes.size()) == out.to - out.from);
  if (!out.changed()) {
    out.text = text;  // as it is, not even formatted
    return out;
  }
  profile.root.member("schema_version")->value.scalar = std::to_string(current);
  out.text = write_profile_text(profile);
  return out;
}

}  // namespace detail
}  // namespace facsim::backends
