// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/reduce.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backends/parity/reduce-internal.h"
#include "sim/core/error.h"
#include "tests/backends/ten_layer_network.h"

namespace facsim::backends {
namespace {

Profile profile(const char* name, const std::vector<ProfileOverride>& set = {}) {
  return load_profile(name, ProfileSearch::standard(), set);
}

bool is_same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

const IntNode& node_called(const IntGraph& graph, const std::string& name) {
  const auto found = std::find_if(graph.nodes.begin(), graph.nodes.end(),
                                  [&](const IntNode& node) { return node.name == name; });
  REQUIRE(found != graph.nodes.end());
  return *found;
}

/// From a network to the smallest reproduction of what two profiles compute differently.
Reproduction reduced(const IntGraph& graph, const std::vector<Tensor>& inputs, const Profile& a,
                     const Profile& b) {
  const StillShows shows = [&](const Reproduction& r) { return differs(r, {a}, {b}); };
  const auto start = first_node(graph, inputs, {}, {a}, shows);
  REQUIRE(start.has_value());
  CHECK(start->graph.nodes.size() == 1);
  const Reproduction small = reduce(*start, shows);
  CHECK(shows(small));
  return small;
}

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
  const Reproduction small = reduced(network.graph(), network.images(8), a, b);
  const IntGraph& graph = small.graph;
  CHECK(graph.tensors[static_cast<size_t>(graph.outputs[0])].shape.numel() == 1);
  CHECK(small.inputs[0].numel() == 1);
  REQUIRE(graph.nodes[0].inputs.size() == 2);  // no bias
  const int64_t accumulator = small.inputs[0].int_at(0) * graph.tensors[1].data->int_at(0);
  CHECK(std::abs(accumulator) <= 8);
  CHECK(graph.tensors[0].qparams->zero_point[0] == 0);
}

TEST_CASE("reduce: an addition to one element, a pool to the fewest window elements") {
  const Profile a = profile("tflite-reference");
  test::TenLayers network(a);
  const Reproduction add =
      reduced(network.graph(), network.images(8), a,
              profile("tflite-reference", {{"/ops/add/requantize/rounding", "floor"}}));
  CHECK(add.graph.nodes[0].op == "add");
  CHECK(add.inputs[0].numel() == 1);
  const Reproduction pool =
      reduced(network.graph(), network.images(8), a,
              profile("tflite-reference", {{"/ops/avg_pool2d/params/rounding", "floor"}}));
  CHECK(pool.graph.nodes[0].op == "avg_pool2d");
  CHECK(output_of(pool, {a}).numel() == 1);
  CHECK(pool.inputs[0].numel() == 2);  // the average of one code is exact
  CHECK(pool.graph.nodes[0].attributes.window.kernel == std::array<int64_t, 2>{1, 2});
}

TEST_CASE("cut_to_one_output: any element of any layer, from the same inputs, with its padding") {
  const Profile a = profile("tflite-reference");
  test::TenLayers network(a);
  const IntGraph& graph = network.graph();
  const std::vector<Tensor> images = network.images(3);
  for (const IntNode& node : graph.nodes) {
    CAPTURE(node.name);
    // What the search hands over for this node.
    const auto start = first_node(graph, images, {}, {a}, [&](const Reproduction& r) {
      return r.graph.nodes[0].name == node.name;
    });
    REQUIRE(start.has_value());
    const Tensor ours = output_of(*start, {a});
    for (const int64_t wanted : {int64_t{0}, ours.numel() / 2 + 1, ours.numel() - 1}) {
      CAPTURE(wanted);
      Reproduction from = *start;
      Tensor theirs = ours.clone();
      theirs.set_int(wanted, ours.int_at(wanted) == 0 ? 1 : 0);
      from.recorded = {ours, theirs};
      const StillShows shows = [&](const Reproduction& r) {
        return differs_from_recording(r, {a});
      };
      const Reproduction cut = cut_to_one_output(from, shows);
      REQUIRE(output_of(cut, {a}).numel() == 1);
      CHECK(is_same(output_of(cut, {a}), cut.recorded->ours));
      CHECK(cut.recorded->ours.int_at(0) == ours.int_at(wanted));
      CHECK(cut.recorded->theirs.int_at(0) == theirs.int_at(wanted));
    }
  }
}

TEST_CASE("cut_to_one_output: a depthwise layer with two filters a channel") {
  const Profile a = profile("tflite-reference");
  test::TenLayers network(a);
  Reproduction from{
      detail::lone_node(network.graph(), node_called(network.graph(), "depthwise")).graph, {}};
  // Two filters a channel: channels must be cut in pairs first.
  Tensor& weights = *from.graph.tensors[1].data;
  const int64_t channels = weights.shape()[0] / 2;
  CHECK(channels == 3);
  from.graph.nodes[0].attributes.groups = channels;
  from.graph.tensors[0].shape[3] = channels;
  from.inputs = {Tensor(DType::int8, {1, 8, 8, channels})};
  for (int64_t i = 0; i < from.inputs[0].numel(); ++i)
    from.inputs[0].set_int(i, i * 31 % 251 - 125);
  check(from.graph);
  const Tensor ours = output_of(from, {a});
  Tensor theirs = ours.clone();
  const int64_t wanted = 5 * 8 * 6 + 2 * 6 + 3;
  theirs.set_int(wanted, ours.int_at(wanted) ^ 1);
  from.recorded = {ours, theirs};
  const StillShows shows = [&](const Reproduction& r) { return differs_from_recording(r, {a}); };
  const Reproduction cut = cut_to_one_output(from, shows);
  CHECK(cut.recorded->ours.numel() == 1);
  CHECK(cut.recorded->ours.int_at(0) == ours.int_at(wanted));
  CHECK(cut.graph.nodes[0].op == "depthwise_conv2d");
}

TEST_CASE("reduce: a tensor that a node reads twice is there once") {
  const Profile a = profile("tflite-reference");
  const Profile b = profile("tflite-reference", {{"/ops/add/requantize/rounding", "floor"}});
  test::TenLayers network(a);
  IntGraph graph = network.graph();
  const auto add = std::find_if(graph.nodes.begin(), graph.nodes.end(),
                                [](const IntNode& node) { return node.op == "add"; });
  add->inputs = {add->inputs[0], add->inputs[0]};
  const Reproduction small = reduced(graph, network.images(8), a, b);
  CHECK(small.graph.nodes[0].inputs == std::vector<int>{0, 0});
  CHECK(small.graph.tensors.size() == 2);
  CHECK(small.inputs.size() == 1);
  CHECK(small.inputs[0].numel() == 1);
}

TEST_CASE("first_node: nodes of another profile are run under it") {
  const Profile a = profile("tflite-reference"), b = profile("tflite-single-rounding");
  test::TenLayers network(a);
  IntGraph graph = network.graph();
  graph.nodes[0].profile = "other";
  const auto others = [&](std::string_view name) -> const Profile& {
    CHECK(name == "other");
    return a;
  };
  const StillShows shows = [&](const Reproduction& r) {
    return differs(r, {a, others}, {b, others});
  };
  const auto found = first_node(graph, network.images(8), {}, {a, others}, shows);
  REQUIRE(found.has_value());
  CHECK(found->graph.nodes[0].name != graph.nodes[0].name);  // both sides run that one alike
}

TEST_CASE("first_node: golden's inputs take the place of what was computed") {
  const Profile a = profile("tflite-reference");
  test::TenLayers network(a);
  const IntGraph& graph = network.graph();
  const std::vector<Tensor> images = network.images(20);  // more than are run at once
  const IntNode& second = graph.nodes[1];
  NamedTensors golden;
  const auto found = first_node(graph, images, {}, {a}, [&](const Reproduction& r) {
    return r.graph.nodes[0].name == second.name;
  });
  REQUIRE(found.has_value());
  CHECK(found->inputs[0].shape()[0] == 16);
  Tensor recorded(found->inputs[0].dtype(), {20, 8, 8, found->inputs[0].shape()[3]});
  recorded.set_int(recorded.numel() - 1, 77);  // of the last image
  const std::string& between = graph.tensors[static_cast<size_t>(second.inputs[0])].name;
  golden.emplace_back(between, recorded);
  const auto again = first_node(graph, images, golden, {a}, [&](const Reproduction& r) {
    const Tensor& x = r.inputs[0];
    return r.graph.nodes[0].name == second.name && x.int_at(x.numel() - 1) == 77;
  });
  REQUIRE(again.has_value());
  CHECK(again->inputs[0].shape()[0] == 4);
  const StillShows never = [](const Reproduction&) { return false; };
  golden[0].second = Tensor(DType::int8, {20, 8, 8, 1});
  CHECK_THROWS_AS(first_node(graph, images, golden, {a}, never), Error);
  golden[0].second = Tensor(DType::int8, {3, 8, 8, 6});
  CHECK_THROWS_AS(first_node(graph, images, golden, {a}, never), Error);
}

TEST_CASE("reduce: a node whose output has no scale") {
  IntGraph graph;
  graph.name = "real";
  graph.tensors = {{"x", DType::int8, {1, 4}, quant::QParams{}, {}},
                   {"y", DType::float32, {1, 4}, {}, {}}};
  graph.nodes = {{"dequantize", "dequantize", {0}, 1, {}, ""}};
  graph.inputs = {0};
  graph.outputs = {1};
  Tensor x(DType::int8, {1, 4});
  for (int64_t i = 0; i < 4; ++i) x.set_int(i, 10 + i);
  const Profile a = profile("tflite-reference");
  const Reproduction small = reduce({graph, {x}}, [&](const Reproduction& r) {
    const Tensor y = output_of(r, {a});
    return std::any_of(y.values<float>().begin(), y.values<float>().end(),
                       [](float value) { return value >= 12.0f; });
  });
  REQUIRE(small.inputs[0].numel() == 1);
  CHECK(small.inputs[0].int_at(0) == 12);
  CHECK(small.graph.tensors[0].qparams->scale[0] == 1.0f);
}

TEST_CASE("reduce: a tensor that cannot be cut keeps two of its 500 values, in few tries") {
  IntGraph graph;
  graph.name = "moved";
  graph.tensors = {{"x", DType::int8, {1, 5, 10, 10}, quant::QParams{}, {}},
                   {"y", DType::int8, {1, 10, 5, 10}, quant::QParams{}, {}}};
  graph.nodes = {{"transpose", "transpose", {0}, 1, {}, ""}};
  graph.nodes[0].attributes.permutation = {0, 2, 1, 3};
  graph.inputs = {0};
  graph.outputs = {1};
  Tensor x(DType::int8, {1, 5, 10, 10});
  for (int64_t i = 0; i < x.numel(); ++i) x.set_int(i, i % 100 - 50);
  x.set_int(17, 90);
  x.set_int(303, -90);
  int64_t tries = 0;
  const Reproduction small = reduce({graph, {x}}, [&](const Reproduction& r) {
    ++tries;
    return r.inputs[0].int_at(17) >= 5 && r.inputs[0].int_at(303) <= -3;
  });
  for (int64_t i = 0; i < x.numel(); ++i) {
    CHECK(small.inputs[0].int_at(i) == (i == 17 ? 5 : i == 303 ? -3 : 0));
  }
  CHECK(tries < 200);
}

TEST_CASE("reduce: errors") {
  const Profile a = profile("tflite-reference");
  test::TenLayers network(a);
  const StillShows shows = [&](const Reproduction& r) { return differs(r, {a}, {a}); };
  CHECK(!first_node(network.graph(), network.images(1), {}, {a}, shows).has_value());
  CHECK_THROWS_AS(first_node(network.graph(), {}, {}, {a}, shows), Error);
  CHECK_THROWS_AS(reduce({network.graph(), {}}, [](const Reproduction&) { return true; }), Error);
  struct Stopped {};
  CHECK_THROWS_AS(first_node(network.graph(), network.images(1), {}, {a},
                             [](const Reproduction&) -> bool { throw Stopped(); }),
                  Stopped);
}

}  // namespace
}  // namespace facsim::backends
