// SPDX-License-Identifier: Apache-2.0
// Whole networks against intermediate tensors that real runtimes computed. FACSIM_MODELS_DIR holds
// one folder per network: graph.json, weights.npz and golden.npz (X: inputs; <runtime>_t<i>: tensor
// i of the first samples).
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <map>

#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "backends/parity/compare.h"
#include "sim/graph/executor.h"
#include "tests/backends/report_parity.h"
#include "tests/formats/recorded_network.h"

namespace facsim {
namespace {

using backends::IntGraph;

struct Recording {
  std::string network, runtime, profile;
  /// Of softmax and average pools, where the runtime leaves them to another library.
  std::string builtin_profile = {};
};

/// The network under the recording's profile; softmax and average pools under builtin_profile if
/// there is one. TFLite's depthwise kernels round twice also for a single input channel, where a
/// grouped convolution is an ordinary one: tflite-reference's rule.
sim::Graph lower_recording(const IntGraph& network, const Recording& recording) {
  const auto search = backends::ProfileSearch::standard();
  std::map<std::string, backends::Profile, std::less<>> others;
  IntGraph named = network;
  for (backends::IntNode& node : named.nodes) {
    const bool is_builtin = node.op == "softmax" || node.op == "avg_pool2d";
    if (is_builtin) node.profile = recording.builtin_profile;
    if (recording.profile == "tflite-builtin" && node.attributes.groups == 1 &&
        node.name.starts_with("DEPTHWISE_CONV_2D")) {
      node.profile = "tflite-reference";
    }
    if (!node.profile.empty() && !others.contains(node.profile)) {
      others[node.profile] = backends::load_profile(node.profile, search);
    }
  }
  return backends::lower(
      named, backends::load_profile(recording.profile, search),
      [&](std::string_view name) -> const backends::Profile& { return others.find(name)->second; });
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

/// The final outputs of all samples, [samples, 1, …], of which there are more than of the tensors
/// between: the softmax's.
void compare_outputs(const backends::NpzFile& golden, const Recording& recording,
                     const sim::Executor& executor, Count& count) {
  const Tensor expected =
      golden.read(recording.runtime == "ref" ? "y_tflm_ref" : "y_" + recording.runtime);
  const int64_t samples = expected.shape()[0];
  const Tensor got = executor.run({as_batch(golden.read("X"), samples)}).outputs.at(0);
  REQUIRE(got.numel() == expected.numel());
  for (int64_t i = 0; i < got.numel(); ++i) {
    ++count.compared;
    count.mismatches += got.int_at(i) != expected.int_at(i);
  }
}

/// Says which op of which profile computed the tensor `name`, for configs/PARITY.md.
void report_tensor(const IntGraph& network, const Recording& recording, const std::string& name,
                   const backends::ComparisonReport& report) {
  static const std::map<std::string, std::string> runtimes = {
      {"ref", "tflite-micro 90b983c2"},
      {"sr", "tflite-micro 90b983c2, single rounding"},
      {"builtin", "TensorFlow Lite wasm, tfjs-tflite 0.0.1-alpha.10, builtin kernels"},
      {"xnn", "TensorFlow Lite wasm, tfjs-tflite 0.0.1-alpha.10, XNNPACK"}};
  for (const backends::IntNode& node : network.nodes) {
    if (network.tensors.at(static_cast<size_t>(node.output)).name != name) continue;
    if (node.op == "reshape") continue;  // moves codes, under no rules
    const bool is_builtin = node.op == "softmax" || node.op == "avg_pool2d";
    const bool is_depthwise = node.name.starts_with("DEPTHWISE_CONV_2D");
    test::report_parity(
        {{"profile", is_builtin && !recording.builtin_profile.empty() ? recording.builtin_profile
                                                                      : recording.profile},
         {"op", is_depthwise ? "depthwise_conv2d" : node.op},
         {"recording", "tensors of networks"},
         {"code", runtimes.at(recording.runtime)},
         {"cases", 1},
         {"compared", report.compared()},
         {"mismatches", report.mismatches()}});
  }
}

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
    if (isa == sim::Isa::scalar) report_tensor(network, recording, name, report);
    ++count.tensors;
    count.compared += report.compared();
    count.mismatches += report.mismatches();
  }
  if (isa != sim::Isa::scalar) compare_outputs(golden, recording, executor, count);
  return count;
}

TEST_CASE("models: recorded networks are reproduced tensor by tensor, the softmax included") {
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
      {"resnet8_int8", "builtin", "tflite-builtin"},
      {"kws_ref_int8", "builtin", "tflite-builtin"},
      {"person_detect", "builtin", "tflite-builtin"},
      // TFLite's XNNPACK delegate leaves int8 AVERAGE_POOL_2D and SOFTMAX to the builtin kernels.
      {"resnet8_int8", "xnn", "xnnpack-x86", "tflite-builtin"},
      {"kws_ref_int8", "xnn", "xnnpack-x86", "tflite-builtin"},
      {"person_detect", "xnn", "xnnpack-x86", "tflite-builtin"},
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
