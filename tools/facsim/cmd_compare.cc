// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/provenance.h"
#include "backends/parity/compare.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/compare_files.h"
#include "tools/facsim/compare_network.h"
#include "tools/facsim/comparison_output.h"
#include "tools/facsim/diagnosis.h"
#include "tools/facsim/image_range.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/output_path.h"
#include "tools/facsim/report/comparison_page.h"
#include "tools/facsim/runtime_process.h"

namespace facsim::cli {

namespace {

/// What the runs that wrote two files had not in common: the first thing to know when they differ.
std::vector<std::string> differing_runs(const std::optional<backends::Provenance>& a,
                                        const std::optional<backends::Provenance>& b) {
  std::vector<std::string> out;
  if (!a || !b) return out;
  if (a->inputs != b->inputs) {
    out.push_back(fmt::format("inputs differ: {} and {}", a->inputs, b->inputs));
  }
  if (a->network != b->network) {
    out.push_back(fmt::format("networks differ: {} and {}", a->network, b->network));
  }
  if (a->profile_fingerprint != b->profile_fingerprint) {
    out.push_back(fmt::format("profiles differ: {} ({}) and {} ({})", a->profile,
                              a->profile_fingerprint, b->profile, b->profile_fingerprint));
  }
  return out;
}

std::string file_name(const std::filesystem::path& file) { return file.filename().string(); }

class CompareCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("A", files_[0], "what you have: .npz or .npy");
    app.add_option("B", files_[1], "what it should be: .npz or .npy");
    model_.add_to(app, "--model", "run this network instead of reading A");
    app.add_option("--inputs", inputs_, "its inputs: .npz or .npy");
    app.add_option("--golden", golden_,
                   "what its tensors should be: .npz with arrays by the name of tensor or node, or "
                   ".npy of the network's only output");
    images_.add_to(app);
    app.add_option("--runtime", runtime_,
                   "compare with what the real runtime computes from the same file and inputs")
        ->check(one_of({"onnxruntime", "tflite"}));
    app.add_option("--runtimes", runtimes_,
                   "folder of tools/runtimes/install.sh (FACSIM_RUNTIMES, build/runtimes)");
    match_.add_to(app);
    app.add_option("--fail-on", fail_on_, "any, lsb:N, rate:P (0..1), argmax or never");
    first_given_ =
        app.add_option("--first", first_,
                       "mismatches to show of the first tensor that differs (5); given, of each")
            ->check(CLI::Range(0, 1000000));
    app.add_flag("--explain", explain_,
                 "how the first mismatch of every tensor came, not only of the first one");
    app.add_flag("--no-diagnose", no_diagnose_,
                 "do not look for the setting that explains the mismatches");
    app.add_option(
        "--html", html_,
        "also write one page that needs no network: layers, differences, channels, ties, "
        "accumulators, the first mismatch");
    app.add_option("--junit", junit_, "also write one testcase per tensor to this file");
    app.footer(
        "Tensors are matched by name; names that differ by what converters add (:0, /Relu, "
        "_quantized,\n"
        "a shared beginning) are matched and told, others by --map only. Where one side is NCHW "
        "and "
        "the\n"
        "other NHWC, that is said instead of their differences.\n\n"
        "Examples:\n"
        "  facsim compare out.npz golden.npz\n"
        "  facsim compare out.npy golden.npy --fail-on lsb:1\n"
        "  facsim compare --model net.json --profile xnnpack-x86 --inputs x.npz --golden "
        "device.npz\n"
        "  facsim compare --model net.json --inputs x.npz --golden device.npz --layout nchw "
        "--layers "
        "'conv*'\n"
        "  facsim compare --model net.onnx --inputs x.npz --runtime onnxruntime");
  }

