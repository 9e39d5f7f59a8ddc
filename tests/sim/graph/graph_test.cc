// SPDX-License-Identifier: Apache-2.0
#include "sim/graph/graph.h"

#include <doctest/doctest.h>

#include "tests/sim/graph/graphs.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("graph: a sound graph passes") { CHECK_NOTHROW(check(residual_graph())); }

TEST_CASE("graph: each fault is refused with the node's or tensor's name") {
  struct Case {
    const char* reason;
    void (*damage)(Graph&);
    ErrorCode code;
    const char* text;
  };
  const Case cases[] = {
      {"a node before its input", [](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); },
       ErrorCode::bad_value, "node n1 (requantize): input t1 is not computed before"},
      {"a cycle", [](Graph& g) { g.nodes[0].inputs[0] = g.nodes[3].output; }, ErrorCode::bad_value,
       "is not computed before"},
      {"an input that does not exist", [](Graph& g) { g.nodes[0].inputs[0] = 99; },
       ErrorCode::bad_value, "tensor number 99"},
      {"a negative output", [](Graph& g) { g.nodes[2].output = -1; }, ErrorCode::bad_value,
       "node n2 (requantize): tensor number -1"},
      {"two nodes write one tensor", [](Graph& g) { g.nodes[1].output = g.nodes[0].output; },
       ErrorCode::bad_value, "output t1 is computed twice"},
      {"a node writes the input", [](Graph& g) { g.nodes[1].output = 0; }, ErrorCode::bad_value,
       "output t0 is computed twice"},
      {"wrong shape",
       [](Graph& g) {
         g.tensors[1].shape = Shape{1, 8, 8, 5};
       },
       ErrorCode::shape_mismatch, "output t1 (1, 8, 8, 5); expected (1, 8, 8, 4)"},
      {"wrong output type", [](Graph& g) { g.tensors[1].dtype = DType::uint8; },
       ErrorCode::bad_value, "output t1 is uint8; expected int8"},
      {"wrong input type", [](Graph& g) { g.tensors[0].dtype = DType::int16; },
       ErrorCode::bad_value, "input t0 is int16; expected int8"},
      {"batch that is not 1", [](Graph& g) { g.tensors[0].shape[0] = 2; },
       ErrorCode::shape_mismatch, "tensor t0: shape (2, 8, 8, 4)"},
      {"an op that cannot take the shape", [](Graph& g) { g.nodes[4].inputs.pop_back(); },
       ErrorCode::shape_mismatch, "node n4"},
      {"no op", [](Graph& g) { g.nodes[0].op = nullptr; }, ErrorCode::bad_value, "node n0: no op"},
      {"two nodes of one name", [](Graph& g) { g.nodes[1].name = "n0"; }, ErrorCode::bad_value,
       "second node"},
      {"two tensors of one name", [](Graph& g) { g.tensors[1].name = "t0"; }, ErrorCode::bad_value,
       "second tensor"},
      {"an output that nobody makes",
       [](Graph& g) {
         g.tensors.push_back({"alone", DType::int8, Shape{1, 1}});
         g.outputs = {static_cast<int>(g.tensors.size()) - 1};
       },
       ErrorCode::bad_value, "tensor alone is not computed"},
      {"an output twice", [](Graph& g) { g.outputs.push_back(g.outputs[0]); }, ErrorCode::bad_value,
       "twice"},
      {"no outputs", [](Graph& g) { g.outputs.clear(); }, ErrorCode::bad_value, "graph outputs"},
      {"no inputs",
       [](Graph& g) {
         g.inputs.clear();
         g.nodes.clear();
       },
       ErrorCode::bad_value, "graph inputs"},
      {"an input twice", [](Graph& g) { g.inputs.push_back(0); }, ErrorCode::bad_value, "twice"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    Graph graph = residual_graph();
    c.damage(graph);
    CHECK(error_of([&] { check(graph); }, c.text) == c.code);
  }
}

}  // namespace facsim::sim::test
