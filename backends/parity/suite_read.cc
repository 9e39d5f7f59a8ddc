// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <set>

#include "backends/json/object_reader-internal.h"
#include "backends/parity/suite-internal.h"
#include "backends/parity/suite.h"

namespace facsim::backends {

namespace {

namespace fs = std::filesystem;
using json::ObjectReader;
using Presence = ObjectReader::Presence;

constexpr size_t kMaxSuiteCases = 100000;
constexpr size_t kMaxApprovals = 100000;
constexpr size_t kMaxSettings = 1000;
constexpr json::ReadOptions kSuiteReading{.max_bytes = uint64_t{1} << 26, .max_depth = 8};

bool is_hex_of(std::string_view text, size_t digits) {
  return text.size() == digits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// "2026-11-29T00:44:10Z": the form, not the calendar.
bool is_utc_date(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";
  if (text.size() != kForm.size()) return false;
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !is_digit : text[i] != kForm[i]) return false;
  }
  return true;
}

class SuiteFileReader {
 public:
  explicit SuiteFileReader(json::Document document) : document_(std::move(document)) {}

  Suite read() {
    ObjectReader top(document_, document_.value, "", errors_);
    check_format(top);
    if (!errors_.empty()) throw Error(std::move(errors_));
    top.text("$schema", "");
    suite_.name = required_text(top, "name");
    if (const auto* network = top.member("network", Presence::required)) read_network(*network);
    if (const auto* profile = top.member("profile", Presence::required)) read_profile(*profile);
    const auto cases = top.list("cases", kMaxSuiteCases, Presence::required);
    for (size_t i = 0; i < cases.size(); ++i) read_case(cases[i], json::child("/cases", i));
    if (errors_.empty() && suite_.cases.empty()) top.fail("cases", "no case", "at least one");
    top.finish();
    if (!errors_.empty()) throw Error(std::move(errors_));
    return std::move(suite_);
  }

 private:
  void check_format(ObjectReader& top) {
    const std::string format = top.text("format");
    const int64_t version = top.integer("version", {1, INT32_MAX});
    if (!errors_.empty()) return;
    if (format != detail::kSuiteFormat) {
      top.fail("format", "\"" + format + "\"", "\"" + std::string(detail::kSuiteFormat) + "\"");
    }
    if (version > detail::kSuiteVersion) {
      top.fail("version", std::to_string(version),
               "at most " + std::to_string(detail::kSuiteVersion),
               "a newer facsim wrote this suite", ErrorCode::unsupported);
    }
  }

  std::string required_text(ObjectReader& reader, const char* key) {
    const size_t before = errors_.size();
    std::string text = reader.text(key);
    if (text.empty() && errors_.size() == before) reader.fail(key, "empty", "a text");
    return text;
  }

  std::string fingerprint(ObjectReader& reader, const char* key, size_t digits) {
    const size_t before = errors_.size();
    std::string text = reader.text(key);
    if (errors_.size() == before && !is_hex_of(text, digits)) {
      reader.fail(key, "\"" + text + "\"", std::to_string(digits) + " hex digits");
    }
    return text;
  }

  void read_network(const json::Json& value) {
    static const std::array<std::string, 2> kQdq = {"onnxruntime", "every"};
    ObjectReader reader(document_, value, "/network", errors_);
    suite_.network = required_text(reader, "file");
    suite_.qdq = reader.word("qdq", kQdq, "a choice of ONNX groups", "onnxruntime");
    if (const auto* dims = reader.member("dims", Presence::optional)) read_dims(*dims);
    reader.finish();
  }

  void read_dims(const json::Json& value) {
    ObjectReader reader(document_, value, "/network/dims", errors_);
    if (!value.is_object()) return;
    for (const auto& [key, extent] : value.items()) {
      suite_.dims[key] = reader.integer(key, {1, INT32_MAX});
    }
  }

  void read_profile(const json::Json& value) {
    ObjectReader reader(document_, value, "/profile", errors_);
    suite_.profile = required_text(reader, "name");
    const auto settings = reader.list("settings", kMaxSettings, Presence::optional);
    for (size_t i = 0; i < settings.size(); ++i) {
      ObjectReader setting(document_, settings[i], json::child("/profile/settings", i), errors_);
      std::string pointer = required_text(setting, "pointer");
      std::string text = required_text(setting, "value");
      suite_.settings.push_back({std::move(pointer), std::move(text)});
      setting.finish();
    }
    reader.finish();
  }

