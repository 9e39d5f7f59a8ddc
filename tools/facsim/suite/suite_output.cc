// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/suite/suite_output.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/parity/junit.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::JunitCase;
using backends::JunitSuite;
using backends::SettingChange;
using backends::TensorComparison;
using SuiteRunJson = nlohmann::ordered_json;

constexpr size_t kSettingsShown = 12;

std::string bracketed(const std::vector<int64_t>& index) {
  return fmt::format("[{}]", fmt::join(index, ","));
}

const TensorComparison* first_different(const SuiteCaseRun& c) {
  for (const TensorComparison& t : c.report.tensors) {
    if (t.mismatches > 0) return &t;
  }
  return nullptr;
}

SuiteRunJson suite_error_json(const std::vector<ErrorInfo>& errors) {
  SuiteRunJson json = SuiteRunJson::array();
  for (const ErrorInfo& info : errors) {
    json.push_back({{"code", to_string(info.code)}, {"text", to_string(info)}});
  }
  return json;
}

SuiteRunJson suite_change_json(const SuiteChange& change) {
  SuiteRunJson json = {{"what", to_string(change.what)},
                       {"before", change.before},
                       {"now", change.now},
                       {"settings", SuiteRunJson::array()}};
  for (const SettingChange& setting : change.settings) {
    json["settings"].push_back(
        {{"pointer", setting.pointer}, {"before", setting.before}, {"now", setting.now}});
  }
  return json;
}

SuiteRunJson suite_layer_json(const TensorComparison& t, const LayerNames& layers) {
  SuiteRunJson json = {{"name", t.name},
                       {"dtype", to_string(t.dtype)},
                       {"shape", t.shape.extents()},
                       {"compared", t.compared},
                       {"mismatches", t.mismatches},
                       {"max_difference", t.max_difference},
                       {"first", SuiteRunJson::array()}};
  if (const std::string* node = layers.node(t.name)) json["node"] = *node;
  for (const backends::Mismatch& m : t.first) {
    json["first"].push_back({{"index", m.index},
                             {"got", m.got},
                             {"expected", m.expected},
                             {"difference", m.difference}});
  }
  return json;
}

SuiteRunJson case_run_json(const SuiteRun& run, const SuiteCaseRun& c) {
  SuiteRunJson json = {{"name", c.name},
                       {"status", to_string(c.status)},
                       {"errors", suite_error_json(c.errors)},
                       {"changes", SuiteRunJson::array()},
                       {"inputs", c.inputs_file.string()},
                       {"golden", c.golden_file.string()},
                       {"compared", c.report.compared()},
                       {"mismatches", c.report.mismatches()},
                       {"max_difference", c.report.max_difference()},
                       {"seconds", c.seconds},
                       {"structure", SuiteRunJson::array()},
                       {"layers", SuiteRunJson::array()},
                       {"next", next_commands(run, c)}};
  for (const SuiteChange& change : c.changes) json["changes"].push_back(suite_change_json(change));
  for (const auto& difference : c.report.structure) {
    json["structure"].push_back(to_string(difference));
  }
  for (const TensorComparison& t : c.report.tensors) {
    json["layers"].push_back(suite_layer_json(t, c.layers));
  }
  if (!c.received_file.empty()) json["received"] = c.received_file.string();
  return json;
}

SuiteRunJson suite_run_json(const SuiteRun& run) {
  SuiteRunJson json = {
      {"folder", run.folder.string()},
      {"name", run.name},
      {"status", to_string(run.status)},
      {"errors", suite_error_json(run.errors)},
      {"network", {{"file", run.network_file}, {"fingerprint", run.network_fingerprint}}},
      {"profile",
       {{"name", run.profile},
        {"fingerprint", run.profile_fingerprint},
        {"settings", SuiteRunJson::array()}}},
      {"cases", SuiteRunJson::array()}};
  for (const auto& setting : run.settings) {
    json["profile"]["settings"].push_back({{"pointer", setting.pointer}, {"value", setting.value}});
  }
  for (const SuiteCaseRun& c : run.cases) json["cases"].push_back(case_run_json(run, c));
  return json;
}

int64_t cases_with(const std::vector<SuiteRun>& runs, SuiteStatus status) {
  int64_t sum = 0;
  for (const SuiteRun& run : runs) {
    if (run.cases.empty()) sum += run.status == status ? 1 : 0;
    sum += std::count_if(run.cases.begin(), run.cases.end(),
                         [&](const SuiteCaseRun& c) { return c.status == status; });
  }
  return sum;
}

