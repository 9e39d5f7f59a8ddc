// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/int_shape.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "backends/io/network_file.h"
#include "sim/core/error.h"
#include "tests/formats/temp_folder.h"

namespace facsim::test {
namespace {

using backends::IntGraph;
using backends::IntNode;
using backends::NodeAttributes;

const quant::QParams kParams{{0.5f}, {0}, -1, sim::kInt8, -128, 127};

/// One node over inputs of these shapes; constants from `first_constant` on.
IntGraph one_node(const std::string& op, const std::vector<Shape>& inputs,
                  NodeAttributes attributes, size_t first_constant = 64) {
  IntGraph graph;
  graph.name = "one";
  IntNode node;
  node.name = "n";
  node.op = op;
  node.attributes = std::move(attributes);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const int number = static_cast<int>(graph.tensors.size());
    graph.tensors.push_back({"t" + std::to_string(i), DType::int8, inputs[i], kParams, {}});
    if (i >= first_constant) {
      graph.tensors.back().data = Tensor(DType::int8, inputs[i]);
    } else {
      graph.inputs.push_back(number);
    }
    node.inputs.push_back(number);
  }
  node.output = static_cast<int>(graph.tensors.size());
  graph.tensors.push_back({"out", DType::int8, Shape{1}, kParams, {}});
  graph.outputs = {node.output};
  graph.nodes = {node};
  return graph;
}

Shape shape_of(const std::string& op, const std::vector<Shape>& inputs, NodeAttributes attributes) {
  const IntGraph graph = one_node(op, inputs, std::move(attributes));
  return backends::int_output_shape(graph, graph.nodes[0]);
}

TEST_CASE("int_output_shape: ops that move, cut, join and broadcast") {
  NodeAttributes a;
  a.axis = 3;
  CHECK(shape_of("concat", {{1, 2, 2, 3}, {1, 2, 2, 5}}, a) == Shape{1, 2, 2, 8});
  a.begin = {0, 1, 0};
  a.end = {1, 6, 2};
  a.strides = {1, 2, 1};
  CHECK(shape_of("slice", {{1, 6, 3}}, a) == Shape{1, 3, 2});
  a.pad_before = {0, 1, 2};
  a.pad_after = {0, 0, 3};
  CHECK(shape_of("pad", {{1, 6, 3}}, a) == Shape{1, 7, 8});
  a.permutation = {0, 2, 1};
  CHECK(shape_of("transpose", {{1, 6, 3}}, a) == Shape{1, 3, 6});
  a.axes = {1, 2};
  CHECK(shape_of("mean", {{1, 6, 3, 4}}, a) == Shape{1, 1, 1, 4});
  a.keep_dims = false;
  CHECK(shape_of("mean", {{1, 6, 3, 4}}, a) == Shape{1, 4});
  a.resize.size = {7, 9};
  CHECK(shape_of("resize", {{1, 2, 3, 4}}, a) == Shape{1, 7, 9, 4});
  CHECK(shape_of("mul", {{1, 4, 1, 3}, {5, 1}}, a) == Shape{1, 4, 5, 3});
  CHECK(shape_of("prelu", {{1, 4, 5, 3}, {1, 1, 3}}, a) == Shape{1, 4, 5, 3});
  CHECK(shape_of("batch_matmul", {{1, 2, 4, 8}, {1, 8, 3}}, a) == Shape{1, 2, 4, 3});
  a.transpose_rhs = true;
  CHECK(shape_of("batch_matmul", {{1, 4, 8}, {1, 3, 8}}, a) == Shape{1, 4, 3});
}

TEST_CASE("int_output_shape: transposed convolution") {
  NodeAttributes a;
  a.window.kernel = {3, 3};
  a.window.stride = {2, 2};
  a.window.padding = {1, 1, 1, 1};
  CHECK(shape_of("transpose_conv2d", {{1, 4, 5, 2}, {6, 3, 3, 2}}, a) == Shape{1, 7, 9, 6});
  a.output_padding = {1, 1};
  CHECK(shape_of("transpose_conv2d", {{1, 4, 5, 2}, {6, 3, 3, 2}}, a) == Shape{1, 8, 10, 6});
}

TEST_CASE("int_output_shape: attributes that do not fit are refused with the node's name") {
  struct Bad {
    const char* op;
    std::vector<Shape> inputs;
    NodeAttributes attributes;
  };
  NodeAttributes far_axis;
  far_axis.axis = 4;
  NodeAttributes cut;
  cut.begin = {0, 3};
  cut.end = {1, 3};
  cut.strides = {1, 1};
  NodeAttributes twice;
  twice.permutation = {0, 1, 1};
  NodeAttributes batch;
  batch.permutation = {1, 0};
  NodeAttributes padded_batch;
  padded_batch.pad_before = {1, 0};
  padded_batch.pad_after = {0, 0};
  NodeAttributes axes;
  axes.axes = {2, 1};
  const Bad bad[] = {
      {"concat", {{1, 2}, {1, 3}}, far_axis},
      {"slice", {{1, 4}}, cut},
      {"slice", {{1, 4, 4}}, cut},
      {"transpose", {{1, 2, 3}}, twice},
      {"transpose", {{1, 1}}, batch},
      {"pad", {{1, 3}}, padded_batch},
      {"mean", {{1, 2, 3}}, axes},
      {"mul", {{1, 2}, {1, 3}}, {}},
      {"prelu", {{1, 2}, {2, 1, 2}}, {}},
      {"batch_matmul", {{1, 2, 3}, {1, 2, 3}}, {}},
      {"batch_matmul", {{1}, {1, 2, 3}}, {}},
  };
  for (const Bad& b : bad) {
    CAPTURE(b.op);
    CHECK_THROWS_WITH_AS(shape_of(b.op, b.inputs, b.attributes), doctest::Contains("node \"n\""),
                         Error);
  }
}

TEST_CASE("network file: the attributes of every op come back as written") {
  const TempFolder folder;
  NodeAttributes a;
  a.axis = 1;
  a.axes = {1};
  a.permutation = {0, 2, 1};
  a.begin = {0, 0, 1};
  a.end = {1, 2, 3};
  a.strides = {1, 1, 2};
  a.pad_before = {0, 1, 0};
  a.pad_after = {0, 0, 2};
  a.alpha = 0.1f;
  a.beta = 0.7f;
  a.transpose_rhs = true;
  for (const char* op :
       {"concat", "mean", "transpose", "slice", "pad", "leaky_relu", "softmax", "batch_matmul"}) {
    CAPTURE(op);
    const bool two = std::string(op) == "batch_matmul";
    IntGraph graph = one_node(
        op, two ? std::vector<Shape>{{1, 2, 3}, {1, 2, 3}} : std::vector<Shape>{{1, 2, 3}}, a);
    graph.tensors.back().shape = backends::int_output_shape(graph, graph.nodes[0]);
    const std::filesystem::path file = folder.path() / (std::string(op) + ".json");
    backends::write_int_graph(file, graph);
    const NodeAttributes back = backends::read_int_graph(file).nodes[0].attributes;
    const std::string word = op;
    if (word == "concat") CHECK(back.axis == 1);
    if (word == "mean") CHECK(back.axes == a.axes);
    if (word == "transpose") CHECK(back.permutation == a.permutation);
    if (word == "slice") CHECK(back.strides == a.strides);
    if (word == "pad") CHECK(back.pad_after == a.pad_after);
    if (word == "leaky_relu") CHECK(back.alpha == a.alpha);
    if (word == "softmax") CHECK(back.beta == a.beta);
    if (word == "batch_matmul") CHECK(back.transpose_rhs);
  }
}

TEST_CASE("int_output_shape: depthwise convolutions, rows of a linear layer, ops with states") {
  NodeAttributes a;
  a.window.kernel = {3, 3};
  a.groups = 2;
  CHECK(shape_of("depthwise_conv2d", {{1, 5, 5, 2}, {6, 3, 3, 1}}, a) == Shape{1, 3, 3, 6});
  a.groups = 1;
  CHECK(contains(error_text(ErrorCode::shape_mismatch,
                            [&] {
                              shape_of("depthwise_conv2d", {{1, 5, 5, 2}, {6, 3, 3, 2}}, a);
                            }),
                 "1 groups on 2 channels"));
  CHECK(shape_of("linear", {{1, 2, 3}, {4, 6}}, {}) == Shape{1, 4});
  CHECK(shape_of("linear", {{1, 2, 3}, {4, 3}}, {}) == Shape{1, 2, 4});
  error_text(ErrorCode::shape_mismatch, [] { shape_of("linear", {{1, 2, 3}, {4, 2}}, {}); });
  a.rank = 2;
  CHECK(shape_of("svdf", {{1, 7, 5}, {4, 5}, {4, 9}, {2}}, a) == Shape{1, 7, 2});
  for (const std::vector<Shape>& bad :
       std::vector<std::vector<Shape>>{{{1, 7, 5}, {4, 6}, {4, 9}},
                                       {{1, 7, 5}, {4, 5}, {3, 9}},
                                       {{1, 7, 5}, {3, 5}, {3, 9}},
                                       {{1, 5}, {4, 5}, {4, 9}},
                                       {{1, 7, 5}, {4, 5}, {4, 9}, {4}}}) {
    error_text(ErrorCode::shape_mismatch, [&] { shape_of("svdf", bad, a); });
  }
  std::vector<Shape> lstm{{1, 7, 5}};
  for (int gate = 0; gate < 4; ++gate) lstm.push_back({3, 5});
  for (int gate = 0; gate < 4; ++gate) lstm.push_back({3, 3});
  for (int gate = 0; gate < 4; ++gate) lstm.push_back({3});
  CHECK(shape_of("lstm", lstm, {}) == Shape{1, 7, 3});
  for (const size_t input : {size_t{0}, size_t{2}, size_t{8}, size_t{12}}) {
    std::vector<Shape> bad = lstm;
    bad[input] = Shape{1, 2, 2};
    error_text(ErrorCode::shape_mismatch, [&] { shape_of("lstm", bad, {}); });
  }
}

}  // namespace
}  // namespace facsim::test
