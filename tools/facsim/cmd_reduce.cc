// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/parity/diagnose.h"
#include "backends/parity/vectors_gen.h"
#include "sim/core/error.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/diagnosis.h"
#include "tools/facsim/golden.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/layer_profiles.h"
#include "tools/facsim/output.h"
#include "tools/facsim/parse_override.h"
#include "tools/facsim/progress.h"
#include "tools/facsim/reduce/check_command.h"
#include "tools/facsim/reduce/repro_folder.h"
#include "tools/facsim/staged_folder.h"

namespace facsim::cli {

namespace {

using backends::Reproduction;
using ReduceJson = nlohmann::ordered_json;

/// The simplest layers that a command is asked about; a simulated side is asked about more.
constexpr int64_t kSimplestForCommands = 8;

class ReduceCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    model_.add_to(app, "--model", "network");
    app.get_option("--model")->required();
    app.add_option("--inputs", inputs_, "on which the sides differ: .npz or .npy")->required();
    app.add_option("--against", against_, "the other side is this profile; absent: --profile");
    app.add_option("--against-set", against_set_,
                   "/pointer=value changes the other side's profile; repeatable")
        ->allow_extra_args(false);
    app.add_option("--golden", golden_, "the other side is what was recorded: .npz");
    app.add_flag("--with-cause", with_cause_,
                 "with --golden: go on with the setting that diagnose ranks first as other side");
    app.add_option(
        "--check", check_,
        "the other side is a command: exit code 0 if it still differs, 1 if it does not");
    app.add_option("--timeout", limits_.seconds, "seconds for one run of --check")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--max-checks", limits_.runs, "runs of --check at most")
        ->check(CLI::Range(int64_t{1}, INT64_MAX))
        ->capture_default_str();
    match_.add_to(app);
    app.add_option("-o,--output", output_, "folder to write, new or empty")->required();
    app.footer(
        "Cuts the network to the first layer that two sides compute differently, and that to one\n"
        "output, the fewest taps and the smallest integers. Writes a folder that shows the "
        "difference\n"
        "by itself: network, profiles, inputs, what each side computes, and a script.\n"
        "A recording knows its own inputs only: with --golden the layer is cut to one output of "
        "them.\n"
        "The command of --check runs in a folder with net.json, inputs.npz, a.json and\n"
        "expected_a.npz (what --profile computes), a new one each time.\n"
        "Exit code 0 if the sides are equal, 1 if a folder was written.\n\n"
        "Examples:\n"
        "  facsim reduce --model net.json --profile tflite-reference --against "
        "tflite-single-rounding --inputs x.npz -o repro\n"
        "  facsim reduce --model net.json --profile tflite-micro --against-set "
        "/requantize/rounding=half_even --inputs x.npz -o repro\n"
        "  facsim reduce --model net.tflite --profile tflite-micro --inputs x.npz --golden "
        "device.npz --with-cause -o repro\n"
        "  facsim reduce --model net.tflite --profile cmsis-nn --inputs x.npz --check "
        "'/home/me/on_device.sh' -o repro");
  }

  ExitCode run(const Globals& globals) override {
    check_usage(globals);
    backends::require_new_folder(output_);
    globals_ = globals;
    others_.emplace(globals.search());
    network_.emplace(model_, globals);
    a_ = {network_->profile_name(globals), globals.overrides, globals.search()};
    inputs_read_ = network_->inputs(read_arrays(inputs_), inputs_);
    const std::optional<Reduced> reduced = !check_.empty()    ? against_command()
                                           : !golden_.empty() ? against_recording()
                                                              : against_profile();
    if (!reduced) return print_equal();
    StagedFolder folder(without_trailing_slash(output_));
    write_repro(folder.path(), *reduced);
    throw_if_interrupted();
    folder.commit();
    print_result(*reduced);
    return ExitCode::different;
  }

 private:
  void check_usage(const Globals& globals) const {
    const bool profile = !against_.empty() || !against_set_.empty();
    const int sides = (profile ? 1 : 0) + (golden_.empty() ? 0 : 1) + (check_.empty() ? 0 : 1);
    if (sides > 1) {
      throw UsageError("reduce takes one other side: --against, --golden or --check");
    }
    if (sides == 0 && globals.overrides.empty()) {
      throw UsageError(
          "reduce needs another side: --against, --against-set, --set, --golden or --check");
    }
    if (with_cause_ && golden_.empty()) throw UsageError("--with-cause is for --golden");
  }

  backends::SimulatedSide side(const backends::Profile& profile) {
    return {profile, [this](std::string_view name) -> const backends::Profile& {
              return others_->find(name);
            }};
  }

