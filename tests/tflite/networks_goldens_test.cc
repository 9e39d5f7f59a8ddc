// SPDX-License-Identifier: Apache-2.0
// Whole .tflite networks against tensors that real runtimes computed, each runtime under its
// profile as it is. FACSIM_MODELS_DIR holds one folder per network: model.tflite, graph.json and
// weights.npz (what is in it, told by another reader) and golden.npz (X: inputs; <runtime>_t<i>:
// tensor i of the first samples; y_<runtime>: the outputs of all).
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "backends/graph/permute.h"
#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "backends/parity/compare.h"
#include "backends/tflite/read_tflite.h"
#include "sim/graph/executor.h"
#include "tests/backends/report_parity.h"

namespace facsim {
namespace {

using backends::IntGraph;
using backends::IntTensor;
using Json = nlohmann::json;

std::optional<std::filesystem::path> models_folder() {
  const char* folder = std::getenv("FACSIM_MODELS_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::cout << "SKIPPED: FACSIM_MODELS_DIR is not set\n";
    return {};
  }
  return folder;
}

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

sim::Executor executor_of(const IntGraph& network, const std::string& profile, sim::Isa isa,
                          bool trace) {
  sim::ExecutorOptions options;
  options.isa = isa;
  options.trace = trace;
  const auto rules = backends::load_profile(profile, backends::ProfileSearch::standard());
  return sim::Executor(backends::lower(network, rules), options);
}

/// Names of the file's tensors, by number.
std::vector<std::string> tensor_names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  const Json graph = Json::parse(backends::read_file(folder / "graph.json"));
  for (const Json& tensor : graph["tensors"]) names.push_back(tensor["name"].get<std::string>());
  return names;
}

/// Number of the tensor in the lowered graph if a node computes it, else -1.
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
/// between.
void compare_outputs(const backends::NpzFile& golden, const Recording& recording,
                     const sim::Executor& executor, Count& count) {
  std::vector<std::string> arrays = {"y_" + recording.runtime};
  if (recording.runtime == "ref") arrays = {"y_tflm_ref"};
  if (recording.runtime == "xnn") arrays.emplace_back("y_litert");  // LiteRT.js: XNNPACK too
  for (const std::string& array : arrays) {
    const Tensor expected = golden.read(array);
    const int64_t samples = expected.shape()[0];
    const Tensor got = executor.run({as_batch(golden.read("X"), samples)}).outputs.at(0);
    REQUIRE(got.numel() == expected.numel());
    for (int64_t i = 0; i < got.numel(); ++i) {
      ++count.compared;
      count.mismatches += got.int_at(i) != expected.int_at(i);
    }
  }
}

/// Says which op of the profile computed the tensor `name`, for configs/PARITY.md.
void report_tensor(const IntGraph& network, const Recording& recording, const std::string& name,
                   const backends::ComparisonReport& report) {
  static const std::map<std::string, std::string> runtimes = {
      {"ref", "tflite-micro 90b983c2"},
      {"sr", "tflite-micro 90b983c2, single rounding"},
      {"builtin", "TensorFlow Lite wasm, tfjs-tflite 0.0.1-alpha.10, builtin kernels"},
      {"xnn", "TensorFlow Lite wasm, tfjs-tflite 0.0.1-alpha.10, XNNPACK"}};
  const std::string code = recording.profile == "cmsis-nn"
                               ? "CMSIS-NN kernels of tflite-micro 90b983c2"
                               : runtimes.at(recording.runtime);
  for (const backends::IntNode& node : network.nodes) {
    if (network.tensors.at(static_cast<size_t>(node.output)).name != name) continue;
    if (node.op == "reshape") continue;  // moves codes, under no rules
    test::report_parity({{"profile", recording.profile},
                         {"op", node.op},
                         {"recording", "tensors of networks"},
                         {"code", code},
                         {"cases", 1},
                         {"compared", report.compared()},
                         {"mismatches", report.mismatches()}});
  }
}

/// Runs the network under the profile and compares every recorded tensor that it computes.
Count compare_recording(const std::filesystem::path& folder, const Recording& recording,
                        sim::Isa isa) {
  const IntGraph network = backends::read_tflite(folder / "model.tflite");
  const std::vector<std::string> names = tensor_names(folder);
  const backends::NpzFile golden(folder / "golden.npz");
  const sim::Executor executor = executor_of(network, recording.profile, isa, /*trace=*/true);
  const std::string prefix = recording.runtime + "_t";
  std::vector<std::pair<int, Tensor>> recorded;
  for (const std::string& name : golden.names()) {
    if (!name.starts_with(prefix)) continue;
    const int number =
        computed_tensor(executor.graph(), names.at(std::stoul(name.substr(prefix.size()))));
    if (number >= 0) recorded.emplace_back(number, golden.read(name));
  }
  REQUIRE(recorded.size() == network.nodes.size());
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

TEST_CASE("tflite: recorded networks are reproduced tensor by tensor under the runtime's profile") {
  const auto folder = models_folder();
  if (!folder) return;
  const std::pair<const char*, const char*> profiles[] = {
      {"ref", "tflite-micro"},
      {"ref", "cmsis-nn"},  // the recording's manifest: bit-identical to CMSIS-NN's kernels
      {"sr", "tflite-single-rounding"},
      {"builtin", "tflite-builtin"},
      {"xnn", "xnnpack-x86"}};
  for (const char* network : {"resnet8_int8", "kws_ref_int8", "person_detect"}) {
    for (const auto& [runtime, profile] : profiles) {
      for (const sim::Isa isa : {sim::Isa::scalar, sim::Isa::best}) {
        CAPTURE(network);
        CAPTURE(runtime);
        CAPTURE(profile);
        CAPTURE(std::string(sim::to_string(isa)));
        const Count count = compare_recording(*folder / network, {network, runtime, profile}, isa);
        CHECK(count.tensors > 0);
        CHECK(count.compared > 0);
        CHECK(count.mismatches == 0);
        std::cout << network << " " << runtime << " " << profile << " " << sim::to_string(isa)
                  << ": " << count.tensors << " tensors, " << count.compared << " values, "
                  << count.mismatches << " mismatches\n";
      }
    }
  }
}

/// The tensor `name` of the graph, or null (a constant that only describes a shape).
const IntTensor* find_tensor(const IntGraph& network, const std::string& name) {
  for (const IntTensor& tensor : network.tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

TEST_CASE(
    "tflite: names, shapes, scales, zero points and constants are those another reader found") {
  const auto folder = models_folder();
  if (!folder) return;
  for (const char* name : {"resnet8_int8", "kws_ref_int8", "person_detect"}) {
    CAPTURE(name);
    const IntGraph network = backends::read_tflite(*folder / name / "model.tflite");
    const Json graph = Json::parse(backends::read_file(*folder / name / "graph.json"));
    const backends::NpzFile weights(*folder / name / "weights.npz");
    size_t found = 0, constants = 0;
    for (size_t i = 0; i < graph["tensors"].size(); ++i) {
      const Json& expected = graph["tensors"][i];
      const IntTensor* tensor = find_tensor(network, expected["name"]);
      if (tensor == nullptr) continue;
      ++found;
      CAPTURE(tensor->name);
      CHECK(to_string(tensor->dtype) == (expected["type"] == "INT8" ? "int8" : "int32"));
      std::vector<float> scales;
      for (const Json& hex : expected["scale_hex"]) {
        scales.push_back(std::strtof(hex.get<std::string>().c_str(), nullptr));
      }
      REQUIRE(tensor->qparams.has_value());
      CHECK(tensor->qparams->scale == scales);
      CHECK(tensor->qparams->zero_point == expected["zero_point"].get<std::vector<int64_t>>());
      const Shape shape(expected["shape"].get<std::vector<int64_t>>());
      CHECK(tensor->shape.numel() == shape.numel());
      CHECK(tensor->data.has_value() == expected["const"].get<bool>());
      if (!tensor->data) {
        CHECK(tensor->shape == shape);
        continue;
      }
      Tensor data = weights.read("t" + std::to_string(i));
      if (tensor->shape != shape) data = backends::permuted(data, backends::kOneHwcToOhwi);
      REQUIRE(data.shape() == tensor->data->shape());
      bool same = true;
      for (int64_t k = 0; k < data.numel(); ++k) {
        same = same && data.int_at(k) == tensor->data->int_at(k);
      }
      CHECK(same);
      ++constants;
    }
    CHECK(found == network.tensors.size());
    CHECK(constants > 10);
  }
}

TEST_CASE("tflite: the recorded MNIST network gives the logits of three TFLite Micro builds") {
  const auto folder = models_folder();
  if (!folder) return;
  const IntGraph network = backends::read_tflite(*folder / "mnist_qat" / "mnist_qat.tflite");
  const Tensor codes =
      backends::NpzFile(*folder / "mnist_qat" / "qat_export.npz").read("q_quant_all");
  Tensor input(DType::int8, {codes.shape()[0], 28, 28, 1});
  REQUIRE(codes.numel() == input.numel());
  for (int64_t i = 0; i < codes.numel(); ++i) input.set_int(i, codes.int_at(i) - 128);
  const std::pair<const char*, const char*> builds[] = {
      {"out_tflm_ref.npz", "tflite-micro"},
      {"out_tflm_cmsis.npz", "cmsis-nn"},
      {"out_tflm_sr.npz", "tflite-single-rounding"}};
  for (const auto& [file, profile] : builds) {
    CAPTURE(profile);
    const backends::NpzFile golden(*folder / "mnist_qat" / file);
    const sim::Executor executor = executor_of(network, profile, sim::Isa::best, /*trace=*/false);
    const Tensor got = executor.run({input}).outputs.at(0);
    const auto report = backends::compare({{"y", got}}, {{"y", golden.read("logits")}}, 1);
    CHECK(report.structure.empty());
    CHECK(report.compared() == 20000);
    CHECK(report.mismatches() == 0);
    // The layers between, of the first images.
    const sim::Executor tracing = executor_of(network, profile, sim::Isa::best, /*trace=*/true);
    const sim::RunResult run = tracing.run({input.slice(0, 50)});
    int layers = 0;
    for (const char* layer : {"c1", "c2", "c3"}) {
      const Tensor expected = as_batch(golden.read(layer), 50);
      for (const sim::Graph::Node& node : tracing.graph().nodes) {
        const Tensor& tensor = run.tensors.at(static_cast<size_t>(node.output));
        if (tensor.shape() != expected.shape()) continue;
        ++layers;
        CHECK(backends::compare({{"t", tensor}}, {{"t", expected}}, 1).mismatches() == 0);
      }
    }
    CHECK(layers == 3);
  }
}

}  // namespace
}  // namespace facsim
