// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/identify_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "backends/parity/knobs.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::IdentifyCandidate;
using backends::IdentifyClass;
using backends::IdentifyExclusion;
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
  return fmt::format("{} programs, not separated by {}", c.programs,
                     counted(c.vectors, "directed vector"));
}

/// Classes of each profile that fits as shipped.
std::map<std::string, std::set<int>> fitting_profiles(const IdentifyResult& result) {
  std::map<std::string, std::set<int>> fitting;
  for (const IdentifyCandidate& candidate : result.candidates) {
    if (candidate.settings.empty()) {
      fitting[candidate.profile].insert(candidate.equivalence_class);
    }
  }
  return fitting;
}

Json number_json(const std::optional<double>& number) {
  if (!number) return nullptr;
  const auto integer = static_cast<int64_t>(*number);
  return static_cast<double>(integer) == *number ? Json(integer) : Json(*number);
}

Json exclusion_json(const IdentifyExclusion& exclusion) {
  Json json = {
      {"profile", exclusion.profile}, {"evidence", exclusion.evidence}, {"ops", exclusion.ops}};
  if (exclusion.layer.empty()) {
    json["row"] = exclusion.index.front();
  } else {
    json["layer"] = exclusion.layer;
    if (exclusion.reason.empty()) json["index"] = exclusion.index;
  }
  if (!exclusion.reason.empty()) {
    json["reason"] = exclusion.reason;
    return json;
  }
  json["expected"] = number_json(exclusion.expected);
  json["computed"] = number_json(exclusion.computed);
  return json;
}

Json shipped_json(const IdentifyResult& result) {
  Json json = {{"tried", result.shipped}, {"fitting", Json::array()}, {"excluded", Json::array()}};
  for (const auto& [profile, classes] : fitting_profiles(result)) {
    json["fitting"].push_back({{"profile", profile}, {"classes", classes}});
  }
  for (const IdentifyExclusion& one : result.excluded) {
    json["excluded"].push_back(exclusion_json(one));
  }
  return json;
}

}  // namespace

Json to_json(const IdentifyResult& result) {
  Json json = {{"format", "facsim-identify"}, {"version", 1},
               {"rows", result.rows},         {"settings_tried", result.tried},
               {"programs", result.programs}, {"candidates", Json::array()},
               {"undecided", Json::array()},  {"classes", Json::array()},
               {"cannot_run", Json::array()}, {"nearest", Json::array()}};
  json["shipped"] = shipped_json(result);
  for (const IdentifyCandidate& candidate : result.candidates) {
    Json entry = candidate_json(candidate);
    entry["equivalence_class"] = candidate.equivalence_class;
    json["candidates"].push_back(std::move(entry));
  }
  for (size_t i = 0; i < result.classes.size(); ++i) {
    const IdentifyClass& c = result.classes[i];
    Json not_separated = Json::array();
    for (const backends::IdentifyUndecided& setting : c.not_separated) {
      Json values = Json::array();
      for (const auto& value : setting.values) values.push_back(setting_json(value.value));
      not_separated.push_back({{"pointer", setting.pointer}, {"values", std::move(values)}});
    }
    json["classes"].push_back({{"equivalence_class", i},
                               {"best", candidate_json(result.candidates[c.best])},
                               {"candidates", c.members},
                               {"programs", c.programs},
                               {"proved", c.programs == 1},
                               {"directed_vectors", c.vectors},
                               {"program", c.program},
                               {"not_separated", std::move(not_separated)}});
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
    print(fmt::format("... and {} more (--format json has all)\n",
                      counted(result.classes.size() - kShownCandidates, "class", "classes")));
  }
}

/// Names one after the other, in lines of at most kLine characters, `indent` in front of each.
std::string name_lines(const std::string& head, const std::set<std::string>& names) {
  constexpr size_t kLine = 110;
  std::string text, line = "  " + head;
  bool is_first = true;
  for (const std::string& name : names) {
    const std::string word = (is_first ? " " : ", ") + printable(name);
    if (line.size() + word.size() > kLine) {
      text += line + ",\n";
      line = "      " + printable(name);
    } else {
      line += word;
    }
    is_first = false;
  }
  return text + line + "\n";
}

/// "row 3, device -120: -119 by".
std::string exclusion_text(const IdentifyExclusion& exclusion) {
  std::string text;
  if (exclusion.layer.empty()) {
    text = fmt::format("row {}", exclusion.index.front());
  } else {
    text = printable(exclusion.layer);
    if (exclusion.reason.empty()) text += fmt::format(" [{}]", fmt::join(exclusion.index, ","));
  }
  if (!exclusion.reason.empty()) return fmt::format("{}: {} by", text, exclusion.reason);
  const std::string device =
      exclusion.expected ? fmt::format("device {}", *exclusion.expected) : "refused by the device";
  return fmt::format("{}, {}: {} by", text, device, exclusion.computed.value_or(0));
}

