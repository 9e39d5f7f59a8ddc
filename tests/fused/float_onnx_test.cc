// SPDX-License-Identifier: Apache-2.0
// A float network with its parameters out to ONNX and back.
#include "backends/onnx/float_onnx.h"

#include <doctest/doctest.h>

#include <cstring>

#include "backends/onnx/float_network.h"
#include "fused/patterns/pattern_registry.h"
#include "sim/core/error.h"
#include "tests/fused/pattern_tester.h"

using namespace facsim;
using namespace facsim::fused;
using fused::test::batch_norm;
using fused::test::conv;
using fused::test::conv_transpose;
using fused::test::graph;
using fused::test::linear;
using fused::test::node;
using fused::test::random_tensor;

namespace {

/// One of every layer.
backends::FloatGraph every_layer() {
  auto pad = node("ZeroPad2d", "pad", {"input"});
  pad.pad = {0, 1, 2, 1};
  auto strided = conv("c", "pad", 3, 4, 3);
  strided.stride = {2, 1};
  strided.bias = false;
  auto dilated = conv("d", "r", 4, 4, 3, 4);
  dilated.dilation = {2, 1};
  dilated.padding = {2, 1};
  auto leaky = node("LeakyReLU", "leaky", {"d"});
  leaky.negative_slope = 0.3f;
  auto max = node("MaxPool2d", "max", {"cat"});
  max.kernel_size = {3, 2};
  max.stride = {2, 2};
  max.padding = {1, 1};
  auto up = node("Upsample", "up", {"t"});
  up.scale_factor = {2, 3};
  auto smooth = node("Upsample", "smooth", {"up"});
  smooth.scale_factor = {1, 2};
  smooth.mode = backends::ResizeAttributes::Mode::bilinear;
  auto average = node("AvgPool2d", "average", {"smooth"});
  average.kernel_size = {2, 2};
  average.stride = {2, 2};
  auto norm = batch_norm("BatchNorm2d", "b", "c", 4);
  norm.momentum = 0.25f;
  norm.eps = 1e-3f;
  backends::FloatGraph g = graph({3, 6, 5}, {pad,
                                             strided,
                                             norm,
                                             node("ReLU6", "r", {"b"}),
                                             dilated,
                                             leaky,
                                             node("Sigmoid", "s", {"r"}),
                                             node("Add", "sum", {"leaky", "s"}),
                                             node("Concat", "cat", {"sum", "r"}),
                                             max,
                                             conv_transpose("t", "max", 8, 4, 2),
                                             up,
                                             smooth,
                                             average,
                                             node("Hardswish", "h", {"average"}),
                                             node("AdaptiveAvgPool2d", "global", {"h"}),
                                             node("Flatten", "f", {"global"}),
                                             linear("l", "f", 4, 6),
                                             batch_norm("BatchNorm1d", "n", "l", 6),
                                             node("ReLU", "out", {"n"})});
  g.preprocessing = {{0.1f, 0.2f, 0.3f}, {0.5f, 1.0f / 3, 2}};
  return g;
}

bool equal_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

}  // namespace

TEST_CASE("float_onnx: every layer comes back with its parameters and computes the same bits") {
  Network network = Network::from_graph(every_layer(), 7);
  test::disturb(network, 8);
  const backends::FloatGraph written = network.float_graph();
  const backends::FloatGraph read = backends::float_network(
      backends::parse_onnx_model(backends::onnx_bytes(backends::float_onnx(written)), "memory"));
  CHECK(read.preprocessing.mean == written.preprocessing.mean);
  CHECK(read.preprocessing.std == written.preprocessing.std);
  REQUIRE(read.nodes.size() == written.nodes.size());
  for (size_t i = 0; i < read.nodes.size(); ++i) {
    CHECK(read.nodes[i].name == written.nodes[i].name);
    CHECK(read.nodes[i].op == written.nodes[i].op);
    CHECK(read.nodes[i].inputs == written.nodes[i].inputs);
  }
  CHECK(read.nodes[2].eps == 1e-3f);
  CHECK(read.nodes[2].momentum == 0.25f);
  CHECK(backends::parameters_hash(read) == backends::parameters_hash(written));
  Network again = Network::from_graph(read, 99);
  const Tensor x = random_tensor({2, 6, 5, 3}, 9);
  CHECK(equal_bits(again.forward(x, {}).real(), network.forward(x, {}).real()));
}

TEST_CASE("float_graph: fused and quantized networks give the same parameters back") {
  const backends::FloatGraph g = every_layer();
  Network network = Network::from_graph(g, 7);
  test::disturb(network, 8);
  const std::string hash = backends::parameters_hash(network.float_graph());
  const PatternRegistry patterns = PatternRegistry::standard();
  network.fuse(patterns);
  CHECK(backends::parameters_hash(network.float_graph()) == hash);
  network.prepare_qat(test::profile("tflite-micro"), patterns);
  const backends::FloatGraph back = network.float_graph();
  CHECK(backends::parameters_hash(back) == hash);
  // Copies: what is trained later does not move them.
  network.parameters().front()->value.data<float>()[0] += 1;
  CHECK(backends::parameters_hash(back) == hash);
  CHECK(backends::parameters_hash(network.float_graph()) != hash);
  const Tensor x = random_tensor({2, 6, 5, 3}, 9);
  Network from_quantized = Network::from_graph(back, 1);
  Network original = Network::from_graph(g, 7);
  test::disturb(original, 8);
  CHECK(equal_bits(from_quantized.forward(x, {}).real(), original.forward(x, {}).real()));
}

TEST_CASE("float_onnx: a network without values is an Error") {
  CHECK_THROWS_AS(backends::float_onnx(every_layer()), Error);
  backends::FloatGraph own = graph({1, 4, 4}, {node("acme.Swish", "s", {"input"})});
  CHECK_THROWS_AS(backends::float_onnx(own), Error);
}