std::string suite_verdict(SuiteStatus status, bool color) {
  switch (status) {
    case SuiteStatus::passed:
      return colored("PASSED", Color::green, color);
    case SuiteStatus::failed:
      return colored("FAILED", Color::red, color);
    case SuiteStatus::unsupported:
      return colored("UNSUPPORTED", Color::yellow, color);
    case SuiteStatus::invalid:
      break;
  }
  return colored("INVALID", Color::red, color);
}

/// "conv3[0,17,4,9]: got -119, expected -120".
std::string first_mismatch_text(const TensorComparison& t) {
  const backends::Mismatch& m = t.first.front();
  return fmt::format("{}{}: got {}, expected {}", t.name, bracketed(m.index), m.got, m.expected);
}

void print_suite_changes(const SuiteCaseRun& c) {
  for (const SuiteChange& change : c.changes) {
    print(fmt::format("    {}\n", printable(change_text(change))));
    for (size_t i = 0; i < std::min(change.settings.size(), kSettingsShown); ++i) {
      print(fmt::format("      {}\n", setting_change_text(change.settings[i])));
    }
    if (change.settings.size() > kSettingsShown) {
      print(fmt::format("      and {} more\n", change.settings.size() - kSettingsShown));
    }
  }
}

void print_suite_layers(const SuiteCaseRun& c) {
  using Align = TextTable::Align;
  TextTable table({{"    layer", Align::name},
                   {"differ", Align::right},
                   {"of", Align::right},
                   {"max |d|", Align::right},
                   {"first"}});
  int64_t equal = 0;
  for (const TensorComparison& t : c.report.tensors) {
    if (t.mismatches == 0) {
      ++equal;
      continue;
    }
    const backends::Mismatch& m = t.first.front();
    table.add_row({"    " + printable(c.layers.of(t.name)), with_commas(t.mismatches),
                   with_commas(t.compared), fmt::format("{}", t.max_difference),
                   fmt::format("{} got {}, expected {}", bracketed(m.index), m.got, m.expected)});
  }
  if (c.report.mismatches() > 0) print(table.text());
  for (const auto& difference : c.report.structure) {
    print(fmt::format("    {}\n", printable(to_string(difference))));
  }
  if (equal > 0) print(fmt::format("    no value differs in {}\n", counted(equal, "other layer")));
}

void print_case_run(const SuiteRun& run, const SuiteCaseRun& c, bool color) {
  print(fmt::format("  {}  {}  {} of {} values differ in {} layers\n",
                    suite_verdict(c.status, color), c.name, with_commas(c.report.mismatches()),
                    with_commas(c.report.compared()), c.report.tensors.size()));
  print_suite_changes(c);
  for (const ErrorInfo& info : c.errors) print(fmt::format("    {}\n", to_string(info)));
  if (c.status != SuiteStatus::failed) return;
  print_suite_layers(c);
  if (!c.received_file.empty()) {
    print(fmt::format("    received  {}\n", printable(c.received_file.string())));
  }
  if (!c.received_error.empty()) {
    print(fmt::format("    received  not written: {}\n", printable(c.received_error)));
  }
  std::string_view title = "next";
  for (const std::string& command : next_commands(run, c)) {
    print(fmt::format("    {:<8}  {}\n", title, printable(command)));
    title = "";
  }
}

JunitSuite junit_of(const SuiteRun& run, const SuiteCaseRun& c) {
  using Outcome = JunitCase::Outcome;
  JunitSuite suite{run.name + "." + c.name, {}};
  std::string changes;
  for (const SuiteChange& change : c.changes) changes += "; " + change_text(change);
  for (const TensorComparison& t : c.report.tensors) {
    const double share = c.seconds / static_cast<double>(c.report.tensors.size());
    JunitCase layer{c.layers.of(t.name), suite.name, share, Outcome::passed, ""};
    if (t.mismatches > 0) {
      layer.outcome = Outcome::failure;
      layer.message = fmt::format("{} of {} values differ, by at most {}; {}{}", t.mismatches,
                                  t.compared, t.max_difference, first_mismatch_text(t), changes);
    }
    suite.cases.push_back(std::move(layer));
  }
  for (const auto& difference : c.report.structure) {
    suite.cases.push_back(
        {difference.name, suite.name, 0, Outcome::failure, to_string(difference) + changes});
  }
  for (const ErrorInfo& info : c.errors) {
    suite.cases.push_back({"(run)", suite.name, 0,
                           c.status == SuiteStatus::unsupported ? Outcome::skipped : Outcome::error,
                           to_string(info)});
  }
  return suite;
}

}  // namespace

