// SPDX-License-Identifier: Apache-2.0
// The chains of ops that are no convolutions: what they read, every intermediate, who rules it.
#include <doctest/doctest.h>

#include <algorithm>

#include "backends/lower/lower.h"
#include "backends/parity/element.h"
#include "sim/graph/executor.h"
#include "tests/backends/ten_layer_network.h"

namespace facsim::backends {

namespace {

quant::QParams codes_of(float scale, int64_t zero_point) {
  return {{scale}, {zero_point}, -1, sim::kInt8, -128, 127};
}

/// One op on tensors of given shapes, zero points 1, 2, … and equal scales of 0.5.
struct OneOp {
  IntGraph graph;
  sim::Graph executable;
  sim::RunResult run;
  std::vector<ProfileSetting> settings;
  std::string rules;

  OneOp(std::string op, const std::vector<Tensor>& inputs, const Shape& output,
        NodeAttributes attributes = {}, const quant::QParams& result = codes_of(0.5f, 1)) {
    graph.name = op;
    IntNode node{"node", op, {}, static_cast<int>(inputs.size()), std::move(attributes), ""};
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto t = static_cast<int>(i);
      Shape shape = inputs[i].shape();
      graph.tensors.push_back({"x" + std::to_string(i),
                               DType::int8,
                               shape,
                               codes_of(0.5f, static_cast<int64_t>(i) + 1),
                               {}});
      graph.inputs.push_back(t);
      node.inputs.push_back(t);
    }
    graph.tensors.push_back({"y", DType::int8, output, result, {}});
    graph.nodes = {node};
    graph.outputs = {node.output};
    const Profile profile = load_profile("tflite-micro", ProfileSearch::standard());
    settings = profile_settings("tflite-micro", ProfileSearch::standard());
    rules = rules_of_node(graph, graph.nodes[0], profile);
    executable = lower(graph, profile);
    sim::ExecutorOptions options;
    options.isa = sim::Isa::scalar;
    options.trace = true;
    run = sim::Executor(executable, options).run(inputs);
  }

  ElementChain chain(int64_t flat_index) const {
    std::vector<const Tensor*> inputs;
    for (const int t : executable.nodes[0].inputs) {
      inputs.push_back(&run.tensors[static_cast<size_t>(t)]);
    }
    const ElementChain chain = element_chain(graph, executable, 0, inputs, flat_index, 0);
    CHECK(chain.result() == run.outputs[0].int_at(flat_index));
    REQUIRE_FALSE(chain.steps.empty());
    CHECK(chain.steps.back().value == std::to_string(chain.result()));
    return chain;
  }

