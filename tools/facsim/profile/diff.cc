// SPDX-License-Identifier: Apache-2.0
// facsim profile diff.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/parity/profile_diff.h"
#include "backends/parity/profile_diff_network.h"
#include "backends/profile/profile_differences.h"
#include "sim/core/error.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/layer_profiles.h"
#include "tools/facsim/model_file.h"
#include "tools/facsim/output.h"
#include "tools/facsim/profile/profile_tool.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

using Json = nlohmann::ordered_json;
using backends::DifferingVector;
using backends::OpDifference;
using backends::SettingDifference;
using Verdict = OpDifference::Verdict;

Json parsed_or_null(const std::string& json) {
  return json.empty() ? Json(nullptr) : Json::parse(json);
}

Json to_json(const SettingDifference& difference) {
  return {{"pointer", difference.pointer},     {"a", parsed_or_null(difference.a)},
          {"b", parsed_or_null(difference.b)}, {"a_set_by", difference.a_place},
          {"b_set_by", difference.b_place},    {"meaning", difference.meaning}};
}

Json to_json(const DifferingVector::Side& side) {
  Json json = Json::object();
  if (side.accumulator) json["accumulator"] = *side.accumulator;
  if (side.multiplier) json["multiplier"] = *side.multiplier;
  if (side.shift) json["shift"] = *side.shift;
  json["steps"] = side.steps;
  json["output"] = side.output;
  return json;
}

Json to_json(const OpDifference& op) {
  Json json = {{"op", op.op}, {"verdict", to_string(op.verdict)}};
  if (!op.proof.empty()) json["proof"] = op.proof;
  if (!op.reason.empty()) json["reason"] = op.reason;
  json["compared"] = op.compared;
  json["differing"] = op.differing;
  if (!op.smallest) return json;
  const DifferingVector& smallest = *op.smallest;
  Json vector = Json::object();
  if (smallest.scales) {
    vector["input_scale"] = smallest.scales->input;
    vector["weight_scale"] = smallest.scales->weight;
    vector["output_scale"] = smallest.scales->output;
    vector["zero_point"] = smallest.scales->zero_point;
    vector["activation"] = smallest.scales->activation;
    vector["output_type"] = sim::to_string(smallest.scales->type);
  } else {
    vector["layer"] = smallest.layer;
    vector["index"] = smallest.index;
  }
  vector["a"] = to_json(smallest.a);
  vector["b"] = to_json(smallest.b);
  json["smallest"] = std::move(vector);
  return json;
}

std::string place_or_default(const std::string& value, const std::string& place) {
  if (value.empty()) return "";
  return " (" + (place.empty() ? "default" : printable(place)) + ")";
}

std::string value_or_absent(const std::string& value) {
  return value.empty() ? "absent" : printable(value);
}

void print_settings(const std::vector<SettingDifference>& differences, bool color) {
  for (const SettingDifference& difference : differences) {
    print(fmt::format(
        "{}\n  A  {}{}\n  B  {}{}\n", colored(printable(difference.pointer), Color::bold, color),
        value_or_absent(difference.a), place_or_default(difference.a, difference.a_place),
        value_or_absent(difference.b), place_or_default(difference.b, difference.b_place)));
    if (!difference.meaning.empty()) print("  means  " + printable(difference.meaning) + "\n");
  }
  print(fmt::format("{} setting{} differ{}\n", differences.size(),
                    differences.size() == 1 ? "" : "s", differences.size() == 1 ? "s" : ""));
}

