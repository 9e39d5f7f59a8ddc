// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/sarif.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace facsim::cli {

namespace {

using SarifJson = nlohmann::ordered_json;

struct SarifPlace {
  std::string file, pointer;
  std::optional<int> line, column;
};

/// Takes ":N" from the end of `text`.
std::optional<int> take_number(std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return {};
  int number = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data() + colon + 1, end, number);
  if (result.ec != std::errc() || result.ptr != end || number < 1) return {};
  text.erase(colon);
  return number;
}

SarifPlace parsed_place(const std::string& text) {
  SarifPlace place;
  const size_t pointer = text.find(" /");
  place.file = text.substr(0, pointer);
  if (pointer != std::string::npos) place.pointer = text.substr(pointer + 1);
  place.column = take_number(place.file);
  place.line = take_number(place.file);
  if (!place.line) {  // not a position in a file: "--set", a name
    place.column.reset();
    if (!place.file.ends_with(".json")) place.file.clear();
  }
  return place;
}

/// RFC 3986: everything but unreserved letters and '/' as %XX.
std::string uri_of(std::string_view path) {
  std::string uri;
  for (const char c : path) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') ||
                          std::string_view("-._~/").find(c) != std::string_view::npos;
    uri += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return uri;
}

SarifJson artifact_of(const std::string& file, const std::filesystem::path& root) {
  const auto absolute = std::filesystem::absolute(file).lexically_normal();
  const auto relative = absolute.lexically_relative(std::filesystem::absolute(root));
  if (relative.empty() || *relative.begin() == "..") {
    return {{"uri", "file://" + uri_of(absolute.generic_string())}};
  }
  return {{"uri", uri_of(relative.generic_string())}, {"uriBaseId", "%SRCROOT%"}};
}

SarifJson location_of(const SarifPlace& place, const std::filesystem::path& root) {
  SarifJson location = SarifJson::object();
  if (!place.file.empty()) {
    location["physicalLocation"]["artifactLocation"] = artifact_of(place.file, root);
    if (place.line) {
      location["physicalLocation"]["region"] = {{"startLine", *place.line},
                                                {"startColumn", place.column.value_or(1)}};
    }
  }
  if (!place.pointer.empty()) {
    location["logicalLocations"] = {{{"fullyQualifiedName", place.pointer}, {"kind", "member"}}};
  }
  return location;
}

/// "accumulator-overflow" as a sentence's beginning: "Accumulator overflow".
std::string title_of(const std::string& rule) {
  std::string title = rule;
  std::replace(title.begin(), title.end(), '-', ' ');
  if (!title.empty() && title[0] >= 'a' && title[0] <= 'z') title[0] += 'A' - 'a';
  return title;
}

std::string_view level_of(const SarifFinding& finding) {
  return finding.is_error ? "error" : "warning";
}

}  // namespace

SarifFinding sarif_finding(const backends::LintFinding& finding) {
  return {finding.rule, finding.is_error, finding.place, finding.message};
}

SarifFinding sarif_finding(const ErrorInfo& info) {
  std::string rule = "load-" + std::string(to_string(info.code));
  std::replace(rule.begin(), rule.end(), '_', '-');
  ErrorInfo unplaced = info;
  unplaced.place.clear();
  return {std::move(rule), true, info.place, to_string(unplaced)};
}

SarifJson sarif_log(const std::vector<SarifFinding>& findings, const std::filesystem::path& root) {
  std::vector<std::string> ids;
  SarifJson rules = SarifJson::array(), results = SarifJson::array();
  for (const SarifFinding& finding : findings) {
    auto found = std::find(ids.begin(), ids.end(), finding.rule);
    const auto index = found - ids.begin();
    if (found == ids.end()) {
      ids.push_back(finding.rule);
      rules.push_back({{"id", finding.rule},
                       {"shortDescription", {{"text", title_of(finding.rule)}}},
                       {"defaultConfiguration", {{"level", level_of(finding)}}}});
    }
    SarifJson result = {{"ruleId", finding.rule},
                        {"ruleIndex", index},
                        {"level", level_of(finding)},
                        {"message", {{"text", finding.message}}}};
    const SarifJson location = location_of(parsed_place(finding.place), root);
    if (!location.empty()) result["locations"] = SarifJson::array({location});
    results.push_back(std::move(result));
  }
  SarifJson run = {
      {"tool",
       {{"driver",
         {{"name", "facsim"}, {"semanticVersion", FACSIM_VERSION}, {"rules", std::move(rules)}}}}},
      {"columnKind", "unicodeCodePoints"},
      {"results", std::move(results)}};
  return {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
          {"version", "2.1.0"},
          {"runs", SarifJson::array({std::move(run)})}};
}

}  // namespace facsim::cli