  ExitCode run(const Globals& globals) override {
    tolerance_ = parse_tolerance();
    check_usage();
    for (const std::string& file : {junit_, html_}) {
      if (!file.empty()) {
        require_not_an_input(file, {model_.name(), inputs_, golden_, files_[0], files_[1]});
      }
    }
    const CompareOptions options{.first_mismatches = first_, .page = !html_.empty()};
    const NetworkComparison result =
        model_.given() ? compare_model(globals, options) : compare_two_files(options);
    if (result.layouts.empty() && result.stopped.empty()) refuse_nothing(result);
    for (const std::string& text : result.notes) note(printable(text));
    const bool accepted = result.stopped.empty() && backends::accepts(tolerance_, result.report);
    if (!accepted) say_without_classes(result);
    stopped_ = result.stopped;
    if (!html_.empty()) {
      backends::write_file_atomically(html_, comparison_html(page(globals, accepted), result));
    }
    if (!junit_.empty()) {
      backends::write_file_atomically(junit_, report_junit(result, tolerance_));
    }
    if (globals.format == OutputFormat::json) {
      nlohmann::ordered_json json = {{"format", "facsim-compare"}, {"version", 1}};
      json.update(report_json(result, accepted));
      if (!differing_.empty()) json["runs_differ"] = differing_;
      if (!runtime_version_.empty()) json["runtime_version"] = runtime_version_;
      if (cause_) json["probable_cause"] = probable_cause_json(*cause_);
      print_json(json);
    } else {
      print_report(result, {.accepted = accepted,
                            .color = globals.color_stdout,
                            .every_chain = explain_,
                            .every_tensor = first_given_->count() > 0,
                            .cause = cause_text(globals)});
      if (!result.divergences.empty() && !golden_.empty() && !layouts_explain(result)) {
        print("\nto name the cause: " + repeated(globals, "diagnose") + "\n");
      }
    }
    return accepted ? ExitCode::equal : ExitCode::different;
  }

 private:
  void check_usage() const {
    if (!model_.given()) {
      if (files_[0].empty() || files_[1].empty()) {
        throw UsageError("compare needs two files A and B");
      }
      if (!runtime_.empty()) throw UsageError("--runtime needs --model and --inputs");
      if (explain_) throw UsageError("--explain needs --model: files do not say how they came");
      if (!images_.words().empty()) throw UsageError("--images needs --model and --inputs");
      return;
    }
    if (!files_[0].empty()) throw UsageError("compare takes A and B, or --model, not both");
    if (inputs_.empty() || (golden_.empty() && runtime_.empty())) {
      throw UsageError("compare --model needs --inputs and --golden or --runtime");
    }
    if (!golden_.empty() && !runtime_.empty()) {
      throw UsageError("compare takes --golden or --runtime, not both");
    }
    if (runtime_.empty() && !runtimes_.empty()) throw UsageError("--runtimes is for --runtime");
    const bool is_onnx = std::filesystem::path(model_.name()).extension() == ".onnx";
    const bool is_tflite = std::filesystem::path(model_.name()).extension() == ".tflite";
    if ((runtime_ == "onnxruntime" && !is_onnx) || (runtime_ == "tflite" && !is_tflite)) {
      throw UsageError(fmt::format(
          "--runtime {} runs {} files: {} is none; facsim export --verify "
          "writes one",
          runtime_, runtime_ == "tflite" ? ".tflite" : ".onnx", printable(model_.name())));
    }
  }

  /// What the two runs have not in common is said before anything is compared.
  void say_differing(const std::optional<backends::Provenance>& a,
                     const std::optional<backends::Provenance>& b) {
    differing_ = differing_runs(a, b);
    inputs_differ_ = a && b && a->inputs != b->inputs;
    provenance_differs_ = inputs_differ_ || (a && b && a->network != b->network);
    for (const std::string& text : differing_) note(printable(text));
  }

  /// Values of other inputs are other values: the comparison ends before it begins, with the inputs
  /// that golden holds (`held`), unless --fail-on lets those pass.
  std::optional<NetworkComparison> stop_at_inputs(backends::ComparisonReport held) const {
    if (tolerance_.kind == backends::Tolerance::Kind::never) return std::nullopt;
    const bool held_differ = held.mismatches() > 0;
    if (held_differ ? backends::accepts(tolerance_, held) : !inputs_differ_ || held.equal()) {
      return std::nullopt;
    }
    NetworkComparison stopped;
    stopped.stopped =
        held_differ ? "inputs differ: " + differing_inputs_text(held) : differing_.front();
    stopped.report = std::move(held);
    return stopped;
  }