  /// The search and the reduction between two profiles. `golden`: the inputs of nodes.
  std::optional<Reduced> between(const ReduceRules& b, const backends::NamedTensors& golden) {
    b_label_ = b.label();
    const backends::Profile profile_b = b.load();
    const backends::SimulatedSide ours = side(network_->profile()), theirs = side(profile_b);
    const auto shows = [&](const Reproduction& candidate) {
      throw_if_interrupted();
      return backends::differs(candidate, ours, theirs);
    };
    const auto start = backends::first_node(network_->graph(), inputs_read_, golden, ours, shows);
    if (!start) return std::nullopt;
    Reduced reduced{*start, backends::reduce(*start, shows), {}, {}, {}};
    const auto sides = [&](int64_t element) {
      reduced.a = simulated_side(reduced.small, a_, element);
      reduced.b = simulated_side(reduced.small, b, element);
    };
    sides(0);
    if (const int64_t element = first_difference(reduced); element != 0) sides(element);
    return reduced;
  }

  std::optional<Reduced> against_profile() {
    ReduceRules b{against_.empty() ? a_.name : against_, {}, a_.search};
    for (const std::string& text : against_set_) {
      b.overrides.push_back(parse_override("--against-set", text));
    }
    return between(b, {});
  }

  std::optional<Reduced> against_recording() {
    b_label_ = golden_;
    const ArrayFile file(golden_);
    Golden golden = read_golden(*network_, file, inputs_read_[0].shape()[0], match_);
    for (const std::string& text : name_notes(golden.renamed, golden.suggestions)) {
      note(printable(text));
    }
    for (const auto& difference : golden.structure) note(printable(to_string(difference)));
    if (golden.tensors.empty()) {
      throw Error({ErrorCode::missing_key, golden_, "no array of this network",
                   "outputs of its layers by name", "--map names.json says which is which"});
    }
    take_recorded_inputs(golden);
    const backends::NamedTensors inside = as_nhwc(golden.tensors);
    const backends::SimulatedSide ours = side(network_->profile());
    const auto shows = [&](const Reproduction& candidate) {
      throw_if_interrupted();
      return backends::differs_from_recording(candidate, ours);
    };
    const auto start = backends::first_node(network_->graph(), inputs_read_, inside, ours, shows);
    if (!start) return std::nullopt;
    std::vector<std::string> notes;
    if (with_cause_) {
      if (auto reduced = against_cause(golden.tensors, inside, notes)) return reduced;
      b_label_ = golden_;
    }
    Reduced reduced{*start, backends::cut_to_one_output(*start, shows), {}, {}, notes};
    const Tensor& recorded = reduced.small.recorded->theirs;
    const std::string name = reduced.small.graph.tensors.back().name;
    reduced.b = {golden_, {}, backends::NamedTensors{{name, recorded}}, {}, {}};
    reduced.a = simulated_side(reduced.small, a_, 0);
    const int64_t element = first_difference(reduced);
    reduced.a = simulated_side(reduced.small, a_, element);
    reduced.b.result = value_of(recorded, element);
    reduced.notes.push_back(
        "Taps and integers are the recorded ones: a recording cannot say what the device gives for "
        "others" +
        std::string(with_cause_ ? "" : "; --with-cause asks a setting instead"));
    return reduced;
  }

  /// What the device was given takes the place of --inputs.
  void take_recorded_inputs(Golden& golden) {
    backends::NamedTensors arrays = read_arrays(inputs_);
    for (const int t : network_->graph().inputs) {
      const std::string& name = network_->graph().tensors[static_cast<size_t>(t)].name;
      const auto found = std::find_if(golden.tensors.begin(), golden.tensors.end(),
                                      [&](const auto& entry) { return entry.first == name; });
      if (found == golden.tensors.end()) continue;
      std::erase_if(arrays, [&](const auto& entry) {
        return entry.first == name || network_->graph().inputs.size() == 1;
      });
      arrays.emplace_back(name, found->second);
      golden.tensors.erase(found);
    }
    inputs_read_ = network_->inputs(arrays, golden_);
  }

  backends::NamedTensors as_nhwc(backends::NamedTensors tensors) const {
    for (auto& [name, tensor] : tensors) {
      tensor = in_layout(tensor, network_->graph().layout, Layout::nhwc);
    }
    return tensors;
  }

  /// Nothing, and a note, where no setting explains the recording.
  std::optional<Reduced> against_cause(const backends::NamedTensors& recorded,
                                       const backends::NamedTensors& inside,
                                       std::vector<std::string>& notes) {
    backends::DiagnoseOptions options;
    options.progress = [](int64_t, int64_t) { throw_if_interrupted(); };
    const backends::Diagnosis diagnosis =
        diagnose_network(*network_, inputs_read_, recorded, std::move(options), globals_);
    if (diagnosis.verdict() != backends::Diagnosis::Verdict::setting) {
      notes.push_back(fmt::format("No setting of {} explains the recording ({} tried)",
                                  network_->profile().name, diagnosis.settings_tried));
      return std::nullopt;
    }
    const backends::Cause& cause = diagnosis.causes[0];
    ReduceRules b = a_;
    for (const backends::Knob& knob : cause.knobs) {
      b.overrides.insert(b.overrides.end(), knob.overrides.begin(), knob.overrides.end());
    }
    std::optional<Reduced> reduced = between(b, inside);
    notes.push_back(fmt::format(
        "The other side is not the device, but the setting that diagnose ranks first: {}. It "
        "explains {} of {} recorded values that differ and introduces {}",
        sentence_of(cause.knobs), cause.explained, cause.of, cause.introduced));
    if (reduced) reduced->notes = notes;
    return reduced;
  }

