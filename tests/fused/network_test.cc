// SPDX-License-Identifier: Apache-2.0
#include "fused/network.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "fused/patterns/pattern_registry.h"
#include "sim/core/error.h"
#include "tests/fused/pattern_tester.h"

using namespace facsim;
using namespace facsim::fused;
using fused::test::batch_norm;
using fused::test::conv;
using fused::test::graph;
using fused::test::linear;
using fused::test::node;
using fused::test::random_tensor;

namespace {

/// A residual network with every kind of module: fork, addition, pools, flatten.
backends::FloatGraph residual_network() {
  auto pool = node("MaxPool2d", "pool", {"r1"});
  pool.kernel_size = {2, 2};
  pool.stride = {2, 2};
  auto average = node("AvgPool2d", "average", {"sum2"});
  average.kernel_size = {2, 2};
  average.stride = {2, 2};
  return graph({2, 8, 8}, {conv("c1", "input", 2, 4), batch_norm("BatchNorm2d", "b1", "c1", 4),
                           node("ReLU", "r1", {"b1"}), pool, conv("c2", "pool", 4, 4),
                           batch_norm("BatchNorm2d", "b2", "c2", 4),
                           node("Add", "sum", {"b2", "pool"}), node("ReLU", "r2", {"sum"}),
                           conv("c3", "r2", 4, 4, 3, 4), node("Add", "sum2", {"c3", "r2"}), average,
                           node("AdaptiveAvgPool2d", "global", {"average"}),
                           node("Flatten", "flat", {"global"}), linear("fc", "flat", 4, 3)});
}

Network quantized(const backends::FloatGraph& g, std::string_view profile) {
  Network network = Network::from_graph(g, 1);
  const PatternRegistry patterns = PatternRegistry::standard();
  network.fuse(patterns);
  network.prepare_qat(test::profile(profile), patterns);
  return network;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

double inner(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.numel(); ++i) sum += double{a.data<float>()[i]} * b.data<float>()[i];
  return sum;
}

}  // namespace

TEST_CASE("Network: gradients add up at forks (directional derivative of the float network)") {
  Network network = Network::from_graph(residual_network(), 3);
  test::disturb(network, 4);
  const Tensor x = random_tensor({2, 8, 8, 2}, 5);
  Context context;
  context.training = true;
  context.batch_norm = BatchNormMode::frozen;
  const Tensor gy = random_tensor(network.forward(x, context).shape(), 6);
  network.backward(gy, context);
  // loss(p + t d) - loss(p - t d) over 2t equals sum of gradients * d, for a random direction d.
  double expected = 0;
  std::vector<Tensor> directions;
  uint64_t seed = 7;
  for (Parameter* p : network.parameters()) {
    directions.push_back(random_tensor(p->value.shape(), seed++));
    expected += inner(p->grad, directions.back());
  }
  const auto loss_at = [&](float t) {
    size_t k = 0;
    for (Parameter* p : network.parameters()) {
      const Tensor& d = directions[k++];
      for (int64_t i = 0; i < d.numel(); ++i) p->value.data<float>()[i] += t * d.data<float>()[i];
    }
    const double loss = inner(network.forward(x, context).real(), gy);
    k = 0;
    for (Parameter* p : network.parameters()) {
      const Tensor& d = directions[k++];
      for (int64_t i = 0; i < d.numel(); ++i) p->value.data<float>()[i] -= t * d.data<float>()[i];
    }
    return loss;
  };
  const float t = 1e-3f;
  const double got = (loss_at(t) - loss_at(-t)) / (2 * static_cast<double>(t));
  CHECK(got == doctest::Approx(expected).epsilon(0.02));
}

TEST_CASE(
    "Network: a residual network deploys to the bit under every profile, before and after "
    "training") {
  const Tensor x = random_tensor({3, 8, 8, 2}, 8);
  for (const std::string& name : test::profile_names()) {
    CAPTURE(name);
    Network network = quantized(residual_network(), name);
    Context context;
    context.observe = true;
    network.forward(x, context);
    test::check_deployed(network, test::profile(name), x);
    context.training = true;
    for (int step = 0; step < 3; ++step) {
      const Tensor y = network.forward(x, context).real();
      network.backward(random_tensor(y.shape(), 9), context);
      for (Parameter* p : network.parameters()) {
        for (int64_t i = 0; i < p->value.numel(); ++i) {
          p->value.data<float>()[i] -= 0.02f * p->grad.data<float>()[i];
        }
      }
    }
    test::check_deployed(network, test::profile(name), x);
  }
}

