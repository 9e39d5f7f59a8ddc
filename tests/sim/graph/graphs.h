// SPDX-License-Identifier: Apache-2.0
// Small networks for the graph tests, and a run without planner, chunks or threads to compare with.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/graph/graph.h"
#include "sim/ops/add.h"
#include "sim/ops/map.h"
#include "sim/ops/max_pool2d.h"
#include "sim/ops/reshape.h"

namespace facsim::sim::test {

/// Appends nodes; each returns the tensor it makes.
class GraphBuilder {
 public:
  int input(const Shape& shape) {
    const int t = tensor(DType::int8, shape);
    graph.inputs.push_back(t);
    return t;
  }

  int node(std::shared_ptr<const Op> op, std::vector<int> inputs) {
    std::vector<Shape> shapes;
    for (const int t : inputs) shapes.push_back(graph.tensors[static_cast<size_t>(t)].shape);
    const int out = tensor(op->output_dtype(), op->output_shape(shapes));
    graph.nodes.push_back(
        {"n" + std::to_string(graph.nodes.size()), std::move(op), std::move(inputs), out});
    return out;
  }

  /// code + offset, saturated to int8.
  int shift(int x, int64_t offset) {
    MapParams params;
    StepProgram program;
    program.steps = {{.kind = StepKind::add, .a = Operand::constant(offset), .b = {}},
                     {.kind = StepKind::resize,
                      .a = {},
                      .b = {},
                      .type = kInt8,
                      .overflow = Overflow::saturate}};
    params.requantize = Requantizer(program, {}, kInt8);
    return node(std::make_shared<Map>(params), {x});
  }

  int add(int a, int b) {
    AddParams params;
    StepProgram half;
    half.steps = {
        {.kind = StepKind::shr, .a = Operand::constant(1), .b = {}, .rounding = Rounding::half_up},
        {.kind = StepKind::resize,
         .a = {},
         .b = {},
         .type = kInt8,
         .overflow = Overflow::saturate}};
    params.lhs = params.rhs = Requantizer({}, {}, kInt32);
    params.output = Requantizer(half, {}, kInt8);
    return node(std::make_shared<Add>(params), {a, b});
  }

  int pool(int x) {
    MaxPool2dParams params;
    params.window = {{2, 2}, {2, 2}, {1, 1}, {}};
    return node(std::make_shared<MaxPool2d>(params), {x});
  }

  int reshape(int x, std::vector<int64_t> extents) {
    ReshapeParams params;
    params.extents = std::move(extents);
    return node(std::make_shared<Reshape>(params), {x});
  }

  Graph graph;

 private:
  int tensor(DType dtype, Shape shape) {
    graph.tensors.push_back({"t" + std::to_string(graph.tensors.size()), dtype, std::move(shape)});
    return static_cast<int>(graph.tensors.size()) - 1;
  }
};

/// Two residual blocks, a pool, a reshape in the middle and one at the end, two outputs.
inline Graph residual_graph() {
  GraphBuilder b;
  const int x = b.input({1, 8, 8, 4});
  const int a = b.shift(x, 3);
  const int c = b.shift(b.shift(a, -5), 9);
  const int first = b.add(a, c);
  const int d = b.shift(first, 20);
  const int second = b.add(b.shift(d, -1), first);
  const int pooled = b.pool(second);
  const int flat = b.reshape(pooled, {-1});
  const int square = b.reshape(b.shift(flat, 2), {8, 8});
  const int last = b.reshape(square, {64});
  b.graph.outputs = {last, second};
  return std::move(b.graph);
}

/// Every tensor by the ops' norm, the whole batch at once.
inline std::vector<Tensor> run_plainly(const Graph& graph, const std::vector<Tensor>& inputs,
                                       std::vector<Events>& events) {
  std::vector<Tensor> tensors(graph.tensors.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    tensors[static_cast<size_t>(graph.inputs[i])] = inputs[i];
  }
  for (const Graph::Node& node : graph.nodes) {
    std::vector<const Tensor*> arguments;
    std::vector<Shape> shapes;
    for (const int t : node.inputs) {
      arguments.push_back(&tensors[static_cast<size_t>(t)]);
      shapes.push_back(arguments.back()->shape());
    }
    Tensor output(node.op->output_dtype(), node.op->output_shape(shapes));
    events.push_back(node.op->run(arguments, output, {Isa::scalar, nullptr, true}));
    tensors[static_cast<size_t>(node.output)] = output;
  }
  return tensors;
}

}  // namespace facsim::sim::test