  std::optional<Reduced> against_command() {
    b_label_ = check_;
    ProgressBar bar("checks", limits_.runs, globals_.progress);
    CheckCommand command(check_, limits_, a_, [&](int64_t runs) { bar.update(runs); });
    const std::function<bool(const Reproduction&)> shows = std::ref(command);
    try {
      if (!shows({network_->graph(), inputs_read_})) return std::nullopt;
      const auto start = backends::first_node(network_->graph(), inputs_read_, {},
                                              side(network_->profile()), shows);
      if (!start) {
        throw Error({ErrorCode::bad_value, "--check",
                     fmt::format("different for the whole network, but for no single layer ({})",
                                 runs_text(command)),
                     "a layer that differs by itself", ""});
      }
      Reduced reduced{*start, backends::reduce(*start, shows, {kSimplestForCommands}), {}, {}, {}};
      reduced.a = simulated_side(reduced.small, a_, 0);
      reduced.b.label = check_;
      reduced.notes.push_back("The command was run: " + runs_text(command));
      return reduced;
    } catch (const CheckCommand::Stopped& stopped) {
      throw Error(stopped.error);
    }
  }

  static std::string runs_text(const CheckCommand& command) {
    return fmt::format("{} run{}{}", command.runs(), command.runs() == 1 ? "" : "s",
                       command.is_used_up() ? ", no more are allowed (--max-checks)" : "");
  }

  static int64_t first_difference(const Reduced& reduced) {
    const Tensor& a = reduced.a.outputs->front().second;
    const Tensor& b = reduced.b.outputs->front().second;
    for (int64_t i = 0; i < a.numel(); ++i) {
      if (value_of(a, i) != value_of(b, i)) return i;
    }
    return 0;
  }

  ExitCode print_equal() const {
    if (globals_.format == OutputFormat::json) {
      print_json({{"format", "facsim-reduce"},
                  {"version", 1},
                  {"equal", true},
                  {"a", {{"name", a_.label()}}},
                  {"b", {{"name", b_label_}}}});
    } else {
      print(fmt::format("EQUAL: {} and {} agree on these inputs, nothing to reduce\n",
                        printable(a_.label()), printable(b_label_)));
      if (golden_.empty() && check_.empty()) {
        note("facsim vectors gen makes inputs that tell profiles apart");
      }
    }
    return ExitCode::equal;
  }

  ReduceJson side_json(const ReducedSide& side) const {
    ReduceJson json = {{"kind", side.rules     ? "profile"
                                : side.outputs ? "recording"
                                               : "command"},
                       {"name", side.label}};
    if (side.rules) json["profile"] = side.rules->name;
    if (side.rules) json["settings"] = ReduceJson::array();
    for (size_t i = 0; side.rules && i < side.rules->overrides.size(); ++i) {
      const auto& set = side.rules->overrides[i];
      json["settings"].push_back({{"pointer", set.pointer}, {"value", set.value}});
    }
    if (!side.result.empty()) json["result"] = ReduceJson::parse(side.result, nullptr, false);
    return json;
  }

  void print_result(const Reduced& reduced) const {
    const backends::IntNode& node = reduced.start.graph.nodes[0];
    int64_t values = 0, before = 0;
    for (const Tensor& input : reduced.small.inputs) values += input.numel();
    for (const Tensor& input : reduced.start.inputs) before += input.numel();
    if (globals_.format == OutputFormat::json) {
      ReduceJson json = {{"format", "facsim-reduce"},
                         {"version", 1},
                         {"equal", false},
                         {"folder", output_},
                         {"layer", node.name},
                         {"op", node.op},
                         {"outputs", reduced.a.outputs->front().second.numel()},
                         {"inputs", values}};
      if (reduced.a.chain && reduced.a.chain->accumulator) {
        json["taps"] = reduced.a.chain->accumulator->taps;
        json["accumulator"] = reduced.a.chain->accumulator->value;
      }
      json["a"] = side_json(reduced.a);
      json["b"] = side_json(reduced.b);
      json["notes"] = reduced.notes;
      return print_json(json);
    }
    print(fmt::format("layer {} ({}), {} of {} input values\n", printable(node.name), node.op,
                      with_commas(values), with_commas(before)));
    print(numbers_text(reduced));
    for (const std::string& text : reduced.notes) print(printable(text) + "\n");
    print(fmt::format("wrote {}: run.sh shows it\n", printable(output_)));
  }

  ModelFile model_;
  MatchOptions match_;
  CheckCommand::Limits limits_;
  std::string inputs_, against_, golden_, check_, output_;
  std::vector<std::string> against_set_;
  bool with_cause_ = false;

  Globals globals_;
  std::optional<DeployedNetwork> network_;
  std::optional<LayerProfiles> others_;
  ReduceRules a_;
  std::string b_label_;
  std::vector<Tensor> inputs_read_;
};

}  // namespace

std::unique_ptr<Command> make_reduce_command() { return std::make_unique<ReduceCommand>(); }

}  // namespace facsim::cli
