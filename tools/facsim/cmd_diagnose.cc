// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/provenance.h"
#include "backends/parity/diagnose.h"
#include "tools/facsim/command.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/diagnosis.h"
#include "tools/facsim/golden.h"
#include "tools/facsim/image_range.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/knob_output.h"
#include "tools/facsim/output.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

using backends::Cause;
using backends::Diagnosis;
using DiagnosisJson = nlohmann::ordered_json;

constexpr size_t kShownAlternatives = 6;

class DiagnoseCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    model_.add_to(app, "--model", "network");
    app.add_option("--inputs", inputs_, "what it was run on: .npz or .npy")->required();
    app.add_option("--golden", golden_,
                   "what the device computed: .npz with arrays by the name of tensor or node, or "
                   ".npy of the network's only output")
        ->required();
    range_.add_to(app);
    match_.add_to(app);
    app.add_flag("--pairs", pairs_, "try pairs of settings even if a single one explains all");
    app.add_option("--top", top_, "causes to show")->check(CLI::Range(1, 1000));
    app.add_option("--tried-images", images_, "images on which settings are tried")
        ->check(CLI::Range(1, 100000));
    app.get_option("--model")->required();
    app.footer(
        "Runs the network layer by layer, each on golden's inputs where golden holds them, "
        "changes\n"
        "every setting of the profile that a device could have otherwise, and ranks the changes "
        "by\n"
        "the differing values they explain less those they introduce. Exit code 0 if nothing\n"
        "differs, 1 otherwise.\n\n"
        "Examples:\n"
        "  facsim diagnose --model net.json --profile tflite-micro --inputs x.npz --golden "
        "device.npz\n"
        "  facsim diagnose --model net.tflite --profile cmsis-nn --inputs x.npz --golden d.npz "
        "--pairs --format json");
  }

  ExitCode run(const Globals& globals) override {
    const DeployedNetwork network(model_, globals);
    const std::vector<Tensor> inputs =
        range_.of(network.inputs(read_arrays(inputs_), inputs_), inputs_);
    const ArrayFile file(golden_);
    const Golden golden = read_golden(network, file, inputs[0].shape()[0], match_);
    backends::DiagnoseOptions options;
    options.images = images_;
    if (pairs_) options.pairs = backends::KnobPairs::always;
    std::optional<ProgressBar> bar;
    int64_t bar_total = 0;
    options.progress = [&](int64_t done, int64_t total) {
      throw_if_interrupted();
      if (!bar || total != bar_total) bar.emplace("settings", total, globals.progress);
      bar_total = total;
      bar->update(done);
    };
    Diagnosis diagnosis =
        diagnose_network(network, inputs, golden.tensors, std::move(options), globals);
    bar.reset();
    add_notes(network, inputs, file, golden, diagnosis);
    if (globals.format == OutputFormat::json) {
      print_json(as_json(network, diagnosis));
    } else {
      print_tables(network, diagnosis, globals);
    }
    return diagnosis.mismatches == 0 ? ExitCode::equal : ExitCode::different;
  }

 private:
  /// What is to be said of names; and a golden file that a run of ours wrote says what it was a run
  /// of.
  static void add_notes(const DeployedNetwork& network, const std::vector<Tensor>& inputs,
                        const ArrayFile& file, const Golden& golden, Diagnosis& diagnosis) {
    auto& notes = diagnosis.notes;
    for (std::string& text : name_notes(golden.renamed, golden.suggestions)) {
      notes.push_back(std::move(text));
    }
    for (const backends::StructuralDifference& difference : golden.structure) {
      notes.push_back(fmt::format("golden \"{}\" is no tensor of the network", difference.name));
    }
    const auto theirs = file.provenance();
    if (!theirs) return;
    const backends::Provenance ours = network.provenance(inputs);
    if (theirs->inputs != ours.inputs) {
      notes.push_back(fmt::format("inputs differ: golden was computed on {}, these are {}",
                                  theirs->inputs, ours.inputs));
    }
    if (theirs->network != ours.network) {
      notes.push_back(fmt::format("networks differ: golden is of {}, this is {}", theirs->network,
                                  ours.network));
    }
  }

  static DiagnosisJson as_json(const DeployedNetwork& network, const Diagnosis& diagnosis) {
    DiagnosisJson layers = DiagnosisJson::array(), causes = DiagnosisJson::array();
    for (const backends::DiagnosedLayer& layer : diagnosis.layers) {
      layers.push_back({{"node", layer.node},
                        {"op", layer.op},
                        {"tensor", layer.tensor},
                        {"rules", layer.rules},
                        {"compared", layer.compared},
                        {"mismatches", layer.mismatches}});
    }
    for (const Cause& cause : diagnosis.causes) causes.push_back(cause_json(cause));
    return {{"format", "facsim-diagnose"},
            {"version", 1},
            {"network", network.graph().name},
            {"profile", network.profile().name},
            {"profile_fingerprint", network.profile().fingerprint},
            {"images", diagnosis.images},
            {"images_tried", diagnosis.images_tried},
            {"compared", diagnosis.compared},
            {"mismatches", diagnosis.mismatches},
            {"settings_tried", diagnosis.settings_tried},
            {"settings_without_effect", diagnosis.settings_without_effect},
            {"notes", diagnosis.notes},
            {"layers", std::move(layers)},
            {"verdict", to_string(diagnosis.verdict())},
            {"findings", findings_json(diagnosis.findings)},
            {"causes", std::move(causes)}};
  }

  void print_tables(const DeployedNetwork& network, const Diagnosis& diagnosis,
                    const Globals& globals) const {
    for (const std::string& text : diagnosis.notes) note(printable(text));
    if (diagnosis.mismatches == 0) {
      print(fmt::format("{}: {} {} equal under {}\n", printable(golden_),
                        counted(diagnosis.compared, "value"),
                        diagnosis.compared == 1 ? "is" : "are", printable(network.profile().name)));
      return;
    }
    using Align = TextTable::Align;
    TextTable layers(
        {{"layer", Align::name}, {"op"}, {"differ", Align::right}, {"of", Align::right}});
    for (const backends::DiagnosedLayer& layer : diagnosis.layers) {
      if (layer.mismatches == 0) continue;
      layers.add_row({printable(layer.node), layer.op, with_commas(layer.mismatches),
                      with_commas(layer.compared)});
    }
    print(layers.text() + "\n");
    for (const std::string& line : finding_lines(diagnosis)) {
      print("found     " + colored(line, Color::bold, globals.color_stdout) + "\n");
    }
    switch (diagnosis.verdict()) {
      case Diagnosis::Verdict::setting:
        print_best(diagnosis.causes[0], globals);
        break;
      case Diagnosis::Verdict::findings:
        print(fmt::format("cause     what is found explains {} of {} differences, no setting\n",
                          with_commas(diagnosis.explained_by_findings()),
                          with_commas(diagnosis.mismatches_tried)));
        return;
      default:
        print(fmt::format(
            "cause     no setting of {} explains the {} ({} tried): other weights, biases, inputs "
            "or layers?\n",
            printable(network.profile().name), diagnosis.findings.empty() ? "differences" : "rest",
            with_commas(diagnosis.settings_tried)));
        if (diagnosis.causes.empty()) return;
        print("nearest   settings that explain some of them, by coincidence or in part:\n");
    }
    print_ranking(diagnosis);
  }

  static void print_best(const Cause& cause, const Globals& globals) {
    print("cause     " + colored(sentence_of(cause.knobs), Color::bold, globals.color_stdout) +
          "\n");
    print(fmt::format("          explains {}/{}, introduces {}; changes {}\n",
                      with_commas(cause.explained), with_commas(cause.of),
                      with_commas(cause.introduced), fmt::join(cause.ops, ", ")));
    print_others(cause);
    print("try       " + set_options(cause.knobs) + "\n");
    for (const std::string& place : set_by_lines(cause)) print("set by    " + place + "\n");
  }

  /// Settings that do the same, one line for each pointer that is set and what is known of it.
  static void print_others(const Cause& cause) {
    std::vector<std::pair<const Cause::Same*, size_t>> groups;
    for (const Cause::Same& same : cause.also) {
      const auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& one) {
        return one.first->proved == same.proved &&
               one.first->knobs.front().pointer == same.knobs.front().pointer;
      });
      if (group == groups.end()) {
        groups.emplace_back(&same, 0);
      } else {
        ++group->second;
      }
    }
    for (size_t i = 0; i < groups.size() && i < kShownAlternatives; ++i) {
      const auto& [same, more] = groups[i];
      print(fmt::format("{} {} ({}{})\n", i == 0 ? "also     " : "         ",
                        set_options(same->knobs),
                        same->proved ? "computes the same on any input" : "equal on these inputs",
                        more == 0 ? "" : fmt::format("; so do {} more of its values", more)));
    }
    if (groups.size() > kShownAlternatives) {
      print(fmt::format("          and {} more, see --format json\n",
                        groups.size() - kShownAlternatives));
    }
  }

  static std::string ranked_text(const Diagnosis& diagnosis) {
    const auto ranked = static_cast<int64_t>(diagnosis.causes.size());
    return diagnosis.verdict() == Diagnosis::Verdict::setting
               ? counted(ranked, "cause")
               : with_commas(ranked) + " of them explain some";
  }

  void print_ranking(const Diagnosis& diagnosis) const {
    TextTable table({{"", TextTable::Align::right},
                     {"explains", TextTable::Align::right},
                     {"introduces", TextTable::Align::right},
                     {"also", TextTable::Align::right},
                     {"setting"}});
    const size_t shown = std::min(diagnosis.causes.size(), static_cast<size_t>(top_));
    for (size_t i = 0; i < shown; ++i) {
      const Cause& cause = diagnosis.causes[i];
      table.add_row({fmt::format("{}", i + 1),
                     fmt::format("{}/{}", with_commas(cause.explained), with_commas(cause.of)),
                     with_commas(cause.introduced), fmt::format("{}", cause.also.size()),
                     set_options(cause.knobs)});
    }
    print("\n" + table.text());
    print(fmt::format("{} tried on {} of {}; {}\n", counted(diagnosis.settings_tried, "setting"),
                      with_commas(diagnosis.images_tried), counted(diagnosis.images, "image"),
                      ranked_text(diagnosis)));
    if (diagnosis.settings_without_effect > 0) {
      print(fmt::format(
          "{} of them cannot change this network: proved by its programs and the ranges "
          "of its accumulators\n",
          with_commas(diagnosis.settings_without_effect)));
    }
  }

  ModelFile model_;
  MatchOptions match_;
  ImageRange range_;
  std::string inputs_, golden_;
  bool pairs_ = false;
  int top_ = 5;
  int64_t images_ = 32;
};

}  // namespace

std::unique_ptr<Command> make_diagnose_command() { return std::make_unique<DiagnoseCommand>(); }

}  // namespace facsim::cli
