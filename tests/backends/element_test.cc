// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/element.h"

#include <doctest/doctest.h>

#include <cmath>

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tests/formats/small_network.h"

namespace facsim::backends {

namespace {

Profile profile_of(std::string_view name, std::vector<ProfileOverride> overrides = {}) {
  return load_profile(name, ProfileSearch::standard(), overrides);
}

quant::QParams int8_qparams(float scale, int64_t zero_point) {
  return {{scale}, {zero_point}, -1, sim::kInt8, -128, 127};
}

/// A product sum of 585 that lands just above the tie 6.5.
IntGraph one_element_network() {
  IntGraph graph;
  graph.name = "one";
  quant::QParams weights{{0.024094f}, {0}, -1, sim::kInt8, -127, 127};
  graph.tensors = {
      {"x", DType::int8, {1, 3}, int8_qparams(0.0529612f, -1), {}},
      {"w",
       DType::int8,
       {1, 3},
       weights,
       Tensor::from<int8_t>({1, 3}, std::vector<int8_t>{100, -20, 5})},
      {"y", DType::int8, {1, 1}, int8_qparams(0.1148433f, -126), {}},
  };
  graph.nodes = {{"fc", "linear", {0, 1}, 2, {}, ""}};
  graph.inputs = {0};
  graph.outputs = {2};
  return graph;
}

struct Lowered {
  IntGraph graph;
  sim::Graph executable;
  sim::RunResult run;

  Lowered(IntGraph network, const Profile& profile, const Tensor& input)
      : graph(std::move(network)), executable(lower(graph, profile)) {
    sim::ExecutorOptions options;
    options.isa = sim::Isa::scalar;
    options.trace = true;
    run = sim::Executor(executable, options).run({input});
  }
  ElementChain chain(size_t node, int64_t flat_index, size_t taps = 0) const {
    std::vector<const Tensor*> inputs;
    for (const int t : executable.nodes[node].inputs) {
      inputs.push_back(&run.tensors[static_cast<size_t>(t)]);
    }
    return element_chain(graph, executable, node, inputs, flat_index, taps);
  }
};

IntGraph plain_small_network() {
  IntGraph graph = test::small_network();
  graph.profile_fingerprint.clear();
  graph.nodes[1].profile.clear();
  quant::QParams bias{{}, {0, 0, 0}, 0, sim::kInt32, INT32_MIN, INT32_MAX};
  for (const float scale : graph.tensors[1].qparams->scale) bias.scale.push_back(0.5f * scale);
  graph.tensors[2].qparams = bias;
  return graph;
}

Tensor codes(const Shape& shape) {
  Tensor tensor(DType::int8, shape);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, i * 37 % 256 - 128);
  return tensor;
}

}  // namespace

TEST_CASE("element_chain: sum, scale, exact value and tie distance by hand") {
  // (5 + 1) * 100 + (2 + 1) * -20 + (8 + 1) * 5 = 600 - 60 + 45 = 585.
  const Tensor x = Tensor::from<int8_t>({1, 3}, std::vector<int8_t>{5, 2, 8});
  const Lowered net(one_element_network(), profile_of("tflite-reference"), x);
  const ElementChain chain = net.chain(0, 0, 2);
  CHECK(chain.node == "fc");
  CHECK(chain.op == "linear");
  CHECK(chain.tensor == "y");
  CHECK(chain.index == std::vector<int64_t>{0, 0});
  REQUIRE(chain.accumulator);
  CHECK(chain.accumulator->value == 585);
  CHECK(chain.accumulator->exact == 585);
  CHECK(chain.accumulator->bias == 0);
  CHECK(chain.accumulator->taps == 3);
  CHECK(chain.accumulator->bits_used == 11);  // 585 < 2^10
  CHECK_FALSE(chain.accumulator->left_width);
  REQUIRE(chain.accumulator->largest.size() == 2);
  CHECK(chain.accumulator->largest[0].product == 600);
  CHECK(chain.accumulator->largest[0].input_index == 0);
  CHECK(chain.accumulator->largest[0].input == 5);
  CHECK(chain.accumulator->largest[0].weight == 100);
  CHECK(chain.accumulator->largest[1].product == -60);
  REQUIRE(chain.scales);
  const double real = static_cast<double>(0.0529612f) * 0.024094f / 0.1148433f;
  CHECK(chain.scales->real == doctest::Approx(real).epsilon(1e-15));
  REQUIRE(chain.exact);
  CHECK(std::abs(*chain.exact - 585 * real) < 1e-12);
  CHECK(std::abs(*chain.tie_distance - std::abs(*chain.exact - 6.5)) < 1e-12);
  CHECK(*chain.tie_distance < 1e-4);
  CHECK(chain.zero_point == -126);
  CHECK(chain.result() == net.run.outputs[0].int_at(0));
  REQUIRE_FALSE(chain.steps.empty());
  const bool names_multiplier =
      std::any_of(chain.steps.begin(), chain.steps.end(),
                  [](const auto& s) { return s.arguments.starts_with("multiplier = "); });
  CHECK(names_multiplier);
}

