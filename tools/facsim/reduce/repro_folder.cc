// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/reduce/repro_folder.h"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/io/network_file.h"
#include "sim/graph/executor.h"
#include "tools/facsim/layer_profiles.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

namespace fs = std::filesystem;
using backends::Reproduction;

std::string steps_text(const backends::ElementChain& chain) {
  std::string text;
  for (const backends::ElementStep& step : chain.steps) {
    text += fmt::format("  {:<34} {}\n", step.step, step.value);
  }
  return text;
}

/// What the folder's script runs, and what its exit code means.
struct Script {
  std::string line, meaning;
};

Script script_of(const ReducedSide& b) {
  if (!b.outputs) {
    return {"sh -c " + shell_quoted(b.label), "Exit code 0 while the command calls it different."};
  }
  return {
      "facsim compare --model net.json --profile ./a.json --inputs inputs.npz --golden "
      "expected_b.npz",
      b.rules ? "Exit code 1 while the profiles differ."
              : "Exit code 1 while the profile differs from the recording."};
}

std::string what_b_is(const ReducedSide& b) {
  if (b.rules) return "`b.json` is " + b.label;
  if (b.outputs) return "`expected_b.npz` was recorded";
  return "the other side is the command that `run.sh` runs";
}

}  // namespace

std::string ReduceRules::label() const {
  std::string text = name;
  for (const backends::ProfileOverride& set : overrides) {
    text += " --set " + shell_quoted(set.pointer + "=" + set.value);
  }
  return text;
}

ReduceRules ReduceRules::of(const backends::IntNode& node) const {
  if (node.profile.empty()) return *this;
  return {node.profile, {}, search};
}

Reproduction by_itself(Reproduction at) {
  at.graph.profile = "a";
  at.graph.profile_fingerprint.clear();
  at.graph.layout = backends::IntGraph::Layout::nhwc;
  if (at.graph.nodes.size() == 1) at.graph.nodes[0].profile.clear();
  return at;
}

backends::NamedTensors outputs_of(const Reproduction& at, const backends::SimulatedSide& side) {
  const sim::Graph graph = side.others ? backends::lower(at.graph, side.profile, side.others)
                                       : backends::lower(at.graph, side.profile);
  sim::ExecutorOptions options;
  options.threads = 1;
  const sim::RunResult run = sim::Executor(graph, options).run(at.inputs);
  backends::NamedTensors outputs;
  for (size_t i = 0; i < run.outputs.size(); ++i) {
    const auto t = static_cast<size_t>(graph.outputs[i]);
    outputs.emplace_back(graph.tensors[t].name, run.outputs[i]);
  }
  return outputs;
}

std::string value_of(const Tensor& tensor, int64_t element) {
  if (tensor.dtype() != DType::float32) return fmt::format("{}", tensor.int_at(element));
  return fmt::format("{}", tensor.values<float>()[static_cast<size_t>(element)]);
}

ReducedSide simulated_side(const Reproduction& from, const ReduceRules& rules, int64_t element) {
  const ReduceRules own = rules.of(from.graph.nodes[0]);
  const Reproduction at = by_itself(from);
  const backends::Profile profile = own.load();
  ReducedSide side{own.label(), own, outputs_of(at, {profile}), {}, {}};
  const Tensor& output = side.outputs->front().second;
  side.result = value_of(output, element);
  if (output.dtype() == DType::float32) return side;
  const sim::Graph graph = backends::lower(at.graph, profile);
  std::vector<const Tensor*> inputs;
  for (const int t : graph.nodes[0].inputs) {
    const auto k = std::find(graph.inputs.begin(), graph.inputs.end(), t) - graph.inputs.begin();
    inputs.push_back(&at.inputs[static_cast<size_t>(k)]);
  }
  side.chain = backends::element_chain(at.graph, graph, 0, inputs, element, 8);
  return side;
}

void write_side_a(const fs::path& folder, Reproduction at, const std::string& rules,
                  const backends::NamedTensors& outputs) {
  at = by_itself(std::move(at));
  backends::write_int_graph(folder / "net.json", at.graph);
  backends::NamedTensors inputs;
  for (size_t i = 0; i < at.inputs.size(); ++i) {
    const auto t = static_cast<size_t>(at.graph.inputs[i]);
    inputs.emplace_back(at.graph.tensors[t].name, at.inputs[i]);
  }
  backends::write_npz(folder / "inputs.npz", inputs);
  backends::write_npz(folder / "expected_a.npz", outputs);
  backends::write_file_atomically(folder / "a.json", rules);
}

std::string profile_text(const ReduceRules& rules, const std::string& name) {
  auto json = nlohmann::ordered_json::parse(
      backends::resolved_profile_json(rules.name, rules.search, rules.overrides));
  json.erase("$schema");
  json["title"] = json["name"].get<std::string>() + ": " + json.value("title", "");
  json["name"] = name;
  return json.dump(2) + "\n";
}

void write_repro(const fs::path& folder, const Reduced& reduced) {
  const auto& [start, small, a, b, notes] = reduced;
  write_side_a(folder, small, profile_text(*a.rules, "a"), *a.outputs);
  if (b.outputs) backends::write_npz(folder / "expected_b.npz", *b.outputs);
  if (b.rules) backends::write_file_atomically(folder / "b.json", profile_text(*b.rules, "b"));
  const Script script = script_of(b);
  backends::write_file_atomically(
      folder / "run.sh",
      fmt::format("#!/bin/sh\n# {}\ncd \"$(dirname \"$0\")\" || exit 2\nexec {}\n", script.meaning,
                  script.line));
  std::error_code ignored;
  fs::permissions(folder / "run.sh", fs::perms(0755), ignored);
  std::string text = fmt::format("# {} and {} differ\n`a.json` is {}, {}.\n```\n{}```\n", a.label,
                                 b.label, a.label, what_b_is(b), numbers_text(reduced));
  for (const std::string& line : notes) text += fmt::format("\n{}.\n", line);
  text += fmt::format("Run it:\n```\n{}\n```\n", script.line);
  backends::write_file_atomically(folder / "README.md", text);
}

std::string numbers_text(const Reduced& reduced) {
  std::string text;
  if (reduced.a.chain && reduced.a.chain->accumulator) {
    const backends::ElementAccumulator& sum = *reduced.a.chain->accumulator;
    text += fmt::format("accumulator {} from {} tap{}\n", sum.value, sum.taps,
                        sum.taps == 1 ? "" : "s");
  }
  for (const ReducedSide* side : {&reduced.a, &reduced.b}) {
    text += printable(side->label);
    text += side->result.empty() ? ": different\n" : fmt::format(" -> {}\n", side->result);
    if (side->chain) text += steps_text(*side->chain);
  }
  return text;
}

}  // namespace facsim::cli
