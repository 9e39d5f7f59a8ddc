// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/network_file.h"
#include "backends/parity/element.h"
#include "backends/parity/reduce.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tools/facsim/command.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

namespace fs = std::filesystem;
using backends::Profile;
using backends::Reproduction;
using ReduceJson = nlohmann::ordered_json;

/// A new folder that appears under its name when it is complete.
class NewFolder {
 public:
  explicit NewFolder(const fs::path& folder) : folder_(folder) {
    std::error_code error;
    if (fs::exists(folder_, error)) {
      throw Error({ErrorCode::io, folder_.string(), "exists already", "a new folder", ""});
    }
    std::string name = folder_.string() + ".tmp-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
      throw Error({ErrorCode::io, folder_.string(), std::strerror(errno), "a folder to write", ""});
    }
    temporary_ = name;
    fs::permissions(temporary_, fs::perms(0755), error);
  }
  ~NewFolder() {
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const fs::path& path() const { return temporary_; }
  void commit() {
    std::error_code error;
    fs::rename(temporary_, folder_, error);
    if (error) throw Error({ErrorCode::io, folder_.string(), error.message(), "", ""});
    temporary_.clear();
  }

 private:
  fs::path folder_, temporary_;
};

/// The resolved rules under a name of their own, as a profile's file must be called.
std::string renamed(const std::string& resolved, const std::string& name) {
  ReduceJson json = ReduceJson::parse(resolved);
  json.erase("$schema");
  json["title"] = json["name"].get<std::string>() + ": " + json.value("title", "");
  json["name"] = name;
  return json.dump(2) + "\n";
}

/// The differing element under one profile.
struct ReducedSide {
  std::string profile;  ///< as it was given
  backends::NamedTensors outputs;
  backends::ElementChain chain;
};

ReducedSide side_of(const Reproduction& at, const Profile& profile, int64_t element) {
  const sim::Graph graph = backends::lower(at.graph, profile);
  sim::ExecutorOptions options;
  options.isa = sim::Isa::scalar;
  const sim::RunResult run = sim::Executor(graph, options).run(at.inputs);
  const int out = graph.outputs[0];
  std::vector<const Tensor*> inputs;
  for (const int t : graph.nodes[0].inputs) {
    const auto k = std::find(graph.inputs.begin(), graph.inputs.end(), t) - graph.inputs.begin();
    inputs.push_back(&at.inputs[static_cast<size_t>(k)]);
  }
  return {profile.name,
          {{graph.tensors[static_cast<size_t>(out)].name, run.outputs[0]}},
          backends::element_chain(at.graph, graph, 0, inputs, element, 8)};
}

int64_t first_difference(const Tensor& a, const Tensor& b) {
  for (int64_t i = 0; i < a.numel(); ++i) {
    if (a.int_at(i) != b.int_at(i)) return i;
  }
  return 0;
}

std::string steps_of(const ReducedSide& side) {
  std::string text;
  for (const backends::ElementStep& step : side.chain.steps) {
    text += fmt::format("  {:<34} {}\n", step.step, step.value);
  }
  return text;
}

class ReduceCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    model_.add_to(app, "--model", "network");
    app.get_option("--model")->required();
    app.add_option("--inputs", inputs_, "on which the profiles differ: .npz or .npy")->required();
    app.add_option("--against", against_, "the other profile; absent: --profile without its --set");
    app.add_option("-o,--output", output_, "folder to write, new")->required();
    app.footer(
        "Cuts the network to the first layer that two profiles compute differently, and that to "
        "one\n"
        "output, the fewest taps and the smallest integers. Writes a folder that shows the "
        "difference\n"
        "by itself: network, both profiles, inputs, what each computes, and a script.\n\n"
        "Examples:\n"
        "  facsim reduce --model net.json --profile tflite-reference --against "
        "tflite-single-rounding --inputs x.npz -o repro\n"
        "  facsim reduce --model net.json --profile tflite-micro --set "
        "/requantize/rounding=half_even --inputs x.npz -o repro");
  }

  ExitCode run(const Globals& globals) override {
    if (against_.empty() && globals.overrides.empty()) {
      throw UsageError("reduce needs a second profile: --against, or --set");
    }
    const DeployedNetwork network(model_, globals);
    const std::string name = globals.profile.empty() ? network.graph().profile : globals.profile;
    const std::string other = against_.empty() ? name : against_;
    const backends::ProfileSearch search = globals.search();
    const Profile& a = network.profile();
    const Profile b = backends::load_profile(other, search);
    NewFolder folder(output_);

    const std::vector<Tensor> inputs = network.inputs(read_arrays(inputs_), inputs_);
    const Reproduction start = backends::first_differing_node(network.graph(), inputs, a, b);
    Reproduction small = backends::reduce(start, [&](const Reproduction& candidate) {
      throw_if_interrupted();
      return backends::differs(candidate, a, b);
    });
    small.graph.profile = "a";
    small.graph.profile_fingerprint.clear();
    small.graph.layout = backends::IntGraph::Layout::nhwc;
    const auto run_outputs = [&](const Profile& p) { return side_of(small, p, 0); };
    ReducedSide ours = run_outputs(a), theirs = run_outputs(b);
    const int64_t element = first_difference(ours.outputs[0].second, theirs.outputs[0].second);
    if (element != 0) {
      ours = side_of(small, a, element);
      theirs = side_of(small, b, element);
    }
    write(folder.path(), small, ours, theirs,
          renamed(backends::resolved_profile_json(name, search, globals.overrides), "a"),
          renamed(backends::resolved_profile_json(other, search), "b"));
    folder.commit();
    print_result(globals, start, small, ours, theirs);
    return ExitCode::different;
  }

 private:
  static std::string numbers(const Reproduction& small, const ReducedSide& ours,
                             const ReducedSide& theirs) {
    std::string text;
    if (ours.chain.accumulator) {
      text +=
          fmt::format("accumulator {} from {} tap{}\n", ours.chain.accumulator->value,
                      ours.chain.accumulator->taps, ours.chain.accumulator->taps == 1 ? "" : "s");
    }
    for (const ReducedSide* side : {&ours, &theirs}) {
      text += fmt::format("{} -> {}\n{}", side->profile, side->chain.result(), steps_of(*side));
    }
    return text;
  }

  static void write(const fs::path& folder, const Reproduction& small, const ReducedSide& ours,
                    const ReducedSide& theirs, const std::string& a, const std::string& b) {
    backends::write_int_graph(folder / "net.json", small.graph);
    backends::NamedTensors inputs;
    for (size_t i = 0; i < small.inputs.size(); ++i) {
      const auto t = static_cast<size_t>(small.graph.inputs[i]);
      inputs.emplace_back(small.graph.tensors[t].name, small.inputs[i]);
    }
    backends::write_npz(folder / "inputs.npz", inputs);
    backends::write_npz(folder / "expected_a.npz", ours.outputs);
    backends::write_npz(folder / "expected_b.npz", theirs.outputs);
    backends::write_file_atomically(folder / "a.json", a);
    backends::write_file_atomically(folder / "b.json", b);
    const std::string line =
        "facsim compare --model net.json --profile ./a.json --inputs inputs.npz --golden "
        "expected_b.npz";
    backends::write_file_atomically(
        folder / "run.sh",
        "#!/bin/sh\n# Exit code 1 while the profiles differ.\ncd \"$(dirname "
        "\"$0\")\" || exit 2\nexec " +
            line + "\n");
    std::error_code ignored;
    fs::permissions(folder / "run.sh", fs::perms(0755), ignored);
    backends::write_file_atomically(
        folder / "README.md",
        fmt::format("# {} and {} differ\n`a.json` is {}, `b.json` {}.\n```\n{}```\nRun it:\n"
                    "```\n{}\n```\n",
                    ours.profile, theirs.profile, ours.profile, theirs.profile,
                    numbers(small, ours, theirs), line));
  }

  void print_result(const Globals& globals, const Reproduction& start, const Reproduction& small,
                    const ReducedSide& ours, const ReducedSide& theirs) const {
    const backends::IntNode& node = start.graph.nodes[0];
    if (globals.format == OutputFormat::json) {
      ReduceJson json = {{"folder", output_},
                         {"layer", node.name},
                         {"op", node.op},
                         {"outputs", ours.outputs[0].second.numel()},
                         {"inputs", small.inputs[0].numel()}};
      if (ours.chain.accumulator) {
        json["taps"] = ours.chain.accumulator->taps;
        json["accumulator"] = ours.chain.accumulator->value;
      }
      json["a"] = {{"profile", ours.profile}, {"result", ours.chain.result()}};
      json["b"] = {{"profile", theirs.profile}, {"result", theirs.chain.result()}};
      print_json(json);
      return;
    }
    print(fmt::format("layer {} ({}), {} of {} input values\n", printable(node.name), node.op,
                      small.inputs[0].numel(), with_commas(start.inputs[0].numel())));
    print(numbers(small, ours, theirs));
    print(fmt::format("wrote {}: run.sh shows it\n", printable(output_)));
  }

  ModelFile model_;
  std::string inputs_, against_, output_;
};

}  // namespace

std::unique_ptr<Command> make_reduce_command() { return std::make_unique<ReduceCommand>(); }

}  // namespace facsim::cli