TEST_CASE(
    "element_chain: every element of a padded, per-channel convolution agrees with the norm") {
  IntGraph graph = plain_small_network();
  graph.nodes[0].attributes.window.padding = {1, 1, 1, 1};
  graph.tensors[3].shape = {1, 4, 4, 3};
  graph.tensors[4].shape = {1, 48};
  const Lowered net(graph, profile_of("tflite-single-rounding"), codes({2, 4, 4, 2}));
  const Tensor& y = net.run.tensors[1];
  int padded = 0;
  for (int64_t i = 0; i < y.numel(); ++i) {
    CAPTURE(i);
    const ElementChain chain = net.chain(0, i, 100);
    REQUIRE(chain.accumulator);
    CHECK(chain.result() == y.int_at(i));
    CHECK(chain.accumulator->value == *chain.explanation.accumulator);
    CHECK(chain.accumulator->exact == chain.accumulator->value);
    CHECK(chain.accumulator->largest.size() == 18);
    int64_t sum = chain.accumulator->bias;
    for (const ElementTap& tap : chain.accumulator->largest) {
      sum += tap.product;
      padded += tap.input_index < 0;
      if (tap.input_index < 0) CHECK(tap.product == 0);
    }
    CHECK(sum == chain.accumulator->value);
    const double distance = std::abs(static_cast<double>(chain.result() + 128) - *chain.exact);
    // One rounding; the 31-bit multiplier moves a result of up to 256 steps by 256 * 2^-31 at most.
    const bool clamped = chain.result() == -128 || chain.result() == 127;
    CHECK((distance <= 0.5 + 1e-6 || clamped));
    CHECK(reach(chain, chain.result()) == Reach::equal);
  }
  CHECK(padded > 0);
  CHECK_THROWS_AS(net.chain(0, y.numel()), Error);
}

TEST_CASE("element_chain: an accumulator that leaves its width is shown beside the exact sum") {
  IntGraph graph = one_element_network();
  const Tensor x = Tensor::from<int8_t>({1, 3}, std::vector<int8_t>{127, -128, 127});
  // 128 * 100 + -127 * -20 + 128 * 5 = 15980, which 12 bits saturate to 2047.
  const Profile narrow = profile_of("tflite-reference", {{"/accumulator/bits", "12"},
                                                         {"/accumulator/overflow", "saturate"},
                                                         {"/accumulator/order", "sequential"}});
  const ElementChain chain = Lowered(graph, narrow, x).chain(0, 0);
  REQUIRE(chain.accumulator);
  CHECK(chain.accumulator->exact == 15980);
  CHECK(chain.accumulator->value == 2047);
  CHECK(chain.accumulator->left_width);
  CHECK(chain.accumulator->rule.bits == 12);
  CHECK(chain.accumulator->bits_used == 12);
  const ElementChain wide = Lowered(graph, profile_of("tflite-reference"), x).chain(0, 0);
  CHECK(wide.accumulator->value == 15980);
  CHECK(*wide.exact == *chain.exact);
  CHECK(parting(chain, wide).where == Parting::Where::accumulator);
  CHECK(reach(chain, wide.result()) == Reach::overflow);
}

