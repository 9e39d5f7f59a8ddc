// SPDX-License-Identifier: Apache-2.0
// Drawn networks, written by to_onnx and write_tflite, in ONNX Runtime and in TensorFlow Lite with
// XNNPACK (tools/runtimes): every output equals the simulator's under the runtime's profile.
#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>

#include "backends/graph/permute.h"
#include "backends/io/npy.h"
#include "backends/onnx/to_onnx.h"
#include "backends/tflite/write_tflite.h"
#include "sim/core/error.h"
#include "tests/deployed/int_graph_maker.h"
#include "tests/deployed/run_int_graph.h"
#include "tests/formats/temp_folder.h"

namespace facsim::test {
namespace {

namespace fs = std::filesystem;
using backends::IntGraph;

constexpr int kSeedsPerFamily = 20;
constexpr int64_t kImages = 3;

/// Where the runtimes are installed, or nothing (and a line that says so).
std::optional<fs::path> runtimes() {
  const char* variable = std::getenv("FACSIM_RUNTIMES");
  const fs::path folder = variable != nullptr && *variable != '\0'
                              ? fs::path(variable)
                              : fs::path(FACSIM_SOURCE_DIR) / "build/runtimes";
  if (fs::exists(folder / "node_modules/onnxruntime-node")) return folder;
  std::cout << "SKIPPED: no runtimes in " << folder.string() << " (tools/runtimes/install.sh)\n";
  return {};
}

/// A runtime and the file format it takes.
struct Target {
  const char* script;
  const char* extension;
  const char* options;
  const char* profile;
  sim::IntType type;
  bool is_nchw;
  std::function<void(const fs::path&, const IntGraph&)> write;
};

struct Drawn {
  const IntGraphFamily* family;
  uint64_t seed;
  std::string stem;
  std::map<std::string, Tensor> expected;
};

Tensor moved(const Tensor& tensor, std::span<const int> axes) {
  return tensor.shape().rank() == 4 ? backends::permuted(tensor, axes) : tensor;
}

/// Runs all networks by one command, since each start of node takes longer than a network.
void run(const Target& target, const fs::path& packages, const fs::path& folder,
         const std::vector<Drawn>& drawn) {
  constexpr size_t kPerCall = 200;
  for (size_t i = 0; i < drawn.size(); i += kPerCall) {
    std::string command = "cd '" + folder.string() + "' && FACSIM_RUNTIMES='" + packages.string() +
                          "' node '" + FACSIM_SOURCE_DIR + "/tools/runtimes/" + target.script + "'";
    for (size_t k = i; k < std::min(drawn.size(), i + kPerCall); ++k) {
      const std::string& stem = drawn[k].stem;
      command += " " + stem + target.extension + " " + stem + ".in.npz " + stem + ".out.npz";
    }
    command += std::string(target.options) + " > log.txt";
    REQUIRE(std::system(command.c_str()) == 0);
  }
}

/// Compared values by family.
std::map<std::string, int64_t> compare(const Target& target, const fs::path& packages) {
  const char* only = std::getenv("FACSIM_EXPORT_FAMILY");
  const TempFolder folder;
  std::vector<Drawn> drawn;
  for (const IntGraphFamily& family : int_graph_families()) {
    if (only != nullptr && std::string(family.name) != only) continue;
    for (uint64_t seed = 1; seed <= kSeedsPerFamily; ++seed) {
      IntGraphMaker maker(seed + 1000, target.type);
      const IntGraph graph = family.make(maker);
      const std::vector<Tensor> inputs = random_inputs(graph, kImages, seed);
      auto expected = run_int_graph(graph, target.profile, inputs);
      if (!expected) continue;  // the profile has no rule
      Drawn one{&family, seed, "n" + std::to_string(drawn.size()), std::move(*expected)};
      try {
        target.write(folder / (one.stem + target.extension), graph);
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::unsupported);  // the format cannot say it
        continue;
      }
      backends::NamedTensors arrays;
      for (size_t i = 0; i < inputs.size(); ++i) {
        arrays.emplace_back(graph.tensors[static_cast<size_t>(graph.inputs[i])].name,
                            target.is_nchw ? moved(inputs[i], backends::kNhwcToNchw) : inputs[i]);
      }
      backends::write_npz(folder / (one.stem + ".in.npz"), arrays);
      drawn.push_back(std::move(one));
    }
  }
  run(target, packages, folder.path(), drawn);
  std::map<std::string, int64_t> compared;
  for (const Drawn& one : drawn) {
    CAPTURE(std::string(one.family->name));
    CAPTURE(one.seed);
    const auto outputs = backends::read_npz(folder / (one.stem + ".out.npz"));
    REQUIRE(outputs.size() == one.expected.size());
    for (const auto& [name, tensor] : outputs) {
      CAPTURE(name);
      const Tensor got = target.is_nchw ? moved(tensor, backends::kNchwToNhwc) : tensor;
      CHECK(differing(got, one.expected.at(name)) == 0);
      compared[one.family->name] += got.numel();
    }
  }
  for (const auto& [family, values] : compared) MESSAGE(family, ": ", values, " values");
  return compared;
}

void require_families(const std::map<std::string, int64_t>& compared,
                      std::initializer_list<const char*> families) {
  if (std::getenv("FACSIM_EXPORT_FAMILY") != nullptr) return;
  for (const char* family : families) {
    CAPTURE(std::string(family));
    CHECK(compared.contains(family));
  }
}

Target onnx_target(backends::OnnxForm form, sim::IntType type) {
  return {"run_onnx.mjs",
          ".onnx",
          " --config session.qdqisint8allowed=1",
          "onnxruntime-cpu",
          type,
          true,
          [form](const fs::path& file, const IntGraph& graph) {
            backends::write_onnx_model(file, backends::to_onnx(graph, form));
          }};
}

constexpr std::initializer_list<const char*> kOnnxFamilies{
    "conv2d",     "depthwise",       "linear",     "add",        "mul",   "max_pool2d",
    "avg_pool2d", "global_avg_pool", "pad",        "concat",     "slice", "transpose",
    "reshape",    "requantize",      "leaky_relu", "sigmoid",    "lut",   "clamp",
    "relu",       "border",          "residual",   "linear_rows"};

TEST_CASE("export: drawn networks as QDQ in ONNX Runtime") {
  const auto packages = runtimes();
  if (!packages) return;
  for (const sim::IntType type : {sim::kUint8, sim::kInt8}) {
    require_families(compare(onnx_target(backends::OnnxForm::qdq, type), *packages), kOnnxFamilies);
  }
}

TEST_CASE("export: drawn networks as QOperator in ONNX Runtime") {
  const auto packages = runtimes();
  if (!packages) return;
  for (const sim::IntType type : {sim::kUint8, sim::kInt8}) {
    require_families(compare(onnx_target(backends::OnnxForm::qoperator, type), *packages),
                     kOnnxFamilies);
  }
}

TEST_CASE("export: drawn networks in TensorFlow Lite with XNNPACK") {
  const auto packages = runtimes();
  if (!packages) return;
  const Target target{
      "run_tflite.mjs",
      ".tflite",
      "",
      "xnnpack-x86",
      sim::kInt8,
      false,
      [](const fs::path& file, const IntGraph& graph) { backends::write_tflite(file, graph); }};
  require_families(compare(target, *packages),
                   {"conv2d", "depthwise", "linear", "add", "sub", "mul", "max_pool2d",
                    "global_avg_pool", "residual", "pad_value"});
}

}  // namespace
}  // namespace facsim::test
