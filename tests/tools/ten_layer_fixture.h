// SPDX-License-Identifier: Apache-2.0
// The network of ten layers on disk, as tflite-micro executes it.
#pragma once

#include <algorithm>

#include "backends/io/network_file.h"
#include "backends/io/npy.h"
#include "sim/graph/executor.h"
#include "tests/backends/ten_layer_network.h"
#include "tests/tools/command_runner.h"

namespace facsim::test {

struct TenLayerFixture {
  TempFolder folder;
  backends::IntGraph graph;
  Tensor input;                   ///< NHWC codes
  backends::NamedTensors values;  ///< every tensor, by the norm

  explicit TenLayerFixture(int64_t images = 4) {
    const backends::Profile profile =
        backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
    TenLayers network(profile);
    graph = network.graph();
    input = network.images(images)[0];
    values = run(input);
    backends::write_int_graph(folder / "net.json", graph);
    backends::write_npz(folder / "x.npz", {{"x", input}});
  }

  /// Every tensor of the network under tflite-micro with `overrides`.
  backends::NamedTensors run(const Tensor& x,
                             const std::vector<backends::ProfileOverride>& overrides = {}) const {
    const sim::Graph executable = backends::lower(
        graph,
        backends::load_profile("tflite-micro", backends::ProfileSearch::standard(), overrides));
    sim::ExecutorOptions options;
    options.isa = sim::Isa::scalar;
    options.trace = true;
    const sim::RunResult result = sim::Executor(executable, options).run({x});
    backends::NamedTensors named;
    for (size_t t = 0; t < executable.tensors.size(); ++t) {
      named.emplace_back(executable.tensors[t].name, result.tensors[t]);
    }
    return named;
  }

  const Tensor& value(std::string_view name) const { return value_in(values, name); }
  static const Tensor& value_in(const backends::NamedTensors& tensors, std::string_view name) {
    return std::find_if(tensors.begin(), tensors.end(),
                        [&](const auto& entry) { return entry.first == name; })
        ->second;
  }

  /// The node of that name's output tensor.
  const std::string& output_of(std::string_view node) const {
    const auto found = std::find_if(graph.nodes.begin(), graph.nodes.end(),
                                    [&](const auto& n) { return n.name == node; });
    return graph.tensors[static_cast<size_t>(found->output)].name;
  }

  std::string file(std::string_view name) const { return (folder / name).string(); }

  /// `facsim COMMAND… --model net.json --inputs x.npz more…`.
  CommandResult command(std::vector<std::string> words,
                        const std::vector<std::string>& more) const {
    words.insert(words.end(), {"--model", file("net.json"), "--inputs", file("x.npz")});
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
  }
};

/// The code next to a code of int8.
inline int64_t neighbour(int64_t code) { return code == 127 ? 126 : code + 1; }

/// A copy whose element `i` is another code.
inline Tensor changed_at(const Tensor& tensor, int64_t i) {
  Tensor other = tensor.clone();
  other.set_int(i, neighbour(other.int_at(i)));
  return other;
}

}  // namespace facsim::test