TEST_CASE("parting and reach: two roundings of the same sum") {
  const Tensor x = Tensor::from<int8_t>({1, 3}, std::vector<int8_t>{5, 2, 8});
  const IntGraph graph = one_element_network();
  const ElementChain up = Lowered(graph, profile_of("tflite-single-rounding"), x).chain(0, 0);
  const ElementChain down =
      Lowered(graph, profile_of("tflite-single-rounding", {{"/requantize/rounding", "floor"}}), x)
          .chain(0, 0);
  CHECK(up.result() == -119);
  CHECK(down.result() == -120);
  const Parting part = parting(up, down);
  REQUIRE(part.where == Parting::Where::step);
  CHECK(up.steps[part.ours].step.starts_with("shr"));
  CHECK(up.steps[part.ours].value == "7");
  CHECK(down.steps[part.theirs].value == "6");
  CHECK(rule_of_step(up.steps[part.ours].step) == "/requantize/rounding");
  CHECK(reach(up, -120) == Reach::rounding);
  CHECK(reach(up, -118) == Reach::beyond);
  CHECK(reach(up, -119) == Reach::equal);
  CHECK(parting(up, up).where == Parting::Where::nowhere);
}

TEST_CASE("parting: chains of other forms part where a value first differs") {
  const auto chain_of = [](std::vector<std::string> values, int64_t acc = 9) {
    ElementChain chain;
    chain.explanation.accumulator = acc;
    std::string before = std::to_string(acc);
    for (std::string& value : values) {
      chain.steps.push_back({"add 1", "", value, value != before});
      before = value;
    }
    return chain;
  };
  // Steps that change nothing do not count: the second has one more, and differs at its third.
  const Parting part = parting(chain_of({"90", "7", "6"}), chain_of({"9", "90", "8", "6"}));
  CHECK(part.where == Parting::Where::step);
  CHECK(part.ours == 1);
  CHECK(part.theirs == 2);
  CHECK(parting(chain_of({"9", "90"}), chain_of({"90", "90"})).where == Parting::Where::nowhere);
  const Parting shorter = parting(chain_of({"90"}), chain_of({"90", "8"}));
  CHECK(shorter.where == Parting::Where::step);
  CHECK(shorter.ours == 1);
  CHECK(shorter.theirs == 1);
  CHECK(parting(chain_of({}, 1), chain_of({}, 2)).where == Parting::Where::accumulator);
}

TEST_CASE("reach: a clamped result, an op without an exact value") {
  ElementChain chain;
  CHECK(reach(chain, 5) == Reach::unknown);
  chain.exact = 300.2;
  chain.explanation.result = 127;
  CHECK(reach(chain, 44) == Reach::clamp);  // wrap of 300 in 8 bits
  for (const Reach r : {Reach::equal, Reach::rounding, Reach::overflow, Reach::clamp, Reach::beyond,
                        Reach::unknown}) {
    CHECK(to_string(r).size() > 10);
  }
}

TEST_CASE(
    "element_chain: add, mul and requantize have an exact value, with constants and broadcast") {
  IntGraph graph;
  graph.name = "sum";
  const Tensor constant = Tensor::from<int8_t>({1, 2}, std::vector<int8_t>{10, -20});
  graph.tensors = {{"a", DType::int8, {1, 3, 2}, int8_qparams(0.5f, 3), {}},
                   {"b", DType::int8, {1, 2}, int8_qparams(0.25f, 0), constant},
                   {"y", DType::int8, {1, 3, 2}, int8_qparams(0.125f, -5), {}}};
  graph.nodes = {{"sum", "add", {0, 1}, 2, {}, ""}};
  graph.inputs = {0};
  graph.outputs = {2};
  const Tensor a = Tensor::from<int8_t>({1, 3, 2}, std::vector<int8_t>{1, 2, 3, 4, 5, 6});
  const Lowered net(graph, profile_of("tflite-reference"), a);
  // Element 3: a = 4, b = -20: ((4 - 3) * 0.5 + -20 * 0.25) / 0.125 = -36.
  const ElementChain chain = net.chain(0, 3);
  REQUIRE(chain.exact);
  CHECK(*chain.exact == -36);
  CHECK(*chain.tie_distance == 0.5);
  CHECK(chain.result() == -41);
  CHECK_FALSE(chain.accumulator);
  graph.nodes[0].op = "mul";
  // Element 0: (1 - 3) * 0.5 * 10 * 0.25 / 0.125 = -20.
  CHECK(*Lowered(graph, profile_of("tflite-reference"), a).chain(0, 0).exact == -20);
}

