// SPDX-License-Identifier: Apache-2.0
// Writes FOLDER/net.json and FOLDER/x.npz: a small network and inputs, for a regression suite.
#include <filesystem>

#include "backends/io/network_file.h"
#include "backends/io/npy.h"

int main(int argc, char** argv) {
  using namespace facsim;
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  const auto filled = [](Shape shape) {
    Tensor tensor(DType::int8, std::move(shape));
    for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, i * 37 % 255 - 127);
    return tensor;
  };
  const quant::QParams codes{{0.5f}, {-3}, -1, sim::kInt8, -128, 127};
  const quant::QParams weights{{0.01f}, {0}, -1, sim::kInt8, -127, 127};
  backends::IntGraph graph;
  graph.name = "consumer";
  graph.profile = "tflite-micro";
  graph.tensors = {{"x", DType::int8, {1, 8, 8, 3}, codes, {}},
                   {"w", DType::int8, {4, 3, 3, 3}, weights, filled({4, 3, 3, 3})},
                   {"y", DType::int8, {1, 6, 6, 4}, codes, {}}};
  backends::IntNode conv{"conv", "conv2d", {0, 1}, 2, {}, ""};
  conv.attributes.window.kernel = {3, 3};
  graph.nodes = {conv};
  graph.inputs = {0};
  graph.outputs = {2};
  backends::write_int_graph(folder / "net.json", graph);
  backends::write_npz(folder / "x.npz", {{"x", filled({2, 8, 8, 3})}});
  return 0;
}