TEST_CASE("Network: state restores a quantized network to the same bits") {
  const Tensor x = random_tensor({3, 8, 8, 2}, 8);
  Network a = quantized(residual_network(), "tflite-micro");
  test::disturb(a, 12);
  Context context;
  context.observe = true;
  a.forward(x, context);
  Network b = quantized(residual_network(), "tflite-micro");
  b.load_state(a.state());
  CHECK(same(a.forward(x, {}).codes(), b.forward(x, {}).codes()));
  context.training = true;
  CHECK(same(a.forward(x, context).codes(), b.forward(x, context).codes()));

  auto state = a.state();
  const std::string missing = state.back().first;
  state.pop_back();
  state.front().second = Tensor(DType::float32, {7});
  try {
    b.load_state(state);
    FAIL("no error");
  } catch (const Error& e) {
    const std::string text = e.what();
    CHECK(text.find(missing) != std::string::npos);
    CHECK(text.find(state.front().first) != std::string::npos);
  }
}

TEST_CASE("Network: the same seed gives the same weights, another seed others") {
  const auto weight = [](uint64_t seed) {
    Network network = Network::from_graph(residual_network(), seed);
    return network.parameters().front()->value.clone();
  };
  CHECK(same(weight(1), weight(1)));
  CHECK_FALSE(same(weight(1), weight(2)));
  const float bound = 1.0f / std::sqrt(18.0f);
  const Tensor first = weight(1);
  for (const float w : first.values<float>()) CHECK(std::fabs(w) <= bound);
}

TEST_CASE("Network: off-grid inputs are counted, grid points are not") {
  Network network = quantized(residual_network(), "tflite-micro");
  const Tensor x = random_tensor({1, 8, 8, 2}, 8);
  Context context;
  context.observe = true;
  network.forward(x, context);
  CHECK(network.off_grid_inputs() > 100);
  const backends::IntGraph deployed = network.convert();
  const quant::QParams& grid = *deployed.tensors[0].qparams;
  Tensor codes(grid.type.storage(), x.shape());
  for (int64_t i = 0; i < codes.numel(); ++i) codes.set_int(i, i % 100);
  network.forward(quant::dequantize(codes, grid), {});
  CHECK(network.off_grid_inputs() == 0);
}

TEST_CASE("Network: bad graphs and inputs are Errors") {
  const auto refused = [](backends::FloatGraph g) {
    CHECK_THROWS_AS(Network::from_graph(g, 1), Error);
  };
  refused(graph({1, 4, 4}, {conv("c", "nowhere", 1, 1)}));
  refused(graph({1, 4, 4}, {conv("c", "input", 1, 1), conv("c", "c", 1, 1)}));
  refused(graph({1, 4, 4}, {node("Add", "a", {"input"})}));
  refused(graph({1, 4, 4}, {node("Gelu", "g", {"input"})}));
  refused(graph({1, 4, 4}, {conv("c", "input", 3, 2, 3, 2)}));
  backends::FloatGraph empty;
  refused(empty);

  Network network = Network::from_graph(graph({1, 4, 4}, {conv("c", "input", 1, 2)}), 1);
  CHECK_THROWS_AS(network.forward(Tensor(DType::float32, {0, 4, 4, 1}), {}), Error);
  CHECK_THROWS_AS(network.forward(Tensor(DType::float32, {1, 4, 4, 2}), {}), Error);
  CHECK_THROWS_AS(network.forward(Tensor(DType::int8, {1, 4, 4, 1}), {}), Error);
  CHECK_THROWS_AS(network.convert(), Error);

  const PatternRegistry patterns = PatternRegistry::standard();
  Network lone =
      Network::from_graph(graph({1, 4, 4}, {conv("c", "input", 1, 2), node("MaxPool2d", "p", {"c"}),
                                            batch_norm("BatchNorm2d", "b", "p", 2)}),
                          1);
  lone.fuse(patterns);
  CHECK_THROWS_AS(lone.prepare_qat(test::profile("tflite-micro"), patterns), Error);
  CHECK_FALSE(lone.quantized());
  // An op that the platform does not have.
  Network swish = Network::from_graph(
      graph({1, 4, 4}, {conv("c", "input", 1, 2), node("Hardswish", "h", {"c"})}), 1);
  swish.fuse(patterns);
  CHECK_THROWS_AS(swish.prepare_qat(test::profile("ethos-u"), patterns), Error);
}

