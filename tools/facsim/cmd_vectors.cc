// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/parity/vectors.h"
#include "tools/facsim/command.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/output.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

using backends::VectorReport;
using backends::VectorResult;
using Json = nlohmann::ordered_json;
using Status = VectorResult::Status;

/// Numbers of one family under one profile, and why cases of it were not computed.
struct Family {
  int64_t passed = 0, failed = 0, unsupported = 0;
  int64_t compared = 0;
  std::map<std::string, int64_t> reasons;
};

std::map<std::pair<std::string, std::string>, Family> by_family(const VectorReport& report) {
  std::map<std::pair<std::string, std::string>, Family> families;
  for (const VectorResult& result : report.cases) {
    Family& family = families[{result.profile, result.family}];
    family.compared += result.compared;
    if (result.status == Status::passed) ++family.passed;
    if (result.status == Status::failed) ++family.failed;
    if (result.status == Status::unsupported) {
      ++family.unsupported;
      ++family.reasons[result.message];
    }
  }
  return families;
}

std::string reasons_text(const Family& family) {
  if (family.reasons.empty()) return "";
  const auto most =
      std::max_element(family.reasons.begin(), family.reasons.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string text = printable(most->first);
  if (family.reasons.size() > 1) text += fmt::format("; {} more", family.reasons.size() - 1);
  return text;
}

std::string first_text(const VectorResult& result) {
  if (!result.first) return "";
  return fmt::format("; first at [{}]: got {}, expected {}", fmt::join(result.first->index, ","),
                     result.first->got, result.first->expected);
}

void print_table(const VectorReport& report, bool color) {
  using Align = TextTable::Align;
  TextTable table({{"profile"},
                   {"family"},
                   {"passed", Align::right},
                   {"failed", Align::right},
                   {"unsupported", Align::right},
                   {"compared", Align::right},
                   {"why unsupported"}});
  for (const auto& [name, family] : by_family(report)) {
    table.add_row({printable(name.first), printable(name.second), std::to_string(family.passed),
                   std::to_string(family.failed), std::to_string(family.unsupported),
                   with_commas(family.compared), reasons_text(family)});
  }
  print(table.text());
  bool heading = false;
  for (const VectorResult& result : report.cases) {
    if (result.status != Status::failed) continue;
    if (!heading) print("\nfailed cases\n");
    heading = true;
    print(fmt::format("  {} {} ({}): {}{}\n", colored("FAILED", Color::red, color),
                      printable(result.name), printable(result.profile), printable(result.message),
                      first_text(result)));
  }
  print("\n");
}

Json to_json(const VectorReport& report) {
  Json json = {{"suite", report.suite},
               {"passed", report.count(Status::passed)},
               {"failed", report.count(Status::failed)},
               {"unsupported", report.count(Status::unsupported)}};
  json["cases"] = Json::array();
  for (const VectorResult& result : report.cases) {
    Json entry = {{"name", result.name},
                  {"family", result.family},
                  {"op", result.op},
                  {"profile", result.profile},
                  {"status", to_string(result.status)},
                  {"compared", result.compared},
                  {"mismatches", result.mismatches}};
    if (!result.message.empty()) entry["message"] = result.message;
    if (result.first) {
      entry["first"] = {{"index", result.first->index},
                        {"got", result.first->got},
                        {"expected", result.first->expected},
                        {"difference", result.first->difference}};
    }
    json["cases"].push_back(std::move(entry));
  }
  return json;
}

class VectorsCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.require_subcommand(1);
    CLI::App* check = app.add_subcommand("check", "run a suite of recorded operator cases");
    check->add_option("folder", folder_, "folder with manifest.json and its .npz files")
        ->required();
    check->add_option("--junit", junit_, "also write the results as JUnit XML");
    check->footer(
        "Each case runs under the profile it names. With --profile, only the cases that name it;\n"
        "if none does, all cases under it.\n"
        "Exit codes: 0 all passed, 1 a case failed, 4 none failed but some are unsupported.\n\n"
        "Examples:\n"
        "  facsim vectors check vectors/\n"
        "  facsim vectors check vectors/ --profile ./my-chip.json --junit results.xml");
  }

  ExitCode run(const Globals& globals) override {
    backends::VectorOptions options;
    options.search = globals.search();
    options.profile = globals.profile;
    options.overrides = globals.overrides;
    options.isa = globals.isa;
    options.threads = globals.threads;
    VectorReport report;
    {
      std::optional<ProgressBar> bar;
      options.progress = [&](int64_t done, int64_t total) {
        throw_if_interrupted();
        if (!bar) bar.emplace("vectors", total, globals.progress);
        bar->update(done);
      };
      report = backends::check_vectors(folder_, options);
    }
    if (!junit_.empty()) backends::write_file_atomically(junit_, backends::to_junit(report));
    const int64_t passed = report.count(Status::passed);
    const int64_t failed = report.count(Status::failed);
    const int64_t unsupported = report.count(Status::unsupported);
    if (globals.format == OutputFormat::json) {
      print_json(to_json(report));
    } else {
      print_table(report, globals.color_stdout);
      print(fmt::format("{} passed, {} failed, {} unsupported\n", passed, failed, unsupported));
    }
    if (failed > 0) return ExitCode::different;
    return unsupported > 0 ? ExitCode::unsupported : ExitCode::equal;
  }

 private:
  std::filesystem::path folder_, junit_;
};

}  // namespace

std::unique_ptr<Command> make_vectors_command() { return std::make_unique<VectorsCommand>(); }

}  // namespace facsim::cli
