// SPDX-License-Identifier: Apache-2.0
// Whole networks against intermediate tensors that real runtimes computed. FACSIM_MODELS_DIR holds
// one folder per network: graph.json, weights.npz and golden.npz (X: inputs; <runtime>_t<i>: tensor
// i of the first samples).
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>

#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "backends/parity/compare.h"
#include "sim/graph/executor.h"
#include "tests/formats/recorded_network.h"

namespace facsim {
namespace {

using backends::IntGraph;

struct Recording {
  std::string network, runtime, profile;
  std::string pool_profile = {};  ///< of the average pools, where the runtime runs them elsewhere
};

/// The network under the recording's profile, its average pools under pool_profile if there is one.
sim::Graph lower_recording(const IntGraph& network, const Recording& recording) {
  const auto search = backends::ProfileSearch::standard();
  sim::Graph graph = backends::lower(network, backends::load_profile(recording.profile, search));
  if (recording.pool_profile.empty()) return graph;
  const backends::Profile pools = backends::load_profile(recording.pool_profile, search);
  for (size_t i = 0; i < network.nodes.size(); ++i) {
    const backends::IntNode& node = network.nodes[i];
    if (node.op == "avg_pool2d") graph.nodes[i].op = backends::lower_node(network, node, pools);
  }
  return graph;
}

/// Samples of a recorded tensor [samples, 1, …] as a batch.
Tensor as_batch(const Tensor& recorded, int64_t samples) {
  std::vector<int64_t> extents = recorded.shape().extents();
  REQUIRE(extents.size() >= 2);
  REQUIRE(extents[1] == 1);
  extents.erase(extents.begin() + 1);
  return recorded.reshaped(Shape(extents)).slice(0, samples);
}

/// Number of the IntGraph's tensor in the lowered graph if a node computes it, else -1.
int computed_tensor(const sim::Graph& graph, const std::string& name) {
  for (const sim::Graph::Node& node : graph.nodes) {
    if (graph.tensors[static_cast<size_t>(node.output)].name == name) return node.output;
  }
  return -1;
}

struct Count {
  int tensors = 0;
  int64_t compared = 0, mismatches = 0;
};

/// Runs the network under the profile and compares every recorded tensor that it computes.
Count compare_recording(const std::filesystem::path& folder, const Recording& recording,
                        sim::Isa isa) {
  const IntGraph network = test::import_recorded_network(folder);
  const backends::NpzFile golden(folder / "golden.npz");
  sim::ExecutorOptions options;
  options.isa = isa;
  options.trace = true;
  const sim::Executor executor(lower_recording(network, recording), options);
  const std::string prefix = recording.runtime + "_t";
  std::vector<std::pair<int, Tensor>> recorded;
  for (const std::string& name : golden.names()) {
    if (!name.starts_with(prefix)) continue;
    const size_t index = std::stoul(name.substr(prefix.size()));
    const int number = computed_tensor(executor.graph(), network.tensors.at(index).name);
    if (number >= 0) recorded.emplace_back(number, golden.read(name));
  }
  REQUIRE_FALSE(recorded.empty());
  const int64_t samples = recorded.front().second.shape()[0];
  const sim::RunResult result = executor.run({as_batch(golden.read("X"), samples)});
  Count count;
  for (const auto& [number, expected] : recorded) {
    const auto index = static_cast<size_t>(number);
    const Tensor& got = result.tensors.at(index);
    const backends::ComparisonReport report =
        backends::compare({{"t", got}}, {{"t", as_batch(expected, samples)}}, 1);
    const std::string& name = executor.graph().tensors[index].name;
    CAPTURE(name);
    CHECK(report.structure.empty());
    if (report.mismatches() > 0) {
      const backends::Mismatch& first = report.tensors[0].first[0];
      std::cerr << recording.network << " " << recording.runtime << " differs in " << name << ": "
                << report.mismatches() << " of " << report.compared() << ", element "
                << first.flat_index << " got " << first.got << " expected " << first.expected
                << "\n";
    }
    ++count.tensors;
    count.compared += report.compared();
    count.mismatches += report.mismatches();
  }
  return count;
}

TEST_CASE("models: recorded networks are reproduced tensor by tensor up to the softmax") {
  const char* folder = std::getenv("FACSIM_MODELS_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::cout << "SKIPPED: FACSIM_MODELS_DIR is not set\n";
    return;
  }
  const Recording recordings[] = {
      {"resnet8_int8", "ref", "tflite-micro"},
      {"kws_ref_int8", "ref", "tflite-micro"},
      {"person_detect", "ref", "tflite-micro"},
      {"resnet8_int8", "sr", "tflite-single-rounding"},
      {"kws_ref_int8", "sr", "tflite-single-rounding"},
      {"person_detect", "sr", "tflite-single-rounding"},
      // TFLite's XNNPACK delegate leaves int8 AVERAGE_POOL_2D to the builtin kernel.
      {"resnet8_int8", "xnn", "xnnpack-x86", "tflite-reference"},
      {"kws_ref_int8", "xnn", "xnnpack-x86", "tflite-reference"},
      {"person_detect", "xnn", "xnnpack-x86", "tflite-reference"},
  };
  for (const Recording& recording : recordings) {
    for (const sim::Isa isa : {sim::Isa::scalar, sim::Isa::best}) {
      CAPTURE(recording.network);
      CAPTURE(recording.runtime);
      CAPTURE(recording.profile);
      CAPTURE(std::string(sim::to_string(isa)));
      const Count count =
          compare_recording(std::filesystem::path(folder) / recording.network, recording, isa);
      CHECK(count.tensors > 0);
      CHECK(count.compared > 0);
      CHECK(count.mismatches == 0);
      std::cout << recording.network << " " << recording.runtime << " " << recording.profile << " "
                << sim::to_string(isa) << ": " << count.tensors << " tensors, " << count.compared
                << " values, " << count.mismatches << " mismatches\n";
    }
  }
}

}  // namespace
}  // namespace facsim
