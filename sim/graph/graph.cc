// SPDX-License-Identifier: Apache-2.0
#include "sim/graph/graph.h"

#include <set>

#include <fmt/format.h>

#include "sim/core/error.h"

namespace facsim::sim {

namespace {

std::string place_of(const Graph::Node& node) {
  return node.op == nullptr ? fmt::format("node {}", node.name)
                            : fmt::format("node {} ({})", node.name, node.op->kind());
}

[[noreturn]] void refuse(ErrorCode code, std::string place, std::string found,
                         std::string expected) {
  throw Error({code, std::move(place), std::move(found), std::move(expected), ""});
}

void check_index(const Graph& graph, int tensor, const std::string& place) {
  if (tensor >= 0 && tensor < static_cast<int>(graph.tensors.size())) return;
  refuse(ErrorCode::bad_value, place, fmt::format("tensor number {}", tensor),
         fmt::format("0..{}", static_cast<int>(graph.tensors.size()) - 1));
}

void check_tensors(const Graph& graph) {
  std::set<std::string_view> names;
  for (const Graph::TensorInfo& tensor : graph.tensors) {
    const std::string place = fmt::format("tensor {}", tensor.name);
    if (!names.insert(tensor.name).second) {
      refuse(ErrorCode::bad_value, place, "a second tensor of this name", "unique names");
    }
    if (tensor.shape.rank() < 1 || tensor.shape[0] != 1 || tensor.shape.numel() < 1) {
      refuse(ErrorCode::shape_mismatch, place, "shape " + to_string(tensor.shape),
             "batch 1 on axis 0 and no empty axis");
    }
  }
}

/// What the op makes of its inputs must be what the graph says.
void check_node(const Graph& graph, const Graph::Node& node) {
  const std::string place = place_of(node);
  std::vector<Shape> shapes;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Graph::TensorInfo& input = graph.tensors[static_cast<size_t>(node.inputs[i])];
    shapes.push_back(input.shape);
    const std::optional<DType> expected = node.op->input_dtype(static_cast<int>(i));
    if (expected && *expected != input.dtype) {
      refuse(ErrorCode::bad_value, place,
             fmt::format("input {} is {}", input.name, to_string(input.dtype)),
             std::string(to_string(*expected)));
    }
  }
  const Graph::TensorInfo& output = graph.tensors[static_cast<size_t>(node.output)];
  Shape shape;
  try {
    shape = node.op->output_shape(shapes);
  } catch (const Error& error) {
    refuse(error.code(), place, error.what(), "");
  }
  if (shape != output.shape) {
    refuse(ErrorCode::shape_mismatch, place,
           fmt::format("output {} {}", output.name, to_string(output.shape)), to_string(shape));
  }
  if (node.op->output_dtype() != output.dtype) {
    refuse(ErrorCode::bad_value, place,
           fmt::format("output {} is {}", output.name, to_string(output.dtype)),
           std::string(to_string(node.op->output_dtype())));
  }
}

}  // namespace

void check(const Graph& graph) {
  check_tensors(graph);
  std::vector<bool> known(graph.tensors.size(), false);
  for (const int t : graph.inputs) {
    check_index(graph, t, "graph inputs");
    if (known[static_cast<size_t>(t)]) {
      refuse(ErrorCode::bad_value, "graph inputs",
             "tensor " + graph.tensors[static_cast<size_t>(t)].name + " twice", "each once");
    }
    known[static_cast<size_t>(t)] = true;
  }
  if (graph.inputs.empty()) refuse(ErrorCode::bad_value, "graph inputs", "none", "at least one");

  std::set<std::string_view> names;
  for (const Graph::Node& node : graph.nodes) {
    const std::string place = place_of(node);
    if (!names.insert(node.name).second) {
      refuse(ErrorCode::bad_value, place, "a second node of this name", "unique names");
    }
    if (node.op == nullptr) refuse(ErrorCode::bad_value, place, "no op", "an op");
    for (const int t : node.inputs) {
      check_index(graph, t, place);
      if (!known[static_cast<size_t>(t)]) {
        refuse(ErrorCode::bad_value, place,
               "input " + graph.tensors[static_cast<size_t>(t)].name + " is not computed before",
               "nodes in topological order");
      }
    }
    check_index(graph, node.output, place);
    if (known[static_cast<size_t>(node.output)]) {
      refuse(
          ErrorCode::bad_value, place,
          "output " + graph.tensors[static_cast<size_t>(node.output)].name + " is computed twice",
          "one node per tensor");
    }
    check_node(graph, node);
    known[static_cast<size_t>(node.output)] = true;
  }

  if (graph.outputs.empty()) refuse(ErrorCode::bad_value, "graph outputs", "none", "at least one");
  std::set<int> seen;
  for (const int t : graph.outputs) {
    check_index(graph, t, "graph outputs");
    const std::string& name = graph.tensors[static_cast<size_t>(t)].name;
    if (!known[static_cast<size_t>(t)]) {
      refuse(ErrorCode::bad_value, "graph outputs", "tensor " + name + " is not computed",
             "an output of a node");
    }
    if (!seen.insert(t).second) {
      refuse(ErrorCode::bad_value, "graph outputs", "tensor " + name + " twice", "each once");
    }
  }
}

}  // namespace facsim::sim