/// "accumulator 5; mul multiplier -> 10; …": steps that leave the value as it is are left out.
std::string chain_text(const DifferingVector::Side& side) {
  std::vector<std::string> parts;
  std::string value;
  if (side.accumulator) {
    value = std::to_string(*side.accumulator);
    parts.push_back("accumulator " + value);
  }
  for (const std::string& step : side.steps) {
    const std::string now = step.substr(std::min(step.rfind("-> ") + 3, step.size()));
    if (now == value) continue;
    value = now;
    parts.push_back(step);
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string multiplier_text(const DifferingVector::Side& side) {
  if (!side.multiplier && !side.shift) return "";
  std::string text = " (";
  if (side.multiplier) text += fmt::format("multiplier = {}", *side.multiplier);
  if (side.shift) text += fmt::format("{}shift = {}", side.multiplier ? ", " : "", *side.shift);
  return text + ")";
}

void print_smallest(const DifferingVector& smallest) {
  if (smallest.scales) {
    const DifferingVector::Scales& scales = *smallest.scales;
    std::string ratio = fmt::format("{}", scales.input);
    if (scales.weight != 1) ratio += fmt::format(" * {}", scales.weight);
    if (scales.output != 1) ratio += fmt::format(" / {}", scales.output);
    print(fmt::format("    smallest: accumulator {}, scale {}, zero point {}{}, {}\n",
                      *smallest.a.accumulator, ratio, scales.zero_point,
                      scales.activation == "none" ? "" : ", " + scales.activation,
                      sim::to_string(scales.type)));
  } else {
    print(fmt::format("    smallest: {} at [{}]\n", printable(smallest.layer),
                      fmt::join(smallest.index, ",")));
  }
  for (const auto& [name, side] : {std::pair{'A', &smallest.a}, {'B', &smallest.b}}) {
    const std::string chain = chain_text(*side);
    print(fmt::format("    {}  {}{}{}\n", name, side->output,
                      chain.empty() ? "" : "   " + printable(chain), multiplier_text(*side)));
  }
}

std::string verdict_text(const OpDifference& op) {
  switch (op.verdict) {
    case Verdict::equal:
      return "proved equal: " + op.proof;
    case Verdict::separated:
      return fmt::format("differs in {} of {} outputs tried", with_commas(op.differing),
                         with_commas(op.compared));
    case Verdict::not_separated:
      return fmt::format("not separated by {} outputs, not proved equal", with_commas(op.compared));
    case Verdict::only_in_a:
      return op.reason.empty() ? "unsupported on B"
                               : "only A has this variant; not compared: " + op.reason;
    case Verdict::only_in_b:
      return op.reason.empty() ? "unsupported on A"
                               : "only B has this variant; not compared: " + op.reason;
    case Verdict::incomparable:
      return "not compared: " + (op.reason.empty() ? "nothing that both compute" : op.reason);
  }
  return "";
}

bool is_difference(const OpDifference& op) {
  return op.verdict == Verdict::separated || op.verdict == Verdict::only_in_a ||
         op.verdict == Verdict::only_in_b;
}

void print_ops(const std::vector<OpDifference>& ops, bool color) {
  for (const OpDifference& op : ops) {
    const Color verdict = is_difference(op)              ? Color::red
                          : op.verdict == Verdict::equal ? Color::green
                                                         : Color::yellow;
    print(fmt::format("{}  {}\n", printable(op.op),
                      colored(printable(verdict_text(op)), verdict, color)));
    if (op.smallest) print_smallest(*op.smallest);
  }
}

std::string percent_of(int64_t part, int64_t whole) {
  return whole == 0 ? ""
                    : fmt::format("{:.4g} %",
                                  100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

/// What the differing outputs have in common.
std::string ties_text(const backends::LayerDifference& layer) {
  if (layer.explained == 0) return "";
  if (layer.near_tie == layer.explained) return "only on ties";
  if (layer.near_tie == 0) return "none on a tie";
  return fmt::format("{} on ties", percent_of(layer.near_tie, layer.explained));
}

Json to_json(const backends::LayerDifference& layer) {
  Json json = {{"node", layer.node},
               {"op", layer.op},
               {"tensor", layer.tensor},
               {"compared", layer.compared}};
  if (!layer.unsupported.empty()) {
    json["unsupported"] = layer.unsupported;
    return json;
  }
  json["own"] = layer.own;
  json["own_largest"] = layer.own_largest;
  json["explained"] = layer.explained;
  json["near_tie"] = layer.near_tie;
  json["whole"] = layer.whole ? Json(*layer.whole) : Json(nullptr);
  return json;
}

void print_layers(const std::vector<backends::LayerDifference>& layers) {
  using Align = TextTable::Align;
  TextTable table({{"layer"},
                   {"op"},
                   {"own", Align::right},
                   {"share", Align::right},
                   {"max", Align::right},
                   {"whole run", Align::right},
                   {"of", Align::right},
                   {""}});
  bool complete = true;
  for (const backends::LayerDifference& layer : layers) {
    if (!layer.unsupported.empty()) {
      complete = false;
      table.add_row({printable(layer.node), layer.op, "", "", "", "", with_commas(layer.compared),
                     "unsupported on B: " + printable(layer.unsupported)});
      continue;
    }
    table.add_row({printable(layer.node), layer.op, with_commas(layer.own),
                   percent_of(layer.own, layer.compared), fmt::format("{}", layer.own_largest),
                   layer.whole ? with_commas(*layer.whole) : "", with_commas(layer.compared),
                   ties_text(layer)});
  }
  print(table.text());
  print("own: outputs that differ when both get A's inputs\n");
  if (!complete) print("B does not run the whole network\n");
}

class ProfileDiff final : public ProfileTool {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("A", a_, "a shipped name or a path")->required();
    app.add_option("B", b_, "another; --set changes this one")->required();
    app.add_flag("--numeric", numeric_,
                 "compare what they compute: op by op proved equal, or the smallest vectors that "
                 "differ");
    app.add_option("--op", op_, "only this op or variant, as \"conv2d int16x8\" (--numeric)");
    model_.add_to(app, "--model",
                  "also run this network under both: the share that differs, by layer");
    app.add_option("--inputs", inputs_, "its inputs: .npz or .npy");
    app.footer(
        "Without --numeric and --model: every rule that is not the same, who set it and what it "
        "means. Exit "
        "code 1 if something differs.\n\n"
        "Examples:\n"
        "  facsim profile diff tflite-reference tflite-single-rounding\n"
        "  facsim profile diff tflite-micro ./my-chip.json --numeric\n"
        "  facsim profile diff tflite-micro tflite-micro --set /requantize/rounding=floor "
        "--numeric --op conv2d\n"
        "  facsim profile diff tflite-micro xnnpack-x86 --model net.tflite --inputs x.npz");
  }

  ExitCode run(const Globals& globals) override {
    if (!op_.empty() && !numeric_) throw UsageError("--op is for --numeric");
    const backends::ProfileChoice a{a_, {}}, b{b_, globals.overrides};
    const backends::ProfileSearch search = globals.search();
    if (model_.given() != !inputs_.empty()) {
      throw UsageError("profile diff --model needs --inputs, and the other way round");
    }
    const bool as_table = globals.format != OutputFormat::json;
    Json json = {{"a", head(a, search, globals)}, {"b", head(b, search, globals)}};
    if (as_table) heads_ = &json;  // printed in front of the first result
    bool any = false;
    if (!numeric_ && !model_.given()) any |= compare_settings(a, b, search, globals, json);
    if (numeric_) any |= compare_numbers(a, b, search, globals, json);
    if (numeric_ && model_.given() && as_table) print("\n");
    if (model_.given()) any |= compare_network(b, globals, json);
    if (!as_table) print_json(json);
    return any ? ExitCode::different : ExitCode::equal;
  }

 private:
  static Json head(const backends::ProfileChoice& choice, const backends::ProfileSearch& search,
                   const Globals& globals) {
    const backends::Profile profile =
        backends::load_profile(choice.name_or_path, search, choice.overrides);
    return {{"profile", choice.name_or_path},
            {"fingerprint", profile.fingerprint},
            {"file", profile.file.string()}};
  }

  void print_heads() {
    if (heads_ == nullptr) return;
    const Json& json = *std::exchange(heads_, nullptr);
    for (const char* side : {"a", "b"}) {
      print(fmt::format("{}  {}  {}  {}\n", side[0] == 'a' ? 'A' : 'B',
                        printable(json[side]["profile"].get<std::string>()),
                        json[side]["fingerprint"].get<std::string>(),
                        printable(json[side]["file"].get<std::string>())));
    }
    print("\n");
  }

  bool compare_settings(const backends::ProfileChoice& a, const backends::ProfileChoice& b,
                        const backends::ProfileSearch& search, const Globals& globals, Json& json) {
    const std::vector<SettingDifference> differences = backends::setting_differences(a, b, search);
    Json settings = Json::array();
    for (const SettingDifference& difference : differences) {
      settings.push_back(to_json(difference));
    }
    json["settings"] = std::move(settings);
    if (globals.format == OutputFormat::json) return !differences.empty();
    print_heads();
    print_settings(differences, globals.color_stdout);
    return !differences.empty();
  }

  bool compare_numbers(const backends::ProfileChoice& a, const backends::ProfileChoice& b,
                       const backends::ProfileSearch& search, const Globals& globals, Json& json) {
    backends::ProfileDiffOptions options;
    options.search = search;
    options.a = a;
    options.b = b;
    options.op = op_;
    if (globals.seed != 0) options.seed = globals.seed;
    std::vector<OpDifference> ops;
    {
      ProgressBar bar("profile diff", 100, globals.progress);
      options.progress = [&](int64_t done, int64_t total) {
        throw_if_interrupted();
        bar.update(100 * done / total);
      };
      ops = backends::numeric_differences(options);
    }
    bool any = false;
    Json list = Json::array();
    for (const OpDifference& op : ops) {
      any |= is_difference(op);
      list.push_back(to_json(op));
    }
    json["ops"] = std::move(list);
    if (globals.format == OutputFormat::json) return any;
    print_heads();
    print_ops(ops, globals.color_stdout);
    return any;
  }

  bool compare_network(const backends::ProfileChoice& b, const Globals& globals, Json& json) {
    constexpr int64_t kImages = 64;  // at a time: every tensor of them is in memory
    Globals of_a = globals;
    of_a.profile = a_;
    of_a.overrides.clear();
    const DeployedNetwork network(model_, of_a);
    const std::vector<Tensor> inputs = network.inputs(read_arrays(inputs_), inputs_);
    const backends::Profile profile_b =
        backends::load_profile(b.name_or_path, globals.search(), b.overrides);
    LayerProfiles others(globals.search());
    sim::ExecutorOptions options;
    options.isa = globals.isa;
    options.threads = globals.threads;
    options.progress = [](int64_t, int64_t) { throw_if_interrupted(); };
    backends::NetworkDiff diff(
        network.graph(), network.profile(), profile_b,
        [&](std::string_view name) -> const backends::Profile& { return others.find(name); },
        options);
    const int64_t images = inputs.front().shape()[0];
    {
      ProgressBar bar("profile diff", images, globals.progress);
      for (int64_t begin = 0; begin < images; begin += kImages) {
        throw_if_interrupted();
        const int64_t count = std::min(kImages, images - begin);
        std::vector<Tensor> batch;
        for (const Tensor& input : inputs) batch.push_back(input.slice(begin, count));
        diff.add(batch);
        bar.update(begin + count);
      }
    }
    bool any = false;
    Json layers = Json::array();
    for (const backends::LayerDifference& layer : diff.layers()) {
      any |= layer.own > 0 || !layer.unsupported.empty();
      layers.push_back(to_json(layer));
    }
    json["layers"] = std::move(layers);
    if (globals.format == OutputFormat::json) return any;
    print_heads();
    print_layers(diff.layers());
    return any;
  }

  const Json* heads_ = nullptr;
  ModelFile model_;
  std::string a_, b_, op_, inputs_;
  bool numeric_ = false;
};

}  // namespace

std::unique_ptr<ProfileTool> make_profile_diff() { return std::make_unique<ProfileDiff>(); }

}  // namespace facsim::cli
