// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/graph/int_graph.h"

namespace facsim::test {

/// x [1, 4, 4, 2] int8 -> conv 3x3 to 3 channels with relu -> y -> flatten -> z.
inline backends::IntGraph small_network() {
  using backends::IntGraph;
  const quant::QParams int8_params{{0.5f}, {-3}, -1, sim::kInt8, -128, 127};
  const auto filled = [](DType dtype, Shape shape) {
    Tensor tensor(dtype, std::move(shape));
    for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, i * 29 % 100 - 50);
    return tensor;
  };
  IntGraph graph;
  graph.name = "small";
  graph.profile = "tflite-micro";
  graph.profile_fingerprint = "0123456789abcdef";
  graph.tensors = {
      {"x", DType::int8, {1, 4, 4, 2}, int8_params, {}},
      {"w",
       DType::int8,
       {3, 3, 3, 2},
       quant::QParams{{0.01f, 0.02f, 0.03f}, {0, 0, 0}, 0, sim::kInt8, -127, 127},
       filled(DType::int8, {3, 3, 3, 2})},
      {"b", DType::int32, {3}, {}, filled(DType::int32, {3})},
      {"y",
       DType::int8,
       {1, 2, 2, 3},
       quant::QParams{{0.25f}, {-128}, -1, sim::kInt8, -128, 127},
       {}},
      {"z", DType::int8, {1, 12}, quant::QParams{{0.25f}, {-128}, -1, sim::kInt8, -128, 127}, {}},
  };
  backends::IntNode conv{"conv", "conv2d", {0, 1, 2}, 3, {}, ""};
  conv.attributes.window.kernel = {3, 3};
  conv.attributes.activation = backends::Activation::relu;
  backends::IntNode flatten{"flatten", "flatten", {3}, 4, {}, "tflite-reference"};
  flatten.attributes.order = sim::ReshapeParams::Order::nchw;
  graph.nodes = {conv, flatten};
  graph.inputs = {0};
  graph.outputs = {4};
  return graph;
}

}  // namespace facsim::test
