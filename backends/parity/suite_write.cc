// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "backends/json/positioned_json-internal.h"
#include "backends/parity/suite-internal.h"
#include "backends/parity/suite.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

namespace fs = std::filesystem;
using SuiteJson = nlohmann::ordered_json;

SuiteJson golden_json(const SuiteGolden& golden) {
  return {{"fingerprint", golden.fingerprint},
          {"origin", to_string(golden.origin)},
          {"network", golden.network},
          {"profile", golden.profile},
          {"facsim", golden.facsim},
          {"date", golden.date},
          {"reason", golden.reason}};
}

SuiteJson suite_case_json(const SuiteCase& c) {
  SuiteJson json = {{"name", c.name},
                    {"inputs", c.inputs_fingerprint},
                    {"golden", golden_json(c.golden)},
                    {"history", SuiteJson::array()}};
  for (const SuiteGolden& golden : c.history) json["history"].push_back(golden_json(golden));
  return json;
}

SuiteJson suite_json(const Suite& suite) {
  SuiteJson json = {{"format", detail::kSuiteFormat},
                    {"version", detail::kSuiteVersion},
                    {"name", suite.name},
                    {"network", {{"file", suite.network}}},
                    {"profile", {{"name", suite.profile}}},
                    {"cases", SuiteJson::array()}};
  if (!suite.dims.empty()) json["network"]["dims"] = suite.dims;
  if (suite.qdq != "onnxruntime") json["network"]["qdq"] = suite.qdq;
  for (const ProfileOverride& setting : suite.settings) {
    json["profile"]["settings"].push_back({{"pointer", setting.pointer}, {"value", setting.value}});
  }
  for (const SuiteCase& c : suite.cases) json["cases"].push_back(suite_case_json(c));
  return json;
}

using Settings = std::map<std::string, std::string>;

/// Every value that is no object, lists as a whole, as JSON by pointer.
void add_settings(const nlohmann::json& value, const std::string& pointer, Settings& settings) {
  if (!value.is_object() || value.empty()) {
    settings[pointer] = value.dump();
    return;
  }
  for (const auto& [key, member] : value.items()) {
    add_settings(member, json::child(pointer, key), settings);
  }
}

Settings settings_of(std::string_view text, std::string name) {
  nlohmann::json profile = json::parse_json(text, std::move(name), {.max_bytes = UINT64_MAX}).value;
  if (!profile.is_object()) {
    throw Error({ErrorCode::bad_json, "profile", "not an object", "a resolved profile", ""});
  }
  for (const char* prose : {"$schema", "schema_version", "name", "title", "evidence", "extends"}) {
    profile.erase(prose);
  }
  Settings settings;
  add_settings(profile, "", settings);
  return settings;
}

}  // namespace

void write_suite(const fs::path& folder, const Suite& suite) {
  const fs::path file = folder / detail::kSuiteFileName;
  const SuiteJson json = suite_json(suite);
  std::string text;
  try {
    text = json.dump(2) + "\n";
  } catch (const nlohmann::json::exception&) {
    throw Error({ErrorCode::bad_value, file.string(), "a text that is not UTF-8", "UTF-8", ""});
  }
  detail::suite_from_text(text, file.string());  // refuses what could not be read again
  write_file_atomically(file, text);
}

namespace {

/// Whether approvals write files of such a name: start, 16 hex digits of the content, end.
bool is_named_by_content(std::string_view file, std::string_view start, std::string_view end) {
  constexpr size_t kDigits = 16;
  return file.size() == start.size() + kDigits + end.size() && file.starts_with(start) &&
         file.ends_with(end) &&
         file.substr(start.size(), kDigits).find_first_not_of("0123456789abcdef") ==
             std::string_view::npos;
}

/// Whether a file is what a process left that was killed while it wrote: NAME.tmp-SUFFIX, an hour
/// old, so that nobody is writing it.
bool is_abandoned(const fs::directory_entry& entry, std::string_view start) {
  const std::string name = entry.path().filename().string();
  if (!name.starts_with(start) || name.find(".tmp-") == std::string::npos) return false;
  std::error_code error;
  const auto written = entry.last_write_time(error);
  return !error && fs::file_time_type::clock::now() - written > std::chrono::hours(1);
}

}  // namespace

void remove_unused_suite_files(const fs::path& folder, const Suite& suite) {
  std::set<fs::path> used;
  for (const SuiteCase& c : suite.cases) {
    used.insert(suite_golden_file(folder, c));
    used.insert(suite_profile_file(folder, c.golden.profile));
  }
  const auto remove_in = [&](const fs::path& in, std::string_view start, std::string_view end) {
    std::error_code error;
    std::vector<fs::path> unused;
    for (fs::directory_iterator it(in, error), last; !error && it != last; it.increment(error)) {
      const std::string file = it->path().filename().string();
      const bool is_old = is_named_by_content(file, start, end) && !used.contains(it->path());
      if (is_old || is_abandoned(*it, start)) unused.push_back(it->path());
    }
    for (const fs::path& path : unused) fs::remove(path, error);
  };
  remove_in(folder, "profile-", ".json");
  remove_in(folder, detail::kSuiteFileName, ".json");
  for (const SuiteCase& c : suite.cases) {
    remove_in(suite_golden_file(folder, c).parent_path(), "golden-", ".npz");
    remove_in(suite_golden_file(folder, c).parent_path(), "received", ".npz");
  }
}

std::vector<SettingChange> changed_settings(std::string_view before, std::string_view now) {
  const Settings a = settings_of(before, "profile before");
  const Settings b = settings_of(now, "profile now");
  std::set<std::string> pointers;
  for (const auto& [pointer, value] : a) pointers.insert(pointer);
  for (const auto& [pointer, value] : b) pointers.insert(pointer);
  const auto text = [](const Settings& settings, const std::string& pointer) {
    const auto found = settings.find(pointer);
    return found == settings.end() ? std::string() : found->second;
  };
  std::vector<SettingChange> changes;
  for (const std::string& pointer : pointers) {
    SettingChange change{pointer, text(a, pointer), text(b, pointer)};
    if (change.before != change.now) changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace facsim::backends
