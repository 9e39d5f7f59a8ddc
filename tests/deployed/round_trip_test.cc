// SPDX-License-Identifier: Apache-2.0
// A network that is written and read again is the same: names, scales, codes, and what it computes.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "backends/onnx/quantized_network.h"
#include "backends/onnx/to_onnx.h"
#include "sim/core/error.h"
#include "tests/deployed/int_graph_maker.h"
#include "tests/deployed/run_int_graph.h"

namespace facsim::test {
namespace {

using backends::IntGraph;
using backends::IntTensor;

const IntTensor* find_tensor(const IntGraph& graph, const std::string& name) {
  const auto found = std::find_if(graph.tensors.begin(), graph.tensors.end(),
                                  [&](const IntTensor& t) { return t.name == name; });
  return found == graph.tensors.end() ? nullptr : &*found;
}

/// Every tensor of `graph` is in `read` with the same scales, shape and elements.
void check_tensors(const IntGraph& graph, const IntGraph& read) {
  for (const IntTensor& t : graph.tensors) {
    CAPTURE(t.name);
    const IntTensor* own = find_tensor(read, t.name);
    REQUIRE(own != nullptr);
    CHECK(to_string(own->dtype) == to_string(t.dtype));
    CHECK(to_string(own->shape) == to_string(t.shape));
    REQUIRE(own->qparams.has_value() == t.qparams.has_value());
    if (t.qparams) {
      CHECK(own->qparams->scale == t.qparams->scale);
      CHECK(own->qparams->zero_point == t.qparams->zero_point);
      CHECK(own->qparams->channel_axis == t.qparams->channel_axis);
      CHECK(own->qparams->type == t.qparams->type);
    }
    REQUIRE(own->data.has_value() == t.data.has_value());
    if (t.data) CHECK(differing(*own->data, *t.data) == 0);
  }
}

constexpr int kSeeds = 12;

/// Writes and reads drawn networks by `round_trip`; families of `left_out` are not read again.
template <class RoundTrip>
void check_round_trips(sim::IntType type, const std::string& profile,
                       const std::set<std::string>& left_out, RoundTrip round_trip) {
  int64_t computed = 0;
  for (const IntGraphFamily& family : int_graph_families()) {
    if (left_out.contains(family.name)) continue;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      CAPTURE(std::string(family.name));
      CAPTURE(seed);
      IntGraphMaker maker(seed, type);
      const IntGraph graph = family.make(maker);
      IntGraph read;
      try {
        read = round_trip(graph);
      } catch (const Error& error) {
        FAIL_CHECK(std::string(error.what()));
        continue;
      }
      check_tensors(graph, read);
      const std::vector<Tensor> inputs = random_inputs(graph, 2, seed);
      const auto expected = run_int_graph(graph, profile, inputs);
      if (!expected) continue;
      const auto got = run_int_graph(read, profile, inputs);
      REQUIRE(got.has_value());
      for (const auto& [name, tensor] : *expected) {
        CHECK(differing(got->at(name), tensor) == 0);
        computed += tensor.numel();
      }
    }
  }
  CHECK(computed > 20000);
}

IntGraph through_onnx(const IntGraph& graph, backends::OnnxForm form) {
  const std::string bytes = backends::onnx_bytes(backends::to_onnx(graph, form));
  backends::QuantizedNetworkOptions options;
  options.groups = backends::QdqGroups::every;
  return backends::quantized_network(backends::parse_onnx_model(bytes, "drawn.onnx"), options);
}

// Ops that ONNX Runtime leaves in float, and integer operators that the reader does not take.
const std::set<std::string> kNotRead{"sub", "minimum", "maximum", "mean", "tanh", "lut", "clamp"};

TEST_CASE("round trip: ONNX, QDQ") {
  for (const sim::IntType type : {sim::kUint8, sim::kInt8}) {
    check_round_trips(type, "onnxruntime-cpu", kNotRead, [](const IntGraph& graph) {
      return through_onnx(graph, backends::OnnxForm::qdq);
    });
  }
}

TEST_CASE("round trip: ONNX, QOperator") {
  // Nothing in this form says the scale of codes that are only moved.
  std::set<std::string> left_out = kNotRead;
  left_out.insert({"max_pool2d", "pad", "concat", "slice", "transpose", "reshape"});
  for (const sim::IntType type : {sim::kUint8, sim::kInt8}) {
    check_round_trips(type, "onnxruntime-cpu", left_out, [](const IntGraph& graph) {
      return through_onnx(graph, backends::OnnxForm::qoperator);
    });
  }
}

}  // namespace
}  // namespace facsim::test