std::string change_text(const SuiteChange& change) {
  return fmt::format("the {} changed: {} -> {}", to_string(change.what), change.before, change.now);
}

std::string setting_change_text(const SettingChange& change) {
  return printable(fmt::format("{}  {} -> {}", change.pointer,
                               change.before.empty() ? "absent" : change.before,
                               change.now.empty() ? "absent" : change.now));
}

std::vector<std::string> next_commands(const SuiteRun& run, const SuiteCaseRun& c) {
  std::vector<std::string> commands;
  if (c.status != SuiteStatus::failed) return commands;
  if (const TensorComparison* t = first_different(c)) {
    std::string explain =
        fmt::format("facsim explain --model {} --profile {} --inputs {} --against {} {}",
                    shell_quoted(run.network_file), shell_quoted(run.profile),
                    shell_quoted(c.inputs_file.string()), shell_quoted(c.golden_file.string()),
                    shell_quoted(c.layers.of(t->name) + bracketed(t->first.front().index)));
    for (const auto& setting : run.settings) {
      explain += " --set " + shell_quoted(setting.pointer + "=" + setting.value);
    }
    commands.push_back(std::move(explain));
  }
  if (!c.received_file.empty() && run.own_profile) {
    commands.push_back(fmt::format("facsim suite approve {} --case {} --reason \"...\"",
                                   shell_quoted(run.folder.string()), c.name));
  }
  return commands;
}

SuiteRunJson to_json(const std::vector<SuiteRun>& runs) {
  SuiteRunJson json = {{"format", "facsim-suite-run"},
                       {"version", 1},
                       {"facsim", FACSIM_VERSION},
                       {"passed", cases_with(runs, SuiteStatus::passed)},
                       {"failed", cases_with(runs, SuiteStatus::failed)},
                       {"unsupported", cases_with(runs, SuiteStatus::unsupported)},
                       {"invalid", cases_with(runs, SuiteStatus::invalid)},
                       {"suites", SuiteRunJson::array()}};
  for (const SuiteRun& run : runs) json["suites"].push_back(suite_run_json(run));
  return json;
}

void print_suite_run(const SuiteRun& run, bool color) {
  if (!run.errors.empty()) {
    print(
        fmt::format("{}  {}\n", printable(run.folder.string()), suite_verdict(run.status, color)));
    for (const ErrorInfo& info : run.errors) print(fmt::format("  {}\n", to_string(info)));
    return;
  }
  std::string settings;
  for (const auto& setting : run.settings) {
    settings += fmt::format(" --set {}={}", setting.pointer, setting.value);
  }
  print(fmt::format("{}  {} under {}{} ({})\n", printable(run.folder.string()), printable(run.name),
                    printable(run.profile), printable(settings), run.profile_fingerprint));
  for (const SuiteCaseRun& c : run.cases) print_case_run(run, c, color);
}

std::string suite_summary(const std::vector<SuiteRun>& runs) {
  return fmt::format("{} passed, {} failed, {} unsupported, {} invalid",
                     cases_with(runs, SuiteStatus::passed), cases_with(runs, SuiteStatus::failed),
                     cases_with(runs, SuiteStatus::unsupported),
                     cases_with(runs, SuiteStatus::invalid));
}

std::string suite_junit(const std::vector<SuiteRun>& runs) {
  std::vector<JunitSuite> suites;
  for (const SuiteRun& run : runs) {
    for (const SuiteCaseRun& c : run.cases) suites.push_back(junit_of(run, c));
    if (run.errors.empty()) continue;
    JunitSuite broken{run.folder.string(), {}};
    for (const ErrorInfo& info : run.errors) {
      broken.cases.push_back({"(suite)", broken.name, 0,
                              run.status == SuiteStatus::unsupported ? JunitCase::Outcome::skipped
                                                                     : JunitCase::Outcome::error,
                              to_string(info)});
    }
    suites.push_back(std::move(broken));
  }
  return backends::junit_xml("facsim suite", suites);
}

}  // namespace facsim::cli