  /// The pointer of the setting that rules the first step which begins so; "nobody".
  std::string ruler(const ElementChain& chain, std::string_view text) const {
    for (size_t i = 0; i < chain.steps.size(); ++i) {
      if (!chain.steps[i].step.starts_with(text)) continue;
      const auto found = setting_behind(settings, rules, rule_of_step(chain.steps, i));
      return found ? found->pointer : "nobody";
    }
    return "no such step";
  }
};

Tensor int8(const Shape& shape, const std::vector<int8_t>& values) {
  return Tensor::from<int8_t>(shape, values);
}

/// The value of the first step that begins with `text`.
std::string value_of(const ElementChain& chain, std::string_view text) {
  for (const ElementStep& step : chain.steps) {
    if (step.step.starts_with(text)) return step.value;
  }
  return "no such step";
}

std::vector<std::string> read_values(const ElementChain& chain) {
  std::vector<std::string> values;
  for (const ElementSource& source : chain.sources) values.push_back(source.value);
  return values;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("element_chain: add shows both sides, their sum and who rules each step") {
  const OneOp op("add", {int8({1, 2}, {10, 20}), int8({1, 2}, {5, -30})}, {1, 2});
  const ElementChain chain = op.chain(1);
  CHECK(read_values(chain) == Strings{"20", "-30"});
  CHECK(chain.sources[1].tensor == 1);
  CHECK(chain.sources[1].flat_index == 1);
  CHECK(value_of(chain, "lhs: sub 1") == "19");
  CHECK(value_of(chain, "rhs: sub 2") == "-32");
  CHECK(value_of(chain, "lhs: shl 20") == std::to_string(19 << 20));
  // Equal scales: each side times 1/2, the sum times 2^-19.
  CHECK(value_of(chain, "lhs + rhs") == std::to_string(-(13 << 19)));
  CHECK(chain.result() == -12);  // -13 + zero point 1
  const auto multiplier =
      std::find_if(chain.steps.begin(), chain.steps.end(),
                   [](const ElementStep& step) { return step.step.starts_with("rhs: mul"); });
  REQUIRE(multiplier != chain.steps.end());
  CHECK(multiplier->arguments.starts_with("multiplier = "));
  CHECK(op.ruler(chain, "lhs: sub 1") == "nobody");
  CHECK(op.ruler(chain, "lhs: shl 20") == "/ops/add/params/left_shift");
  CHECK(op.ruler(chain, "lhs: shr 31").starts_with("/requantize/rounding"));
  CHECK(op.ruler(chain, "lhs + rhs") == "/ops/add/algorithm");
  CHECK(op.ruler(chain, "output: mul").starts_with("/requantize/multiplier"));
  CHECK(op.ruler(chain, "output: add") == "/zero_point_add");
}

TEST_CASE("element_chain: mul shows both factors without their zero points") {
  const OneOp op("mul", {int8({1, 2}, {10, 20}), int8({1, 1}, {5})}, {1, 2});
  const ElementChain chain = op.chain(1);
  CHECK(read_values(chain) == Strings{"20", "5"});
  CHECK(value_of(chain, "lhs: sub 1") == "19");
  CHECK(value_of(chain, "rhs: sub 2") == "3");
  CHECK(value_of(chain, "lhs * rhs") == "57");
  CHECK(op.ruler(chain, "mul multiplier").starts_with("/requantize/multiplier"));
  CHECK(op.ruler(chain, "shr 31").starts_with("/requantize/rounding"));
}

TEST_CASE("element_chain: pools show their window, the sum, the divisor and its rounding") {
  NodeAttributes window;
  window.window.kernel = {2, 2};
  window.window.stride = {2, 2};
  const Tensor x = int8({1, 2, 4, 1}, {1, 2, 30, 40, 5, 7, 70, 80});
  const OneOp average("avg_pool2d", {x}, {1, 1, 2, 1}, window);
  const ElementChain mean = average.chain(0);
  CHECK(read_values(mean) == Strings{"1", "2", "5", "7"});
  CHECK(value_of(mean, "sum of 4 codes") == "15");
  const auto division =
      std::find_if(mean.steps.begin(), mean.steps.end(),
                   [](const ElementStep& step) { return step.step.starts_with("div"); });
  REQUIRE(division != mean.steps.end());
  CHECK(division->arguments == "divisor = 4");
  CHECK(division->value == "4");  // 3.75
  CHECK(average.ruler(mean, "div") == "/ops/avg_pool2d/params/rounding");
  CHECK(average.ruler(mean, "sum of") == "/ops/avg_pool2d/algorithm");

  const OneOp largest("max_pool2d", {x}, {1, 1, 2, 1}, window);
  const ElementChain max = largest.chain(1);
  CHECK(read_values(max) == Strings{"30", "40", "70", "80"});
  CHECK(value_of(max, "max of 4 codes") == "80");
  CHECK(largest.ruler(max, "max of") == "nobody");
}

TEST_CASE("element_chain: softmax shows differences, terms, sum, reciprocal and result") {
  const OneOp op("softmax", {int8({1, 3}, {10, 20, 16})}, {1, 3}, {}, codes_of(1.0f / 256, -128));
  const ElementChain chain = op.chain(2);
  CHECK(read_values(chain) == Strings{"10", "20", "16"});
  CHECK(value_of(chain, "largest code") == "20");
  CHECK(value_of(chain, "code - largest") == "-4");
  CHECK(value_of(chain, "term 1: exp of difference 0") == std::to_string(1 << 19));
  int64_t sum = 0;
  for (const char* term : {"term 0", "term 1", "term 2"}) sum += std::stoll(value_of(chain, term));
  CHECK(value_of(chain, "sum of exp") == std::to_string(sum));
  CHECK(op.ruler(chain, "scale: mul").starts_with("/requantize/multiplier"));
  CHECK(op.ruler(chain, "1 / sum") == "/ops/softmax/algorithm");
}

TEST_CASE("element_chain: moved elements name their source and no setting") {
  const Tensor x = int8({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  NodeAttributes order;
  order.order = sim::ReshapeParams::Order::nchw;
  const OneOp flatten("flatten", {x}, {1, 8}, order);
  const ElementChain moved = flatten.chain(5);  // channel 1, pixel 1
  CHECK(read_values(moved) == Strings{"4"});
  CHECK(moved.sources[0].flat_index == 3);
  CHECK(moved.steps.size() == 1);
  CHECK(flatten.ruler(moved, "element 3 of the input") == "nobody");
  NodeAttributes axes;
  axes.permutation = {0, 2, 1, 3};
  const OneOp transpose("transpose", {x}, {1, 2, 2, 2}, axes);
  CHECK(transpose.chain(3).sources[0].flat_index == 5);
  CHECK(transpose.ruler(transpose.chain(3), "element") == "nobody");
}

TEST_CASE("element_chain: concat requantizes an input of another scale, by /requantize") {
  NodeAttributes attributes;
  attributes.axis = 1;
  const OneOp op("concat", {int8({1, 2}, {10, 20}), int8({1, 1}, {7})}, {1, 3}, attributes,
                 codes_of(0.5f, 1));
  const ElementChain copied = op.chain(1);
  CHECK(read_values(copied) == Strings{"20"});
  const ElementChain requantized = op.chain(2);
  CHECK(requantized.sources[0].tensor == 1);
  CHECK(read_values(requantized) == Strings{"7"});
  CHECK(op.ruler(requantized, "shr 31").starts_with("/requantize/rounding"));
}

TEST_CASE("element_chain: every layer of a network says what it read and ends in its result") {
  const Profile profile = load_profile("tflite-micro", ProfileSearch::standard());
  test::TenLayers network(profile);
  const sim::Graph executable = lower(network.graph(), profile);
  sim::ExecutorOptions options;
  options.isa = sim::Isa::scalar;
  options.trace = true;
  const sim::RunResult run = sim::Executor(executable, options).run(network.images(2));
  for (size_t n = 0; n < executable.nodes.size(); ++n) {
    const sim::Graph::Node& node = executable.nodes[n];
    CAPTURE(node.name);
    std::vector<const Tensor*> inputs;
    for (const int t : node.inputs) inputs.push_back(&run.tensors[static_cast<size_t>(t)]);
    const Tensor& output = run.tensors[static_cast<size_t>(node.output)];
    for (int64_t i = 0; i < output.numel(); i += std::max<int64_t>(1, output.numel() / 9)) {
      const ElementChain chain = element_chain(network.graph(), executable, n, inputs, i, 0);
      CHECK(chain.result() == output.int_at(i));
      CHECK(chain.steps.back().value == std::to_string(output.int_at(i)));
      CHECK(chain.sources.empty() == chain.accumulator.has_value());
    }
  }
}

}  // namespace facsim::backends