TEST_CASE("rule_of_step and setting_behind: who set a rule, nearest first") {
  CHECK(rule_of_step("") == "/accumulator");
  CHECK(rule_of_step("lhs: shr 31 half_up") == "/requantize/rounding");
  CHECK(rule_of_step("fclamp clamp_min clamp_max") == "/requantize/float/clamp");
  CHECK(rule_of_step("of its own") == "/algorithm");
  CHECK(rule_of_step("element 3 of the input") == "/algorithm");
  CHECK(rule_of_step("lhs: sub 3") == "");
  CHECK(rule_of_step("rhs: shl 20") == "/requantize/left_shift");
  CHECK(rule_of_step("rhs: shl left_shift") == "/requantize/left_shift/position");
  const std::vector<ProfileSetting> settings = {
      {"/accumulator/bits", "32", "base.json:3:1"},
      {"/ops/add/algorithm", "\"scaled_add\"", "base.json:9:1"},
      {"/ops/add/params/left_shift", "20", "base.json:10:1"},
      {"/ops/sub/algorithm", "\"xnnpack.add_rational21\"", "base.json:11:1"},
      {"/ops/avg_pool2d/algorithm", "\"integer_average\"", "base.json:12:1"},
      {"/ops/avg_pool2d/params/rounding", "\"half_up\"", "base.json:13:1"},
      {"/ops/conv2d/requantize/rounding", "\"half_up\"", "mine.json:4:2"},
      {"/ops/conv2d/variants/int16x8/requantize/rounding", "\"floor\"", "mine.json:8:2"},
      {"/requantize/multiplier/bits", "32", ""},
      {"/requantize/multiplier/derivation", "\"frexp_round\"", "base.json:5:1"},
      {"/requantize/rounding", "\"half_even\"", "base.json:7:1"}};
  const auto place = [&](const char* rules, const char* pointer) {
    const auto found = setting_behind(settings, rules, pointer);
    return found ? found->place : "nobody";
  };
  CHECK(place("conv2d int16x8", "/requantize/rounding") == "mine.json:8:2");
  CHECK(place("conv2d", "/requantize/rounding") == "mine.json:4:2");
  CHECK(place("linear", "/requantize/rounding") == "base.json:7:1");
  CHECK(place("linear", "/requantize/multiplier") == "base.json:5:1");
  CHECK(place("conv2d int16x8", "/accumulator") == "base.json:3:1");
  // scaled_add is built from the op's requantize and left_shift, the others are all of their own.
  CHECK(place("add", "/requantize/rounding") == "base.json:7:1");
  CHECK(place("add", "/requantize/left_shift") == "base.json:10:1");
  CHECK(place("add", "/algorithm") == "base.json:9:1");
  CHECK(place("sub", "/requantize/rounding") == "base.json:11:1");
  CHECK(place("avg_pool2d", "/requantize/rounding") == "base.json:13:1");
  CHECK(place("avg_pool2d", "/algorithm") == "base.json:12:1");
  CHECK(place("reshape", "/algorithm") == "nobody");
  CHECK(place("linear", "") == "nobody");
  CHECK(place("linear", "/output/overflow") == "nobody");
  // Of a real profile: by the op's variant for its types.
  const IntGraph graph = plain_small_network();
  const Profile profile = profile_of("tflite-micro");
  CHECK(rules_of_node(graph, graph.nodes[0], profile) == "conv2d");
  const auto real = profile_settings("tflite-micro", ProfileSearch::standard());
  const auto found = setting_behind(real, "conv2d", "/requantize/rounding");
  REQUIRE(found);
  CHECK(found->pointer == "/requantize/rounding");
  CHECK(found->place.find("tflite-reference.json:") != std::string::npos);
}

}  // namespace facsim::backends
