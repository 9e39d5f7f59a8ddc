// SPDX-License-Identifier: Apache-2.0
// Networks as PyTorch's exporter writes them (torch_onnx.py in a Python process): what facsim reads
// computes what PyTorch does, before and after fusion, and the float network deploys to the bit.
#include <doctest/doctest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "backends/io/npy.h"
#include "backends/onnx/float_network.h"
#include "fused/network.h"
#include "fused/patterns/pattern_registry.h"
#include "tests/formats/temp_folder.h"
#include "tests/fused/pattern_tester.h"

extern char** environ;

namespace facsim::test {

namespace {

void run_python(const std::filesystem::path& folder) {
  const std::string script = std::string(FACSIM_SOURCE_DIR) + "/tests/peers/torch_onnx.py";
  std::string python = FACSIM_PYTHON, target = folder.string(), program = script;
  char* arguments[] = {python.data(), program.data(), target.data(), nullptr};
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, FACSIM_PYTHON, nullptr, nullptr, arguments, environ) == 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

/// How far two float32 evaluations of a network may be from the exact result: each output of a
/// layer is a sum of K products, whose roundings (2^-24 of the partial sums each) add up like a
/// random walk, sqrt(K) * 2^-24 of the layer's magnitude; layers add theirs, and normalising passes
/// the sum on at its own magnitude. Twice that, as partial sums may be larger than the result.
double rounding_of_sums(const backends::FloatGraph& graph) {
  double sum = 0;
  for (const backends::FloatNode& node : graph.nodes) {
    double products = 4;  // of batch norms, activations, averages
    if (node.op == "Linear") products = static_cast<double>(node.in_channels);
    if (node.op == "Conv2d" || node.op == "ConvTranspose2d") {
      products = static_cast<double>(node.in_channels / node.groups * node.kernel_size[0] *
                                     node.kernel_size[1]);
    }
    sum += std::sqrt(products);
  }
  return 2 * sum * 0x1p-24;
}

struct Distance {
  double of_result, largest;
};
Distance distance(const Tensor& got, const Tensor& exact_bits) {
  REQUIRE(got.shape() == exact_bits.shape());
  Distance d{0, 0};
  for (int64_t i = 0; i < got.numel(); ++i) {
    const auto exact = std::bit_cast<double>(exact_bits.data<int64_t>()[i]);
    d.of_result = std::fmax(d.of_result, std::fabs(got.data<float>()[i] - exact));
    d.largest = std::fmax(d.largest, std::fabs(exact));
  }
  return d;
}

}  // namespace

TEST_CASE("torch_onnx: networks that PyTorch exports compute what PyTorch computes") {
  const TempFolder folder;
  run_python(folder.path());
  for (const char* network : {"resnet8", "mobilenet", "zoo", "corners"}) {
    for (const char* form : {"exported", "raw", "dynamic"}) {
      const std::string name = std::string(network) + "_" + form;
      CAPTURE(name);
      const backends::FloatGraph graph =
          backends::float_network(backends::read_onnx_model(folder / (name + ".onnx")));
      const auto norms = std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                       [](const auto& n) { return n.op == "BatchNorm2d"; });
      const bool is_raw = form == std::string_view("raw");
      if (network == std::string_view("resnet8")) CHECK(norms == (is_raw ? 9 : 0));
      if (network == std::string_view("mobilenet")) CHECK(norms == (is_raw ? 16 : 0));
      const backends::NamedTensors arrays = backends::read_npz(folder / (name + ".npz"));
      const Tensor x = fused::nhwc_from_nchw(backends::member(arrays, "x", name));
      const Tensor& exact = backends::member(arrays, "y", name);
      fused::Network net = fused::Network::from_graph(graph, 1);
      const double bound = rounding_of_sums(graph);
      const Distance before = distance(net.forward(x, {}).real(), exact);
      net.fuse(fused::PatternRegistry::standard());
      const Distance after = distance(net.forward(x, {}).real(), exact);
      MESSAGE(name, ": bound ", bound * before.largest, ", facsim ", before.of_result, ", fused ",
              after.of_result);
      CHECK(before.of_result <= bound * before.largest);
      CHECK(after.of_result <= bound * before.largest);
      // PyTorch's own float32 evaluation is subject to the same bound.
      const Tensor& torch32 = backends::member(arrays, "y32", name);
      CHECK(distance(torch32, exact).of_result <= bound * before.largest);
    }
  }
}

TEST_CASE("torch_onnx: an exported network deploys to the bit") {
  const TempFolder folder;
  run_python(folder.path());
  for (const std::string name : {"resnet8_raw", "mobilenet_exported", "zoo_raw", "corners_raw"}) {
    CAPTURE(name);
    const backends::FloatGraph graph =
        backends::float_network(backends::read_onnx_model(folder / (name + ".onnx")));
    const backends::NamedTensors arrays = backends::read_npz(folder / (name + ".npz"));
    const Tensor x = fused::nhwc_from_nchw(backends::member(arrays, "x", name));
    const backends::Profile profile = fused::test::profile("tflite-micro");
    const fused::PatternRegistry patterns = fused::PatternRegistry::standard();
    fused::Network net = fused::Network::from_graph(graph, 1);
    net.fuse(patterns);
    net.prepare_qat(profile, patterns);
    fused::Context calibrate;
    calibrate.observe = true;
    net.forward(x, calibrate);
    fused::test::check_deployed(net, profile, x);
  }
}

}  // namespace facsim::test
