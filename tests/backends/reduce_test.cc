// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/reduce.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "sim/core/error.h"
#include "tests/backends/ten_layer_network.h"

namespace facsim::backends {
namespace {

Profile profile(const char* name) { return load_profile(name, ProfileSearch::standard()); }

TEST_CASE("ddmin: keeps what is needed, and nothing else") {
  const std::vector<size_t> all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto needs = [](const std::vector<size_t>& wanted) {
    return [wanted](const std::vector<size_t>& have) {
      return std::includes(have.begin(), have.end(), wanted.begin(), wanted.end());
    };
  };
  CHECK(ddmin(all, needs({3})) == std::vector<size_t>{3});
  CHECK(ddmin(all, needs({0, 9})) == std::vector<size_t>{0, 9});
  CHECK(ddmin(all, needs({1, 4, 8})) == std::vector<size_t>{1, 4, 8});
  CHECK(ddmin(all, needs(all)) == all);
}

TEST_CASE("reduce: double and single rounding part at one tap and a small accumulator") {
  const Profile a = profile("tflite-reference"), b = profile("tflite-single-rounding");
  test::TenLayers network(a);
  const Reproduction start = first_differing_node(network.graph(), network.images(8), a, b);
  CHECK(start.graph.nodes.size() == 1);
  const Reproduction small = reduce(start, [&](const Reproduction& r) { return differs(r, a, b); });
  CHECK(differs(small, a, b));
  const IntGraph& graph = small.graph;
  CHECK(graph.tensors[static_cast<size_t>(graph.outputs[0])].shape.numel() == 1);
  CHECK(small.inputs[0].numel() == 1);
  REQUIRE(graph.nodes[0].inputs.size() == 2);  // no bias
  const int64_t accumulator = small.inputs[0].int_at(0) * graph.tensors[1].data->int_at(0);
  CHECK(std::abs(accumulator) <= 8);
  CHECK(graph.tensors[0].qparams->zero_point[0] == 0);
}

TEST_CASE("reduce: an addition to one element") {
  const Profile a = profile("tflite-reference");
  const Profile b = load_profile("tflite-reference", ProfileSearch::standard(),
                                 {{"/ops/add/requantize/rounding", "floor"}});
  test::TenLayers network(a);
  const Reproduction small = reduce(first_differing_node(network.graph(), network.images(8), a, b),
                                    [&](const Reproduction& r) { return differs(r, a, b); });
  CHECK(small.graph.nodes[0].op == "add");
  CHECK(small.inputs[0].numel() == 1);
  CHECK(differs(small, a, b));
}

TEST_CASE("reduce: errors") {
  const Profile a = profile("tflite-reference");
  test::TenLayers network(a);
  CHECK_THROWS_AS(first_differing_node(network.graph(), network.images(1), a, a), Error);
  CHECK_THROWS_AS(first_differing_node(network.graph(), {}, a, a), Error);
  CHECK_THROWS_AS(reduce({network.graph(), {}}, [](const Reproduction&) { return true; }), Error);
}

}  // namespace
}  // namespace facsim::backends