/// Every shipped profile by name: those that fit by class, the others by what excludes them.
void print_shipped(const IdentifyResult& result) {
  if (result.shipped == 0) return;
  std::map<int, std::set<std::string>> fitting;
  for (const auto& [profile, classes] : fitting_profiles(result)) {
    for (const int c : classes) fitting[c].insert(profile);
  }
  print(fmt::format("\n{} tried as shipped; ", counted(result.shipped, "profile")));
  print(fitting.empty() ? "none fits\n" : "these fit:\n");
  for (const auto& [number, names] : fitting) {
    print(name_lines(fmt::format("class {}:", number), names));
  }
  if (result.excluded.empty()) return;
  struct Group {
    bool is_executed = false;
    std::set<std::string> names;
  };
  std::map<std::string, Group> groups;
  for (const IdentifyExclusion& exclusion : result.excluded) {
    Group& group = groups[exclusion_text(exclusion)];
    group.is_executed |= exclusion.evidence == "executed";
    group.names.insert(exclusion.profile);
  }
  std::vector<std::pair<std::string, Group>> order(groups.begin(), groups.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    if (a.second.is_executed != b.second.is_executed) return a.second.is_executed;
    return a.second.names.size() > b.second.names.size();
  });
  print(fmt::format("excluded: {}, each by the first that it does not reproduce:\n",
                    counted(result.excluded.size(), "profile")));
  for (size_t i = 0; i < std::min(kShownCandidates, order.size()); ++i) {
    print(name_lines(order[i].first, order[i].second.names));
  }
  if (order.size() > kShownCandidates) {
    print(fmt::format("... and {} more (--format json has all)\n",
                      counted(order.size() - kShownCandidates, "line")));
  }
}

void print_settings(const std::vector<backends::IdentifyUndecided>& settings) {
  for (const backends::IdentifyUndecided& undecided : settings) {
    std::string values;
    for (size_t i = 0; i < std::min(kShownCandidates, undecided.values.size()); ++i) {
      values += (i > 0 ? " | " : "") + undecided.values[i].value;
    }
    if (undecided.values.size() > kShownCandidates) values += " | ...";
    print(fmt::format("  {}: {}\n", printable(undecided.pointer), printable(values)));
  }
}

void print_undecided(const IdentifyResult& result) {
  if (!result.undecided.empty()) {
    print("\nundecided:\n");
    print_settings(result.undecided);
  }
  for (size_t i = 0; i < result.classes.size(); ++i) {
    const IdentifyClass& c = result.classes[i];
    if (c.not_separated.empty()) continue;
    print(fmt::format("\nclass {}: {} do not separate these, and nothing proves them equal:\n", i,
                      counted(c.vectors, "directed vector")));
    print_settings(c.not_separated);
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
  print(fmt::format(
      "\n{} nothing but cannot run some or all rows: {}{}\n",
      result.cannot_run.size() == 1 ? "1 setting contradicts"
                                    : counted(result.cannot_run.size(), "setting") + " contradict",
      printable(most->first),
      reasons.size() > 1 ? fmt::format("; and {} more", counted(reasons.size() - 1, "reason"))
                         : ""));
}

}  // namespace

void print_result(const IdentifyResult& result, std::string_view noun) {
  const size_t classes = result.classes.size();
  print(fmt::format("{}; {} tried, {}; {} in {}\n\n", counted(result.rows, noun),
                    counted(result.tried, "setting"), counted(result.programs, "distinct program"),
                    result.candidates.size() == 1
                        ? "1 setting fits"
                        : counted(result.candidates.size(), "setting") + " fit",
                    counted(classes, "class", "classes")));
  if (classes == 0) {
    print_nearest(result);
  } else {
    print_classes(result);
  }
  print_shipped(result);
  print_undecided(result);
  print_refusals(result);
}

Json limits_json(const IdentifyResult& result, const backends::IdentifyLimits& limits) {
  Json json = Json::object();
  if (limits.acc) json["acc_range"] = {limits.acc->first, limits.acc->second};
  json["keep_scales"] = limits.keeps_parameters;
  if (result.separable) json["separable_classes"] = *result.separable;
  return json;
}

void print_limits(const IdentifyResult& result, const backends::IdentifyLimits& limits) {
  const size_t classes = result.classes.size();
  if (classes <= 1 || !result.separable || *result.separable == classes) return;
  std::string rows = "rows";
  if (limits.acc) {
    rows += fmt::format(" with accumulators {} to {}", limits.acc->first, limits.acc->second);
  }
  if (limits.keeps_parameters)
    rows += fmt::format(" {}the recorded scales", limits.acc ? "and " : "with ");
  if (*result.separable == 1) {
    print(
        fmt::format("\nnothing to suggest: no {} were found that tell any of the {} classes "
                    "apart; all of them stay\n",
                    rows, classes));
  } else {
    print(
        fmt::format("\n{} tell the {} classes apart in {} groups at most; within a group they "
                    "stay\n",
                    rows, classes, *result.separable));
  }
}

}  // namespace facsim::cli
