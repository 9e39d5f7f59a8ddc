// SPDX-License-Identifier: Apache-2.0
// Networks of one operator, and their codes under tflite-micro.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "backends/lower/lower.h"
#include "sim/graph/executor.h"
#include "tests/tflite/file_builder.h"

namespace facsim::test {

using backends::IntGraph;
using backends::IntNode;
using tflite::BuiltinOperator;
using tflite::TensorType;
using Codes = std::vector<int64_t>;

inline const backends::Profile& micro() {
  static const backends::Profile profile =
      backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
  return profile;
}

inline Codes codes_of(const Tensor& tensor) {
  Codes codes;
  for (int64_t i = 0; i < tensor.numel(); ++i) codes.push_back(tensor.int_at(i));
  return codes;
}

/// The first output for one input of these codes, counted up from `first` if there are none. The
/// second of two equal images must give the same: images stay apart.
inline Codes run(const IntGraph& graph, Codes input = {}, int64_t first = 0) {
  const sim::Graph lowered = backends::lower(graph, micro());
  const sim::Graph::TensorInfo& info = lowered.tensors[static_cast<size_t>(lowered.inputs.at(0))];
  if (input.empty()) {
    input.resize(static_cast<size_t>(info.shape.numel()));
    std::iota(input.begin(), input.end(), first);
  }
  REQUIRE(static_cast<int64_t>(input.size()) == info.shape.numel());
  Shape two = info.shape;
  two[0] = 3;
  Tensor x(info.dtype, two);
  for (size_t i = 0; i < input.size(); ++i) {
    x.set_int(static_cast<int64_t>(i), input[i]);
    x.set_int(static_cast<int64_t>(2 * input.size() + i), input[i]);
  }
  const Codes all = codes_of(sim::Executor(lowered, {}).run({x}).outputs.at(0));
  const auto third = static_cast<std::ptrdiff_t>(all.size() / 3);
  const Codes result(all.begin(), all.begin() + third);
  CHECK(result == Codes(all.begin() + 2 * third, all.end()));
  return result;
}

/// x -> one operator with more constant inputs -> y.
struct OneOp : FileBuilder {
  int x, y;
  OneOp(std::vector<int32_t> in, std::vector<int32_t> out, float in_scale = 0.5f,
        float out_scale = 0.5f)
      : x(int8("x", std::move(in), in_scale)), y(int8("y", std::move(out), out_scale)) {
    inputs({x});
    outputs({y});
  }
};

inline const IntNode& only_node(const IntGraph& graph) {
  REQUIRE(graph.nodes.size() == 1);
  return graph.nodes[0];
}

}  // namespace facsim::test