  SuiteGolden read_golden(const json::Json& value, std::string pointer) {
    static const std::array<std::string, 2> kOrigins = {"recorded", "simulated"};
    ObjectReader reader(document_, value, std::move(pointer), errors_);
    SuiteGolden golden;
    golden.fingerprint = fingerprint(reader, "fingerprint", 32);
    golden.origin = reader.word("origin", kOrigins, "an origin of goldens") == kOrigins[0]
                        ? SuiteGolden::Origin::recorded
                        : SuiteGolden::Origin::simulated;
    golden.network = fingerprint(reader, "network", 32);
    golden.profile = fingerprint(reader, "profile", 16);
    golden.facsim = required_text(reader, "facsim");
    const size_t before = errors_.size();
    golden.date = reader.text("date");
    if (errors_.size() == before && !is_utc_date(golden.date)) {
      reader.fail("date", "\"" + golden.date + "\"", "UTC as 2026-11-29T00:44:10Z");
    }
    golden.reason = required_text(reader, "reason");
    reader.finish();
    return golden;
  }

  void read_case(const json::Json& value, const std::string& pointer) {
    ObjectReader reader(document_, value, pointer, errors_);
    SuiteCase c;
    const size_t before = errors_.size();
    c.name = reader.text("name");
    if (errors_.size() == before && !is_suite_case_name(c.name)) {
      reader.fail("name", "\"" + c.name + "\"",
                  "1 to 100 letters, digits, '_', '-' and '.', no '.' in front");
    }
    if (!case_names_.insert(c.name).second) {
      reader.fail("name", "\"" + c.name + "\" names two cases", "a name of its own");
    }
    c.inputs_fingerprint = fingerprint(reader, "inputs", 32);
    if (const auto* golden = reader.member("golden", Presence::required)) {
      c.golden = read_golden(*golden, reader.pointer("golden"));
    }
    const auto history = reader.list("history", kMaxApprovals, Presence::optional);
    for (size_t i = 0; i < history.size(); ++i) {
      c.history.push_back(read_golden(history[i], json::child(reader.pointer("history"), i)));
    }
    reader.finish();
    suite_.cases.push_back(std::move(c));
  }

  json::Document document_;
  std::vector<ErrorInfo> errors_;
  Suite suite_;
  std::set<std::string> case_names_;
};

bool is_path(std::string_view profile) {
  return profile.find('/') != std::string_view::npos || profile.ends_with(".json");
}

/// `file` as seen from `folder`, without "..". Behind a symbolic link "LINK/.." is not LINK's own
/// folder: then the path as the system resolves it.
fs::path file_beside(const fs::path& folder, const fs::path& file) {
  const fs::path path = folder / file, normal = path.lexically_normal();
  std::error_code absent;
  if (!fs::exists(path, absent) || fs::equivalent(path, normal, absent)) return normal;
  return fs::weakly_canonical(path, absent);
}

constexpr size_t kFingerprintInName = 16;

}  // namespace

std::string_view to_string(SuiteGolden::Origin origin) {
  return origin == SuiteGolden::Origin::recorded ? "recorded" : "simulated";
}

bool is_suite_case_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= 100 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), is_letter);
}

fs::path Suite::network_file(const fs::path& folder) const { return file_beside(folder, network); }

std::string Suite::profile_of(const fs::path& folder) const {
  if (!is_path(profile)) return profile;
  const std::string file = file_beside(folder, profile).string();
  return is_path(file) ? file : "./" + file;
}

fs::path suite_inputs_file(const fs::path& folder, const SuiteCase& c) {
  return folder / "cases" / c.name / "inputs.npz";
}

fs::path suite_golden_file(const fs::path& folder, const SuiteCase& c) {
  return folder / "cases" / c.name /
         ("golden-" + c.golden.fingerprint.substr(0, kFingerprintInName) + ".npz");
}

fs::path suite_received_file(const fs::path& folder, const SuiteCase& c) {
  return folder / "cases" / c.name / "received.npz";
}

fs::path suite_profile_file(const fs::path& folder, std::string_view fingerprint) {
  return folder / ("profile-" + std::string(fingerprint) + ".json");
}

Suite read_suite(const fs::path& folder) {
  return SuiteFileReader(json::read_json(folder / detail::kSuiteFileName, kSuiteReading)).read();
}

Suite detail::suite_from_text(std::string_view text, const std::string& name) {
  return SuiteFileReader(json::parse_json(text, name, kSuiteReading)).read();
}

}  // namespace facsim::backends
