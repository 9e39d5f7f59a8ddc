// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/parity/vectors.h"
#include "backends/parity/vectors_gen.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/progress.h"
#include "tools/facsim/staged_folder.h"

namespace facsim::cli {

namespace {

using backends::VectorReport;
using backends::VectorResult;
using Json = nlohmann::ordered_json;
using Status = VectorResult::Status;

/// Numbers of one family under one profile, and why cases of it were not computed.
struct Family {
  int64_t passed = 0, failed = 0, unsupported = 0, invalid = 0;
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
    if (result.status == Status::invalid) ++family.invalid;
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
                   {"invalid", Align::right},
                   {"compared", Align::right},
                   {"why unsupported"}});
  for (const auto& [name, family] : by_family(report)) {
    table.add_row({printable(name.first), printable(name.second), std::to_string(family.passed),
                   std::to_string(family.failed), std::to_string(family.unsupported),
                   std::to_string(family.invalid), with_commas(family.compared),
                   reasons_text(family)});
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
               {"unsupported", report.count(Status::unsupported)},
               {"invalid", report.count(Status::invalid)}};
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
    for (const ErrorInfo& error : result.errors) {
      entry["errors"].push_back({{"code", to_string(error.code)},
                                 {"place", error.place},
                                 {"found", error.found},
                                 {"expected", error.expected},
                                 {"hint", error.hint}});
    }
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

// ---- gen ----------------------------------------------------------------------------------------

using backends::BranchCoverage;
using backends::GeneratedSuite;
using backends::Neighbour;
using CoverageState = BranchCoverage::State;

std::string state_text(const BranchCoverage& entry) {
  switch (entry.state) {
    case CoverageState::reached:
      return with_commas(entry.hits);
    case CoverageState::not_reached:
      return "not reached";
    case CoverageState::unreachable:
      return "unreachable";
  }
  return "?";
}

/// "tie positive 12, tie negative 9, above half not reached" of one step.
void print_coverage(const GeneratedSuite& suite) {
  if (suite.coverage.empty()) {
    print("\nno step program to cover: the op is a named algorithm or moves codes\n");
    return;
  }
  TextTable table({{"program"}, {"step"}, {"branches"}});
  for (size_t i = 0; i < suite.coverage.size();) {
    const BranchCoverage& first = suite.coverage[i];
    std::string branches;
    for (; i < suite.coverage.size() && suite.coverage[i].program == first.program &&
           suite.coverage[i].step == first.step;
         ++i) {
      branches +=
          fmt::format("{}{} {}", branches.empty() ? "" : ", ",
                      backends::to_string(suite.coverage[i].branch), state_text(suite.coverage[i]));
    }
    table.add_row({first.program, first.step, branches});
  }
  print("\n" + table.text());
  const int64_t reached = suite.count(CoverageState::reached);
  const int64_t missing = suite.count(CoverageState::not_reached);
  print(fmt::format("{} of {} reached, {} more shown to be unreachable\n", reached,
                    counted(reached + missing, "branch", "branches"),
                    suite.count(CoverageState::unreachable)));
}

std::vector<const Neighbour*> neighbours_of(const GeneratedSuite& suite,
                                            Neighbour::Verdict verdict) {
  std::vector<const Neighbour*> list;
  for (const Neighbour& neighbour : suite.neighbours) {
    if (neighbour.verdict == verdict) list.push_back(&neighbour);
  }
  return list;
}

void print_neighbours(const GeneratedSuite& suite) {
  using Verdict = Neighbour::Verdict;
  if (suite.neighbours.empty()) return;
  const auto names = [&](Verdict verdict, bool with_counts) {
    std::string text;
    for (const Neighbour* n : neighbours_of(suite, verdict)) {
      text += (text.empty() ? "" : ", ") + n->profile;
      if (with_counts) text += fmt::format(" ({} of {})", n->differing, n->compared);
    }
    return text.empty() ? std::string("none") : text;
  };
  print("\nseparated from (differing values): " + names(Verdict::separated, true) + "\n");
  print("not separated, same bits on this suite: " + names(Verdict::not_separated, false) + "\n");
  print("same rules for this op: " + names(Verdict::same_rules, false) + "\n");
  print("refuse every case: " + names(Verdict::incomparable, false) + "\n");
}

Json to_json(const GeneratedSuite& suite) {
  Json json = {{"profile", suite.profile},
               {"op", suite.op},
               {"seed", suite.seed},
               {"cases", suite.cases.size()},
               {"values", suite.values()}};
  json["coverage"] = {{"reached", suite.count(CoverageState::reached)},
                      {"not_reached", suite.count(CoverageState::not_reached)},
                      {"unreachable", suite.count(CoverageState::unreachable)}};
  constexpr std::string_view kStates[] = {"reached", "not_reached", "unreachable"};
  Json& branches = json["coverage"]["branches"] = Json::array();
  for (const BranchCoverage& entry : suite.coverage) {
    branches.push_back({{"program", entry.program},
                        {"step", entry.step},
                        {"branch", backends::to_string(entry.branch)},
                        {"hits", entry.hits},
                        {"state", kStates[static_cast<size_t>(entry.state)]}});
  }
  constexpr std::string_view kVerdicts[] = {"separated", "not_separated", "incomparable",
                                            "same_rules"};
  json["neighbours"] = Json::array();
  for (const Neighbour& neighbour : suite.neighbours) {
    Json entry = {{"profile", neighbour.profile},
                  {"verdict", kVerdicts[static_cast<size_t>(neighbour.verdict)]},
                  {"differing", neighbour.differing},
                  {"compared", neighbour.compared}};
    if (!neighbour.case_name.empty()) entry["case"] = neighbour.case_name;
    json["neighbours"].push_back(std::move(entry));
  }
  return json;
}

class VectorsCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.require_subcommand(1);
    app.footer(
        "Examples:\n"
        "  facsim vectors gen --profile nvdla --op conv2d --out suite/\n"
        "  facsim vectors check suite/");
    set_up_gen(app);
    CLI::App* check = app.add_subcommand("check", "run a suite of recorded operator cases");
    check->add_option("folder", folder_, "folder with manifest.json and its .npz files")
        ->required();
    check->add_option("--junit", junit_, "also write the results as JUnit XML");
    check->footer(
        "Each case runs under the profile it names. With --profile, only the cases that name it;\n"
        "if none does, all cases under it.\n"
        "Exit codes: 3 a case is invalid (its attributes are broken or contradict its arrays; "
        "stderr\n"
        "says where), 1 a case failed, 4 none of these but some are unsupported, 0 all passed.\n\n"
        "Examples:\n"
        "  facsim vectors check vectors/\n"
        "  facsim vectors check vectors/ --profile ./my-chip.json --junit results.xml");
  }

  ExitCode run(const Globals& globals) override {
    return gen_->parsed() ? run_gen(globals) : run_check(globals);
  }

 private:
  void set_up_gen(CLI::App& app) {
    gen_ = app.add_subcommand("gen", "write a suite of directed cases for a profile and an op");
    gen_->add_option("--op", op_,
                     "op phrase: conv2d, \"conv2d int16x8\", \"linear uint8\", …; requantize: "
                     "accumulators by the rules of conv2d")
        ->required();
    gen_->add_option("--out", out_, "empty or new folder to write to")->required();
    gen_->add_option("--strategy", strategies_, "how values are chosen; all of them by default")
        ->delimiter(',')
        ->check(one_of({"ties", "edges", "overflow", "exhaustive8", "random"}));
    gen_->add_option("--count", count_, "cases per strategy")->check(CLI::Range(1, 1000));
    gen_->add_option("--emit", emit_, "npz, hex ($readmemh), c (a header)")
        ->delimiter(',')
        ->check(one_of({"npz", "hex", "c"}));
    gen_->add_flag("--no-separate", no_separate_,
                   "do not look for cases that tell the profile from the other shipped ones");
    gen_->footer(
        "Every expected value is computed by the scalar norm under --profile. Strategies steer\n"
        "accumulators to ties of each rounding, to the edges of clamps and widths, out of the\n"
        "width of left shifts, or take all 8-bit codes (pairs for two operands).\n"
        "Prints which branches of the requantization the suite reaches, and which shipped\n"
        "profiles give other results on it.\n\n"
        "Examples:\n"
        "  facsim vectors gen --profile nvdla --op conv2d --out suite/\n"
        "  facsim vectors gen --profile ./my-chip.json --op requantize --strategy ties,overflow "
        "\\\n"
        "    --count 16 --emit npz,hex,c --out suite/\n"
        "  facsim vectors check suite/ --profile ./my-chip.json");
  }

  ExitCode run_gen(const Globals& globals) {
    if (globals.profile.empty()) throw UsageError("vectors gen needs --profile");
    if (out_.empty()) throw UsageError("--out is empty; expected a folder to write to");
    if (!globals.overrides.empty()) {
      throw UsageError(
          "vectors gen takes no --set: a suite names its profile only; write a profile of its own "
          "that extends " +
          globals.profile);
    }
    backends::require_new_folder(out_);
    backends::VectorGenOptions options;
    options.search = globals.search();
    options.profile = globals.profile;
    options.op = op_;
    options.count = count_;
    options.seed = globals.seed;
    options.separate = !no_separate_;
    options.progress = [](int64_t, int64_t) { throw_if_interrupted(); };
    if (!strategies_.empty()) options.strategies.clear();
    for (const std::string& word : strategies_) {
      options.strategies.push_back(backends::vector_strategy_from_string(word));
    }
    const auto emits = [&](std::string_view word) {
      return std::find(emit_.begin(), emit_.end(), word) != emit_.end();
    };
    const GeneratedSuite suite = backends::generate_vectors(options);
    StagedFolder staged(without_trailing_slash(out_));
    backends::write_vectors(staged.path(), suite, {emits("npz"), emits("hex"), emits("c")},
                            throw_if_interrupted);
    staged.commit();
    if (globals.format == OutputFormat::json) {
      print_json(to_json(suite));
      return ExitCode::equal;
    }
    print(fmt::format("{} cases, {} values of {} under {}, seed {}, in {}\n", suite.cases.size(),
                      with_commas(suite.values()), printable(suite.op), printable(suite.profile),
                      suite.seed, printable(out_.string())));
    print_coverage(suite);
    print_neighbours(suite);
    return ExitCode::equal;
  }

  ExitCode run_check(const Globals& globals) {
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
    for (const std::string& text : report.notes) note(printable(text));
    std::vector<ErrorInfo> invalid;
    for (const VectorResult& result : report.cases) {
      invalid.insert(invalid.end(), result.errors.begin(), result.errors.end());
    }
    if (!junit_.empty()) backends::write_file_atomically(junit_, backends::to_junit(report));
    const int64_t passed = report.count(Status::passed);
    const int64_t failed = report.count(Status::failed);
    const int64_t unsupported = report.count(Status::unsupported);
    if (globals.format == OutputFormat::json) {
      print_json(to_json(report));
    } else {
      print_table(report, globals.color_stdout);
      print(fmt::format("{} passed, {} failed, {} unsupported", passed, failed, unsupported));
      print(invalid.empty() ? "\n" : fmt::format(", {} invalid\n", report.count(Status::invalid)));
    }
    if (!invalid.empty()) throw Error(std::move(invalid));
    if (failed > 0) return ExitCode::different;
    return unsupported > 0 ? ExitCode::unsupported : ExitCode::equal;
  }

  std::filesystem::path folder_, junit_, out_;
  CLI::App* gen_ = nullptr;
  std::string op_;
  std::vector<std::string> strategies_, emit_{"npz"};
  int64_t count_ = 8;
  bool no_separate_ = false;
};

}  // namespace

std::unique_ptr<Command> make_vectors_command() { return std::make_unique<VectorsCommand>(); }

}  // namespace facsim::cli
