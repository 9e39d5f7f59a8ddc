// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/identify_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "backends/parity/knobs.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::IdentifyCandidate;
using backends::IdentifyClass;
using backends::IdentifyResult;
using Json = nlohmann::ordered_json;

/// Candidates of a list that the table shows; JSON has all.
constexpr size_t kShownCandidates = 12;

/// The value of a setting: JSON, or a bare word.
Json setting_json(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  return value.is_discarded() ? Json(text) : value;
}

Json candidate_json(const IdentifyCandidate& candidate) {
  Json json = {{"profile", candidate.profile}, {"ops", candidate.ops}};
  if (!candidate.evidence.empty()) json["evidence"] = candidate.evidence;
  json["settings"] = Json::object();
  for (const backends::ProfileOverride& setting : candidate.settings) {
    json["settings"][setting.pointer] = setting_json(setting.value);
  }
  return json;
}

}  // namespace

std::string settings_text(const IdentifyCandidate& candidate) {
  std::string text;
  for (const backends::ProfileOverride& setting : candidate.settings) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", setting.pointer, setting.value);
  }
  return text.empty() ? "as shipped" : text;
}

namespace {

std::string basis_text(const IdentifyClass& c) {
  if (c.programs == 1) return "proved: one program";
  return fmt::format("{} programs, not separated by {} directed vectors", c.programs,
                     with_commas(c.vectors));
}

}  // namespace

Json to_json(const IdentifyResult& result) {
  Json json = {{"rows", result.rows},         {"settings_tried", result.tried},
               {"programs", result.programs}, {"candidates", Json::array()},
               {"undecided", Json::array()},  {"classes", Json::array()},
               {"cannot_run", Json::array()}, {"nearest", Json::array()}};
  for (const IdentifyCandidate& candidate : result.candidates) {
    Json entry = candidate_json(candidate);
    entry["equivalence_class"] = candidate.equivalence_class;
    json["candidates"].push_back(std::move(entry));
  }
  for (size_t i = 0; i < result.classes.size(); ++i) {
    const IdentifyClass& c = result.classes[i];
    json["classes"].push_back({{"equivalence_class", i},
                               {"best", candidate_json(result.candidates[c.best])},
                               {"candidates", c.members},
                               {"programs", c.programs},
                               {"proved", c.programs == 1},
                               {"directed_vectors", c.vectors},
                               {"program", c.program}});
  }
  for (const backends::IdentifyUndecided& undecided : result.undecided) {
    Json values = Json::array();
    for (const auto& value : undecided.values) {
      values.push_back({{"value", setting_json(value.value)}, {"classes", value.classes}});
    }
    json["undecided"].push_back({{"pointer", undecided.pointer}, {"values", std::move(values)}});
  }
  for (const IdentifyCandidate& candidate : result.cannot_run) {
    Json entry = candidate_json(candidate);
    entry["explained"] = candidate.explained;
    entry["refused"] = candidate.refused;
    entry["reason"] = candidate.reason;
    json["cannot_run"].push_back(std::move(entry));
  }
  for (const IdentifyCandidate& candidate : result.nearest) {
    Json entry = candidate_json(candidate);
    entry["explained"] = candidate.explained;
    entry["refused"] = candidate.refused;
    json["nearest"].push_back(std::move(entry));
  }
  return json;
}

namespace {

void print_classes(const IdentifyResult& result) {
  using Align = TextTable::Align;
  TextTable table(
      {{"class", Align::right}, {"profile"}, {"settings"}, {"alike", Align::right}, {"basis"}});
  for (size_t i = 0; i < std::min(kShownCandidates, result.classes.size()); ++i) {
    const IdentifyClass& c = result.classes[i];
    const IdentifyCandidate& best = result.candidates[c.best];
    table.add_row({std::to_string(i), printable(best.profile), printable(settings_text(best)),
                   std::to_string(c.members - 1), basis_text(c)});
  }
  print(table.text());
  if (result.classes.size() > kShownCandidates) {
    print(fmt::format("... and {} classes more (--format json has all)\n",
                      result.classes.size() - kShownCandidates));
  }
}

void print_undecided(const IdentifyResult& result) {
  if (result.undecided.empty()) return;
  print("\nundecided:\n");
  for (const backends::IdentifyUndecided& undecided : result.undecided) {
    std::string values;
    for (size_t i = 0; i < std::min(kShownCandidates, undecided.values.size()); ++i) {
      values += (i > 0 ? " | " : "") + undecided.values[i].value;
    }
    if (undecided.values.size() > kShownCandidates) values += " | ...";
    print(fmt::format("  {}: {}\n", printable(undecided.pointer), printable(values)));
  }
}

void print_nearest(const IdentifyResult& result) {
  print("nothing that is known here reproduces all rows; the nearest:\n");
  using Align = TextTable::Align;
  TextTable table({{"explained", Align::right}, {"profile"}, {"settings"}});
  for (const IdentifyCandidate& candidate : result.nearest) {
    table.add_row(
        {fmt::format("{} of {}", with_commas(candidate.explained), with_commas(result.rows)),
         printable(candidate.profile), printable(settings_text(candidate))});
  }
  print(table.text());
}

void print_refusals(const IdentifyResult& result) {
  if (result.cannot_run.empty()) return;
  std::map<std::string, size_t> reasons;
  for (const IdentifyCandidate& candidate : result.cannot_run) ++reasons[candidate.reason];
  const auto most =
      std::max_element(reasons.begin(), reasons.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  print(
      fmt::format("\n{} settings contradict nothing but cannot run some or all rows: {}{}\n",
                  result.cannot_run.size(), printable(most->first),
                  reasons.size() > 1 ? fmt::format("; {} reasons more", reasons.size() - 1) : ""));
}

}  // namespace

void print_result(const IdentifyResult& result, std::string_view noun) {
  const size_t classes = result.classes.size();
  print(
      fmt::format("{} {}; {} settings tried, {} distinct programs; {} settings fit in {} "
                  "class{}\n\n",
                  with_commas(result.rows), noun, with_commas(result.tried),
                  with_commas(result.programs), with_commas(result.candidates.size()),
                  with_commas(static_cast<int64_t>(classes)), classes == 1 ? "" : "es"));
  if (classes == 0) {
    print_nearest(result);
  } else {
    print_classes(result);
  }
  print_undecided(result);
  print_refusals(result);
}

}  // namespace facsim::cli