  /// The tolerance argmax refuses what holds no classes: that is no changed class.
  void say_without_classes(const NetworkComparison& result) const {
    const auto& tensors = result.report.tensors;
    const bool has_classes = std::any_of(tensors.begin(), tensors.end(),
                                         [](const auto& t) { return t.argmax.images > 0; });
    if (tolerance_.kind == backends::Tolerance::Kind::argmax && !has_classes) {
      note("--fail-on argmax: none of the tensors is an output of classes, [N, C]");
    }
  }

  NetworkComparison compare_two_files(const CompareOptions& options) {
    const ArrayFile got(files_[0]), expected(files_[1]);
    say_differing(got.provenance(), expected.provenance());
    if (auto stopped = stop_at_inputs({})) return std::move(*stopped);
    return compare_files(got, expected, match_, options);
  }

  NetworkComparison compare_model(const Globals& globals, const CompareOptions& options) {
    if (!runtime_.empty()) return compare_runtime(globals, options);
    const DeployedNetwork network(model_, globals);
    const std::vector<Tensor> inputs =
        images_.of(network.inputs(read_arrays(inputs_), inputs_), inputs_);
    const ArrayFile file(golden_);
    remember(network, inputs, globals);
    say_differing(provenance_, file.provenance());
    const Golden golden = read_golden(network, file, inputs[0].shape()[0], match_);
    if (auto stopped = stop_at_inputs(compare_inputs(network, inputs, golden))) {
      return std::move(*stopped);
    }
    return compare_and_diagnose(network, inputs, golden, options, globals);
  }

  NetworkComparison compare_and_diagnose(const DeployedNetwork& network,
                                         const std::vector<Tensor>& inputs, const Golden& golden,
                                         const CompareOptions& options, const Globals& globals) {
    NetworkComparison comparison = compare_network(network, inputs, golden, options, globals);
    if (!no_diagnose_ && !provenance_differs_) {
      cause_ = probable_cause(network, inputs, golden, comparison, globals);
    }
    return comparison;
  }

