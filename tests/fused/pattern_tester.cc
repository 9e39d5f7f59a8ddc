// SPDX-License-Identifier: Apache-2.0
#include "tests/fused/pattern_tester.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "fused/patterns/pattern_registry.h"

namespace facsim::fused::test {

backends::FloatNode node(std::string op, std::string name, std::vector<std::string> inputs) {
  backends::FloatNode n;
  n.op = std::move(op);
  n.name = std::move(name);
  n.inputs = std::move(inputs);
  return n;
}

backends::FloatNode conv(std::string name, std::string input, int64_t in, int64_t out,
                         int64_t kernel, int64_t groups) {
  backends::FloatNode n = node("Conv2d", std::move(name), {std::move(input)});
  n.in_channels = in;
  n.out_channels = out;
  n.kernel_size = {kernel, kernel};
  n.padding = {kernel / 2, kernel / 2};
  n.groups = groups;
  return n;
}

backends::FloatNode linear(std::string name, std::string input, int64_t in, int64_t out) {
  backends::FloatNode n = node("Linear", std::move(name), {std::move(input)});
  n.in_channels = in;
  n.out_channels = out;
  return n;
}

backends::FloatNode batch_norm(std::string op, std::string name, std::string input,
                               int64_t features) {
  backends::FloatNode n = node(std::move(op), std::move(name), {std::move(input)});
  n.in_channels = features;
  return n;
}

backends::FloatGraph graph(std::array<int64_t, 3> chw, std::vector<backends::FloatNode> nodes) {
  backends::FloatGraph g;
  g.name = "test";
  g.input_shape = chw;
  g.nodes = std::move(nodes);
  g.outputs = {g.nodes.back().name};
  return g;
}

Tensor random_tensor(Shape shape, uint64_t seed, float scale) {
  Random random(seed);
  Tensor t(DType::float32, std::move(shape));
  for (float& v : t.values<float>()) {
    // sum of uniforms: close enough to a normal, the same everywhere
    v = scale * (random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1));
  }
  return t;
}

void disturb(Network& network, uint64_t seed) {
  Random random(seed);
  for (auto& [name, tensor] : network.state()) {
    if (tensor.dtype() != DType::float32) continue;
    const bool variance = name.ends_with("running_var");
    Tensor shared = tensor;
    for (float& v : shared.values<float>()) {
      v = variance ? v * random.uniform(0.5f, 2.0f) : v + random.uniform(-0.3f, 0.3f);
    }
  }
}

namespace {

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    worst = std::fmax(worst, std::fabs(double{a.data<float>()[i]} - b.data<float>()[i]));
  }
  return worst;
}

Tensor step(Network& network, const Tensor& x, const Context& context) {
  const Tensor y = network.forward(x, context).real();
  if (context.training) network.backward(random_tensor(y.shape(), 5), context);
  return y;
}

void check_float(const backends::FloatGraph& graph, const std::string& fused_type) {
  const auto& chw = graph.input_shape;
  const Tensor x = random_tensor({3, chw[1], chw[2], chw[0]}, 3);
  Network plain = Network::from_graph(graph, 1);
  disturb(plain, 2);
  Network fused = Network::from_graph(graph, 1);
  disturb(fused, 2);
  fused.fuse(PatternRegistry::standard());
  CHECK(fused.module_types().back() == fused_type);
  CHECK(fused.module_types().size() < plain.module_types().size());
  for (const bool training : {true, false}) {
    for (const auto mode : {BatchNormMode::batch, BatchNormMode::frozen}) {
      CAPTURE(training);
      Context context;
      context.training = training;
      context.batch_norm = mode;
      const Tensor y = step(plain, x, context);
      CHECK(largest_difference(step(fused, x, context), y) < 1e-5);
      if (!training) continue;
      std::vector<Parameter*> expected = plain.parameters();
      std::vector<Parameter*> got = fused.parameters();
      REQUIRE(got.size() == expected.size());
      for (const Parameter* p : expected) {  // fusing may reorder; match by value
        double best = 1e30;
        for (const Parameter* q : got) {
          if (q->grad.shape() == p->grad.shape() && largest_difference(q->value, p->value) < 1e-6) {
            best = std::fmin(best, largest_difference(q->grad, p->grad));
          }
        }
        CAPTURE(p->name);
        CHECK(best < 2e-4);
      }
    }
  }
}

}  // namespace

void check_pattern(const backends::FloatGraph& graph, const std::string& fused_type) {
  check_float(graph, fused_type);
}

void check_quantized(const backends::FloatGraph& graph, const std::string& /*qat_type*/) {
  CHECK(!Network::from_graph(graph, 1).module_types().empty());
}

}  // namespace facsim::fused::test
