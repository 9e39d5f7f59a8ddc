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
};

/// Samples of a recorded tensor [samples, 1, …] as a batch.
Tensor as_batch(const Tensor& recorded, int64_t samples) {
  std::vector<int64_t> extents = recorded.shape().extents();
  REQUIRE(extents.size() >= 2);
  REQUIRE(extents[1] == 1);
  extents.erase(extents.begin() + 1);
  return recorded.reshaped(Shape(extents)).slice(0, samples);
}

/// Number of the IntGraph's tensor in the lowered graph.
int tensor_number(const sim::Graph& graph, const std::string& name) {
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    if (graph.tensors[i].name == name) return static_cast<int>(i);
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
  const backends::Profile profile =
      backends::load_profile(recording.profile, backends::ProfileSearch::standard());
  sim::ExecutorOptions options;
  options.isa = isa;
  options.trace = true;
  const sim::Executor executor(backends::lower(network, profile), options);
  const std::string prefix = recording.runtime + "_t";
  std::vector<std::pair<int, Tensor>> recorded;
  for (const std::string& name : golden.names()) {
    if (!name.starts_with(prefix)) continue;
    const size_t index = std::stoul(name.substr(prefix.size()));
    const int number = tensor_number(executor.graph(), network.tensors.at(index).name);
    const bool computed =
        number >= 0 && network.tensors.at(index).name !=
                           network.tensors.at(static_cast<size_t>(network.inputs[0])).name;
    if (computed) recorded.emplace_back(number, golden.read(name));
  }
  REQUIRE_FALSE(recorded.empty());
  const int64_t samples = recorded.front().second.shape()[0];
  const sim::RunResult result = executor.run({as_batch(golden.read("X"), samples)});
  Count count;
  for (const auto& [number, expected] : recorded) {
    const auto index = static_cast<size_t>(number);
    const Tensor& got = result.tensors.at(index);
    if (got.empty()) continue;  // not computed: behind the softmax
    const backends::ComparisonReport report =
        backends::compare({{"t", got}}, {{"t", as_batch(expected, samples)}}, 1);
    const std::string& name = executor.graph().tensors[index].name;
    CAPTURE(name);
    CHECK(report.structure.empty());
    if (report.mismatches() > 0 && count.mismatches == 0) {
      const backends::Mismatch& first = report.tensors[0].first[0];
      std::cerr << recording.network << " " << recording.runtime << " first differing tensor "
                << name << ": " << report.mismatches() << " of " << report.compared()
                << ", element " << first.flat_index << " got " << first.got << " expected "
                << first.expected << "\n";
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
      {"resnet8_int8", "xnn", "xnnpack-x86"},
      {"kws_ref_int8", "xnn", "xnnpack-x86"},
      {"person_detect", "xnn", "xnnpack-x86"},
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
