// SPDX-License-Identifier: Apache-2.0
// A float network in ONNX: read, turned into layers, written and read again.
#include <string_view>

#include "backends/onnx/float_network.h"
#include "backends/onnx/float_onnx.h"
#include "sim/core/check.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

namespace {

using backends::FloatGraph;
using backends::FloatNode;

FloatNode layer(std::string op, std::string name, std::vector<std::string> inputs) {
  FloatNode node;
  node.op = std::move(op);
  node.name = std::move(name);
  node.inputs = std::move(inputs);
  return node;
}

FloatNode conv(std::string op, std::string name, std::string input) {
  FloatNode node = layer(std::move(op), std::move(name), {std::move(input)});
  node.in_channels = node.out_channels = 2;
  node.kernel_size = {3, 3};
  node.padding = {1, 1};
  return node;
}

std::string network() {
  FloatGraph graph;
  graph.name = "seed";
  graph.input_shape = {2, 4, 4};
  graph.preprocessing = {{0.5f, 0.25f}, {1, 2}};
  FloatNode norm = layer("BatchNorm2d", "b", {"c"});
  norm.in_channels = norm.out_channels = 2;
  FloatNode pad = layer("ZeroPad2d", "p", {"r"});
  pad.pad = {1, 0, 0, 1};
  FloatNode up = layer("Upsample", "u", {"p"});
  up.scale_factor = {2, 2};
  FloatNode pool = layer("MaxPool2d", "m", {"u"});
  pool.kernel_size = pool.stride = {2, 2};
  FloatNode linear = layer("Linear", "l", {"f"});
  linear.in_channels = 4;
  linear.out_channels = 3;
  graph.nodes = {conv("Conv2d", "c", "input"),
                 norm,
                 layer("ReLU6", "r", {"b"}),
                 pad,
                 up,
                 pool,
                 conv("ConvTranspose2d", "t", "m"),
                 layer("Add", "s", {"t", "m"}),
                 layer("Concat", "cat", {"s", "m"}),
                 layer("AdaptiveAvgPool2d", "g", {"cat"}),
                 layer("Flatten", "f", {"g"}),
                 linear};
  graph.outputs = {"l"};
  const auto ones = [](const Shape& shape) {
    Tensor t(DType::float32, shape);
    for (float& v : t.values<float>()) v = 1;
    return t;
  };
  for (const char* name : {"c", "t"}) {
    graph.parameters[name] = {ones({2, 3, 3, 2}), ones({2}), {}, {}};
  }
  graph.parameters["b"] = {ones({2}), ones({2}), ones({2}), ones({2})};
  graph.parameters["l"] = {ones({3, 4}), ones({3}), {}, {}};
  return backends::onnx_bytes(backends::float_onnx(graph));
}

}  // namespace

std::vector<std::string> seeds() { return {network()}; }

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  backends::FloatGraph graph;
  try {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    graph = backends::float_network(backends::parse_onnx_model(bytes, "input"));
  } catch (const Error&) {
    return 0;
  }
  // What was read can be written, and reads back with the same parameters.
  const std::string again = backends::onnx_bytes(backends::float_onnx(graph));
  const backends::FloatGraph read =
      backends::float_network(backends::parse_onnx_model(again, "again"));
  FACSIM_CHECK(backends::parameters_hash(read) == backends::parameters_hash(graph));
  return 0;
}