TEST_CASE("Network: a trained network's parameters take the place of the initial ones") {
  backends::FloatGraph g =
      graph({1, 4, 4}, {conv("c", "input", 1, 2), batch_norm("BatchNorm2d", "b", "c", 2),
                        node("Flatten", "f", {"b"}), linear("l", "f", 32, 3)});
  g.parameters["c"].weight = random_tensor({2, 3, 3, 1}, 1);
  g.parameters["b"].weight = random_tensor({2}, 2);
  g.parameters["b"].running_var = Tensor::from<float>({2}, std::array{0.25f, 3.0f});
  Network network = Network::from_graph(g, 1);
  const auto state = network.state();
  const auto named = [&](std::string_view name) -> const Tensor& {
    return backends::member(state, name, "state");
  };
  CHECK(same(named("c.weight"), *g.parameters["c"].weight));
  CHECK(same(named("b.weight"), *g.parameters["b"].weight));
  CHECK(same(named("b.running_var"), *g.parameters["b"].running_var));
  CHECK(named("b.running_mean").data<float>()[0] == 0);
  // What the network does not bring starts as it does without.
  g.parameters.clear();
  Network fresh = Network::from_graph(g, 1);
  for (const auto& [name, tensor] : fresh.state()) {
    if (name == "l.weight" || name == "c.bias") CHECK(same(named(name), tensor));
    if (name == "c.weight") CHECK_FALSE(same(named(name), tensor));
  }
  // The network owns its values.
  const float before = named("c.weight").data<float>()[0];
  g.parameters["c"].weight = random_tensor({2, 3, 3, 1}, 1);
  Network copy = Network::from_graph(g, 1);
  g.parameters["c"].weight->data<float>()[0] += 1;
  CHECK(copy.parameters().front()->value.data<float>()[0] == before);
}

TEST_CASE("Network: bad parameters of a trained network are Errors that name node and channel") {
  const backends::FloatGraph good =
      graph({1, 4, 4}, {conv("c", "input", 1, 4), batch_norm("BatchNorm2d", "b", "c", 4)});
  const auto values = [](std::array<float, 4> v) { return Tensor::from<float>({4}, v); };
  const float nan = std::nanf("");
  const auto refused = [&](const backends::FloatGraph& g, ErrorCode code, std::string_view text) {
    try {
      Network::from_graph(g, 1);
      FAIL("no error");
    } catch (const Error& e) {
      CHECK(e.code() == code);
      const std::string message = e.what();
      CHECK_MESSAGE(message.find(text) != std::string::npos, message);
    }
  };
  backends::FloatGraph g = good;
  g.parameters["b"].running_var = values({1, 2, 1, -0.5f});
  refused(g, ErrorCode::bad_value, "node b: variance -0.5 < 0 at channel 3");
  g.parameters["b"].running_var = values({1, nan, 1, 1});
  refused(g, ErrorCode::bad_value, "node b: running_var nan at channel 1");
  g.parameters["b"].running_var = values({1, 1, 0, 1});
  g.nodes[1].eps = 0;
  refused(g, ErrorCode::bad_value, "node b: variance 0 and eps 0 at channel 2");
  g = good;
  g.parameters["c"].bias = values({1, 1, INFINITY, 1});
  refused(g, ErrorCode::bad_value, "node c: bias inf at channel 2");
  g.parameters["c"].bias = Tensor(DType::float32, {3});
  refused(g, ErrorCode::shape_mismatch, "node c: bias float32 (3,); expected float32 (4,)");
  g.parameters["c"].bias = values({1, 1, 1, 1});
  g.nodes[0].bias = false;
  refused(g, ErrorCode::bad_value, "node c: values for bias");
  g.nodes[0].bias = true;
  g.parameters["c"].bias = values({1e-40f, 1, 1, 1});  // subnormal: small, but a number
  CHECK_NOTHROW(Network::from_graph(g, 1));
}
