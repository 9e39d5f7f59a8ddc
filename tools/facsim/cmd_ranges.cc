// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "tools/facsim/accumulator_ranges.h"
#include "tools/facsim/command.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/observed_accumulators.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using RangesJson = nlohmann::ordered_json;

/// A number as JSON where it fits, else as text.
RangesJson json_number(sim::int128 v) {
  if (v >= INT64_MIN && v <= INT64_MAX) return static_cast<int64_t>(v);
  return static_cast<double>(v);
}

std::string shown(sim::int128 v) {
  if (v >= INT64_MIN && v <= INT64_MAX) return with_commas(static_cast<int64_t>(v));
  return fmt::format("{:.6g}", static_cast<double>(v));
}

std::string register_of(const sim::Accumulator& accumulator) {
  return fmt::format("{} {}", sim::to_string(accumulator.type()), to_string(accumulator.overflow));
}

class RangesCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    model_.add_to(app, "--model", "network");
    app.get_option("--model")->required();
    app.add_option("--bits", bits_, "ask about wrapping accumulators of that width instead")
        ->check(CLI::Range(8, 64));
    app.add_option("--inputs", inputs_,
                   "run these too (.npz or .npy) and show the accumulators that occurred");
    app.add_flag("--channels", per_channel_, "every output channel, not only the worst of a layer");
    app.add_option("--witness", witness_file_,
                   "write the inputs that overflow: .npz, one [KH, KW, IC] array a layer");
    app.footer(
        "Proves from the weights and biases of each convolution and linear layer that no input "
        "can\n"
        "take its accumulator out of its width, in any order of the taps; or shows one that does,\n"
        "replayed on the scalar path. Exit code 1 if a layer is not proved.\n\n"
        "Examples:\n"
        "  facsim ranges --model net.json --profile tflite-micro\n"
        "  facsim ranges --model net.tflite --profile cmsis-nn --inputs images.npz --channels\n"
        "  facsim ranges --model net.json --bits 20 --witness overflow.npz --format json");
  }

  ExitCode run(const Globals& globals) override {
    const DeployedNetwork network(model_, globals);
    std::vector<std::string> not_analysed;
    std::vector<LayerRange> layers = accumulator_ranges(
        network.executable(), bits_ == 0 ? std::nullopt : std::optional(bits_), not_analysed);
    if (!inputs_.empty()) {
      observe_accumulators(network.executable(), network.inputs(read_arrays(inputs_), inputs_),
                           globals, layers);
    }
    if (!witness_file_.empty()) write_witnesses(layers);
    if (globals.format == OutputFormat::json) {
      print_json(as_json(network, layers, not_analysed));
    } else {
      print_tables(globals, layers);
      for (const std::string& name : not_analysed) {
        note(fmt::format("{}: has weights, but this pass does not know its kind", printable(name)));
      }
    }
    const bool proved = std::all_of(layers.begin(), layers.end(), [](const LayerRange& layer) {
      return layer.verdict == LayerRange::Verdict::proved;
    });
    return proved ? ExitCode::equal : ExitCode::different;
  }

 private:
  void write_witnesses(const std::vector<LayerRange>& layers) const {
    backends::NamedTensors inputs;
    for (const LayerRange& layer : layers) {
      if (layer.witness) inputs.emplace_back(layer.name, layer.witness->input);
    }
    if (inputs.empty()) return note("no layer overflows; nothing written");
    backends::write_npz(witness_file_, inputs);
  }

  void print_tables(const Globals& globals, const std::vector<LayerRange>& layers) const {
    using Align = TextTable::Align;
    std::vector<TextTable::Column> columns = {{"layer"},
                                              {"op"},
                                              {"accumulator"},
                                              {"channel", Align::right},
                                              {"smallest sum", Align::right},
                                              {"largest sum", Align::right},
                                              {"bits", Align::right},
                                              {"verdict"}};
    if (!inputs_.empty()) {
      columns.push_back({"observed from", Align::right});
      columns.push_back({"to", Align::right});
    }
    TextTable table(columns);
    std::string witnesses;
    int64_t channels = 0;
    size_t proved = 0;
    for (const LayerRange& layer : layers) {
      channels += static_cast<int64_t>(layer.channels.size());
      proved += layer.verdict == LayerRange::Verdict::proved ? 1 : 0;
      for (size_t c = 0; c < layer.channels.size(); ++c) {
        const auto number = static_cast<int64_t>(c);
        if (!per_channel_ && number != layer.worst_channel()) continue;
        const ChannelRange& range = layer.channels[c];
        const bool leaves = std::binary_search(layer.leaving.begin(), layer.leaving.end(), number);
        const char* verdict = per_channel_ && !leaves ? "proved" : to_string(layer.verdict);
        std::vector<std::string> row = {
            printable(layer.name),         layer.op,         register_of(layer.accumulator),
            fmt::format("{}", c),          shown(range.min), shown(range.max),
            fmt::format("{}", range.bits), verdict};
        if (!layer.observed.empty()) {
          row.push_back(with_commas(layer.observed[c].min));
          row.push_back(with_commas(layer.observed[c].max));
        }
        table.add_row(std::move(row));
      }
      if (layer.witness) witnesses += described(layer) + "\n";
    }
    if (layers.empty()) return print("no convolution or linear layer: nothing to prove\n");
    print(table.text());
    if (!witnesses.empty()) print("\n" + witnesses);
    const bool all = proved == layers.size();
    print(fmt::format("\n{}  {} of {} proved ({})\n",
                      colored(all ? "PROVED" : "NOT PROVED", all ? Color::green : Color::red,
                              globals.color_stdout),
                      proved, counted(static_cast<int64_t>(layers.size()), "layer"),
                      counted(channels, "channel")));
  }

  static std::string described(const LayerRange& layer) {
    const OverflowWitness& w = *layer.witness;
    constexpr int64_t kShown = 16;
    std::string codes;
    for (int64_t i = 0; i < std::min(w.input.numel(), kShown); ++i) {
      codes += fmt::format("{}{}", i == 0 ? "" : " ", w.input.int_at(i));
    }
    if (w.input.numel() > kShown) codes += fmt::format(" … ({})", counted(w.input.numel(), "code"));
    return fmt::format(
        "{}: {} of {} channels can leave {} (or a group or term of it). Channel {} of input [{}] "
        "sums to {}; the accumulator "
        "holds {}",
        printable(layer.name), layer.leaving.size(), layer.channels.size(),
        register_of(layer.accumulator), w.channel, codes, w.exact, with_commas(w.accumulator));
  }

  RangesJson as_json(const DeployedNetwork& network, const std::vector<LayerRange>& layers,
                     const std::vector<std::string>& not_analysed) const {
    RangesJson list = RangesJson::array();
    bool proved = true;
    for (const LayerRange& layer : layers) {
      proved = proved && layer.verdict == LayerRange::Verdict::proved;
      const ChannelRange& worst = layer.worst();
      RangesJson one = {
          {"name", layer.name},
          {"op", layer.op},
          {"accumulator",
           {{"bits", layer.accumulator.bits}, {"overflow", to_string(layer.accumulator.overflow)}}},
          {"verdict", to_string(layer.verdict)},
          {"channels", layer.channels.size()},
          {"channels_leaving", layer.leaving.size()},
          {"worst",
           {{"channel", layer.worst_channel()},
            {"min", json_number(worst.min)},
            {"max", json_number(worst.max)},
            {"bits", worst.bits}}}};
      if (per_channel_) {
        for (const ChannelRange& range : layer.channels) {
          one["ranges"].push_back({{"min", json_number(range.min)},
                                   {"max", json_number(range.max)},
                                   {"bits", range.bits}});
        }
      }
      for (const ObservedRange& observed : layer.observed) {
        one["observed"].push_back({{"min", observed.min}, {"max", observed.max}});
      }
      if (layer.witness) {
        RangesJson codes = RangesJson::array();
        for (int64_t i = 0; i < layer.witness->input.numel(); ++i) {
          codes.push_back(layer.witness->input.int_at(i));
        }
        one["witness"] = {{"channel", layer.witness->channel},
                          {"shape", layer.witness->input.shape().extents()},
                          {"input", codes},
                          {"exact", layer.witness->exact},
                          {"accumulator", layer.witness->accumulator}};
      }
      list.push_back(std::move(one));
    }
    return {{"network", network.graph().name},
            {"profile", network.profile().name},
            {"proved", proved},
            {"layers", list},
            {"not_analysed", not_analysed}};
  }

  ModelFile model_;
  std::string inputs_, witness_file_;
  int bits_ = 0;
  bool per_channel_ = false;
};

}  // namespace

std::unique_ptr<Command> make_ranges_command() { return std::make_unique<RangesCommand>(); }

}  // namespace facsim::cli
