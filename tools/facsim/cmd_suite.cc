// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "tools/facsim/command.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/suite/suite_edit.h"
#include "tools/facsim/suite/suite_output.h"
#include "tools/facsim/suite/suite_page.h"

namespace facsim::cli {

namespace {

ExitCode exit_code_of_runs(const std::vector<SuiteRun>& runs) {
  const auto any = [&](SuiteStatus status) {
    return std::any_of(runs.begin(), runs.end(),
                       [&](const SuiteRun& run) { return run.status == status; });
  };
  if (any(SuiteStatus::invalid)) return ExitCode::invalid_input;
  if (any(SuiteStatus::failed)) return ExitCode::different;
  return any(SuiteStatus::unsupported) ? ExitCode::unsupported : ExitCode::equal;
}

nlohmann::ordered_json approvals_json(const std::string& folder,
                                      const std::vector<Approval>& approvals) {
  nlohmann::ordered_json json = {{"folder", folder}, {"approved", nlohmann::ordered_json::array()}};
  for (const Approval& a : approvals) {
    json["approved"].push_back({{"case", a.name},
                                {"golden_before", a.before.fingerprint},
                                {"golden", a.now.fingerprint},
                                {"date", a.now.date},
                                {"reason", a.now.reason}});
  }
  return json;
}

class SuiteCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.require_subcommand(1);
    set_up_init(*app.add_subcommand("init", "make a suite of a network, inputs and goldens"));
    set_up_run(*app.add_subcommand("run", "compare suites with their goldens, bit for bit"));
    set_up_approve(*app.add_subcommand("approve", "accept what a failing run gave, with a reason"));
    app.footer(
        "A suite is a folder under version control: network, profile, inputs, golden outputs, and\n"
        "who changed what (configs/SUITES.md).\n\n"
        "Examples:\n"
        "  facsim suite init tests/kws --model kws.tflite --profile cmsis-nn --inputs x.npz\n"
        "  facsim suite run tests/kws tests/resnet8 --junit parity.xml\n"
        "  facsim suite approve tests/kws --reason \"the profile follows release 2.1 now\"");
  }

  ExitCode run(const Globals& globals) override {
    if (init_->parsed()) return run_init(globals);
    if (approve_->parsed()) return run_approve(globals);
    return run_run(globals);
  }

 private:
  void set_up_init(CLI::App& app) {
    init_ = &app;
    app.add_option("DIR", folder_, "the suite's folder: new or empty")->required();
    wanted_.model.add_to(app, "--model", "network");
    app.get_option("--model")->required();
    app.add_option("--inputs", wanted_.inputs, "inputs of a case: .npz or .npy; repeatable")
        ->required()
        ->allow_extra_args(false);
    app.add_option("--golden", wanted_.goldens,
                   "what a device or runtime gave for them: .npz or .npy, one for each --inputs; "
                   "without: what facsim computes now")
        ->allow_extra_args(false);
    app.add_option("--images", wanted_.images, "keep only the first N images of each case")
        ->check(CLI::Range(int64_t{1}, INT64_MAX));
    app.add_option("--tensors", tensors_, "goldens that facsim computes: all layers, or outputs")
        ->check(one_of({"all", "outputs"}))
        ->capture_default_str();
    app.add_option("--name", wanted_.name, "the suite's name; without: the folder's");
    app.add_flag("--reference", wanted_.reference_network,
                 "name the network's file instead of copying it as facsim's own");
    app.footer(
        "Examples:\n"
        "  facsim suite init tests/kws --model kws.tflite --profile cmsis-nn --inputs x.npz "
        "--golden device.npz\n"
        "  facsim suite init tests/net --model out/model.json --inputs images.npz --images 8");
  }

  void set_up_run(CLI::App& app) {
    run_ = &app;
    app.add_option("DIR", folders_, "suites, or folders of suites")->required();
    app.add_option("--junit", junit_, "write JUnit XML: a test case for each layer of each case");
    app.add_option("--html", html_, "write one page that needs no network: every case in detail");
    app.footer(
        "--profile and --set run the suites under another profile than their own.\n"
        "Exit code 0: every value equals; 1: some differ; 3: a suite is broken, or its inputs or\n"
        "goldens were changed by hand; 4: only what the profile does not do is left.\n\n"
        "Examples:\n"
        "  facsim suite run tests/kws\n"
        "  facsim suite run tests/kws tests/resnet8 --junit parity.xml --format json\n"
        "  facsim suite run tests --html parity.html\n"
        "  facsim suite run tests/kws --set /requantize/rounding=floor");
  }

  void set_up_approve(CLI::App& app) {
    approve_ = &app;
    app.add_option("DIR", folder_, "the suite")->required();
    app.add_option("--case", cases_, "only this case; repeatable")->allow_extra_args(false);
    app.add_option("--reason", reason_, "why the new values are right; kept in suite.json")
        ->required();
    app.footer(
        "Accepts the received.npz of a failing run if the suite still gives these values. The old\n"
        "golden's fingerprint stays in the history.\n\n"
        "Examples:\n"
        "  facsim suite approve tests/kws --reason \"bias is rounded half_even since 2.1\"\n"
        "  facsim suite approve tests/kws --case night --reason \"retrained\"");
  }

  ExitCode run_init(const Globals& globals) {
    wanted_.folder = folder_;
    wanted_.outputs_only = tensors_ == "outputs";
    const std::vector<SuiteRun> runs = {init_suite(wanted_, globals)};
    show(runs, globals);
    if (runs[0].status == SuiteStatus::failed) {
      note("the goldens are not what facsim computes: the suite fails until it does");
      return ExitCode::equal;
    }
    return exit_code_of_runs(runs);
  }

  ExitCode run_run(const Globals& globals) {
    std::vector<SuiteRun> runs;
    const SuitePage page = html_.empty() ? SuitePage::none : SuitePage::html;
    for (const std::string& argument : folders_) {
      for (const auto& folder : suites_in(argument)) {
        throw_if_interrupted();
        runs.push_back(run_suite(folder, globals, page));
      }
    }
    if (!html_.empty()) backends::write_file_atomically(html_, suite_html(runs));
    if (!junit_.empty()) backends::write_file_atomically(junit_, suite_junit(runs));
    show(runs, globals);
    return exit_code_of_runs(runs);
  }

  ExitCode run_approve(const Globals& globals) {
    const std::vector<Approval> approvals = approve_suite(folder_, cases_, reason_, globals);
    if (globals.format == OutputFormat::json) {
      print_json(approvals_json(folder_, approvals));
    } else {
      for (const Approval& a : approvals) {
        print(
            fmt::format("{}: golden {} -> {}\n", a.name, a.before.fingerprint, a.now.fingerprint));
      }
    }
    for (const Approval& a : approvals) {
      if (a.before.origin == a.now.origin) continue;
      note(fmt::format("{}: the golden was recorded elsewhere; now it is what facsim computes",
                       a.name));
    }
    return ExitCode::equal;
  }

  static void show(const std::vector<SuiteRun>& runs, const Globals& globals) {
    if (globals.format == OutputFormat::json) return print_json(to_json(runs));
    for (const SuiteRun& run : runs) print_suite_run(run, globals.color_stdout);
    print(suite_summary(runs) + "\n");
  }

  CLI::App *init_ = nullptr, *run_ = nullptr, *approve_ = nullptr;
  NewSuite wanted_;
  std::string folder_, junit_, html_, reason_, tensors_ = "all";
  std::vector<std::string> folders_, cases_;
};

}  // namespace

std::unique_ptr<Command> make_suite_command() { return std::make_unique<SuiteCommand>(); }

}  // namespace facsim::cli
