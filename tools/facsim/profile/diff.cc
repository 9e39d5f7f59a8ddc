// SPDX-License-Identifier: Apache-2.0
// facsim profile diff.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
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
#include "tools/facsim/profile/diff_output.h"
#include "tools/facsim/profile/profile_tool.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

using Json = nlohmann::ordered_json;
using backends::OpDifference;
using backends::SettingDifference;

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
        "means.\n"
        "Exit code 0 if nothing differs, with --numeric only if every op is proved equal; else "
        "1.\n\n"
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
    Json json = {{"format", "facsim-profile-diff"},
                 {"version", 1},
                 {"a", head(a, search, globals)},
                 {"b", head(b, search, globals)}};
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
      any |= op.verdict != OpDifference::Verdict::equal;
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