  /// The network under --profile or the runtime's own, against the runtime on the very same file.
  NetworkComparison compare_runtime(const Globals& globals, const CompareOptions& options) {
    const DeployedRuntime& runtime = runtime_of(model_.name());
    Globals matching = globals;
    if (matching.profile.empty()) matching.profile = runtime.profile;
    const DeployedNetwork network(model_, matching);
    const std::vector<Tensor> inputs =
        images_.of(network.inputs(read_arrays(inputs_), inputs_), inputs_);
    const std::filesystem::path script = find_runtime(runtime, runtimes_);
    backends::NamedTensors arrays;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto t = static_cast<size_t>(network.graph().inputs[i]);
      arrays.emplace_back(network.graph().tensors[t].name, network.to_file_layout(inputs[i]));
    }
    RuntimeResult real = run_in_runtime(runtime, script, model_.name(), arrays,
                                        int8_options(model_.name(), network.graph()));
    runtime_version_ = real.version;
    remember(network, inputs, matching);
    note(fmt::format("{} against the simulator under {}", printable(real.version),
                     network.profile().name));
    const Golden golden = golden_of(network, std::move(real.outputs), match_);
    return compare_and_diagnose(network, inputs, golden, options, matching);
  }

  /// The words of a command that repeats this run.
  std::string repeated(const Globals& globals, std::string_view command) const {
    std::string text = fmt::format("facsim {} --model {} --profile {} --inputs {}", command,
                                   shell_quoted(model_.name()), shell_quoted(profile_name_),
                                   shell_quoted(inputs_));
    for (const backends::ProfileOverride& set : globals.overrides) {
      text += " --set " + shell_quoted(set.pointer + "=" + set.value);
    }
    text += golden_.empty() ? " --runtime " + runtime_ : " --golden " + shell_quoted(golden_);
    return printable(text + images_.words());
  }

  /// The setting that explains what differs.
  std::string cause_text(const Globals& globals) const {
    if (!cause_) return "";
    return probable_cause_text(*cause_, repeated(globals, "compare"), globals.color_stdout);
  }

  ComparisonPage page(const Globals& globals, bool accepted) const {
    ComparisonPage page;
    page.accepted = accepted;
    page.fail_on = fail_on_;
    page.runs_differ = differing_;
    if (cause_) page.cause = probable_cause_lines(*cause_, repeated(globals, "compare"));
    if (!stopped_.empty()) page.runs_differ.push_back(stopped_);
    if (!model_.given()) {
      page.title = file_name(files_[0]) + " and " + file_name(files_[1]);
      page.sources = {{"what we have", files_[0]}, {"what it should be", files_[1]}};
      return page;
    }
    page.title = file_name(model_.name()) + " under " + profile_.name;
    page.details = profile_.title;
    page.sources = {
        {"network", model_.name() + ", fingerprint " + provenance_.network},
        {"inputs", inputs_ + ", fingerprint " + provenance_.inputs},
        {"profile", fmt::format("{}, fingerprint {}, {}", profile_.name, profile_.fingerprint,
                                profile_.file.filename().string())},
        {"compared with", runtime_.empty() ? golden_ : runtime_version_},
    };
    for (const backends::ProfileOverride& set : globals.overrides) {
      page.sources.emplace_back("--set", set.pointer + "=" + set.value);
    }
    for (auto& setting :
         backends::profile_settings(profile_name_, globals.search(), globals.overrides)) {
      const bool is_rule = setting.pointer.starts_with("/accumulator") ||
                           setting.pointer.starts_with("/requantize") ||
                           setting.pointer.starts_with("/output") ||
                           setting.pointer.starts_with("/zero_point_add") ||
                           setting.pointer.starts_with("/activation_order");
      if (is_rule && !setting.place.empty()) page.settings.push_back(std::move(setting));
    }
    return page;
  }

  void remember(const DeployedNetwork& network, const std::vector<Tensor>& inputs,
                const Globals& globals) {
    profile_ = network.profile();
    profile_name_ = network.profile_name(globals);
    provenance_ = network.provenance(inputs);
  }

  backends::Tolerance parse_tolerance() const {
    try {
      return backends::tolerance_from_string(fail_on_);
    } catch (const Error& error) {
      throw UsageError(fmt::format("--fail-on: {}", error.what()));
    }
  }

  /// "0 of 0 differ" would look like success.
  static void refuse_nothing(const NetworkComparison& comparison) {
    if (comparison.report.compared() > 0) return;
    for (const std::string& text : comparison.notes) note(printable(text));
    std::vector<ErrorInfo> infos;
    for (const auto& difference : comparison.report.structure) {
      infos.push_back({ErrorCode::shape_mismatch, "", to_string(difference), "", ""});
    }
    infos.push_back({ErrorCode::shape_mismatch, "compare", "no value to compare",
                     "a tensor of the same name, shape and dtype on both sides", ""});
    throw Error(std::move(infos));
  }

  std::array<std::string, 2> files_;
  ModelFile model_;
  MatchOptions match_;
  ImageRange images_;
  backends::Tolerance tolerance_;
  CLI::Option* first_given_ = nullptr;
  std::string inputs_, golden_, runtime_, runtimes_, junit_, runtime_version_, fail_on_ = "any";
  std::string html_, profile_name_, stopped_;
  std::vector<std::string> differing_;
  backends::Profile profile_;  // of the run that was compared, for the page
  backends::Provenance provenance_;
  std::optional<ProbableCause> cause_;
  bool explain_ = false, no_diagnose_ = false;
  bool inputs_differ_ = false;       // by what the files say of their runs
  bool provenance_differs_ = false;  // of inputs or network: no setting explains that
  int first_ = 5;
};

}  // namespace

std::unique_ptr<Command> make_compare_command() { return std::make_unique<CompareCommand>(); }

}  // namespace facsim::cli
