// SPDX-License-Identifier: Apache-2.0
#include "tests/fused/pattern_tester.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/lower.h"
#include "fused/patterns/pattern_registry.h"
#include "sim/graph/executor.h"

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

backends::FloatNode conv_transpose(std::string name, std::string input, int64_t in, int64_t out,
                                   int64_t stride) {
  backends::FloatNode n = conv(std::move(name), std::move(input), in, out, 3, 2);
  n.op = "ConvTranspose2d";
  n.stride = {stride, stride};
  n.output_padding = {stride - 1, stride - 1};
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

const std::vector<std::string>& profile_names() {
  static const std::vector<std::string> names = {"tflite-micro", "tflite-single-rounding",
                                                 "xnnpack-x86",  "onnxruntime-cpu",
                                                 "tensorrt",     "vitis-ai",
                                                 "example-chip"};
  return names;
}

const std::vector<std::string>& transposing_profiles() {
  static const std::vector<std::string> names = {"tflite-micro", "tflite-single-rounding",
                                                 "xnnpack-x86", "cmsis-nn"};
  return names;
}

backends::Profile profile(std::string_view name) {
  return backends::load_profile(
      name, backends::ProfileSearch{{std::string(FACSIM_SOURCE_DIR) + "/configs/profiles"}});
}

void check_deployed(Network& network, const backends::Profile& profile, const Tensor& x) {
  Context eval;
  network.forward(x, eval);
  const auto values = network.values();
  const backends::IntGraph graph = network.convert();
  const sim::Executor executor(backends::lower(graph, profile), {.isa = sim::Isa::scalar,
                                                                 .threads = 1,
                                                                 .trace = true,
                                                                 .count_events = false,
                                                                 .progress = {}});
  const quant::QParams& input = *graph.tensors[static_cast<size_t>(graph.inputs[0])].qparams;
  const auto run = executor.run({quant::quantize(x, input, profile.rules("quantize").activation)});
  for (const auto& [name, value] : values) {
    CAPTURE(name);
    bool found = false;
    for (size_t t = 0; t < executor.graph().tensors.size(); ++t) {
      if (executor.graph().tensors[t].name != name) continue;
      found = true;
      const Tensor& deployed = run.tensors[t];
      REQUIRE(deployed.shape() == value.codes().shape());
      for (int64_t i = 0; i < deployed.numel(); ++i) {
        REQUIRE(deployed.int_at(i) == value.codes().int_at(i));
      }
    }
    CHECK(found);
  }
}

void check_quantized(const backends::FloatGraph& graph, const std::string& qat_type) {
  check_quantized(graph, qat_type, profile_names());
}

void check_quantized(const backends::FloatGraph& graph, const std::string& qat_type,
                     const std::vector<std::string>& profiles) {
  const auto& chw = graph.input_shape;
  const Tensor x = random_tensor({3, chw[1], chw[2], chw[0]}, 3);
  for (const std::string& name : profiles) {
    CAPTURE(name);
    const backends::Profile rules = profile(name);
    Network network = Network::from_graph(graph, 1);
    disturb(network, 2);
    const PatternRegistry patterns = PatternRegistry::standard();
    network.fuse(patterns);
    network.prepare_qat(rules, patterns);
    const auto types = network.module_types();
    CHECK(std::find(types.begin(), types.end(), qat_type) != types.end());
    Context calibrate;
    calibrate.observe = true;
    network.forward(x, calibrate);
    check_deployed(network, rules, x);
    // A training step moves the statistics, gives finite gradients, and the result still deploys.
    const auto before = network.state();
    std::vector<Tensor> old;
    for (const auto& entry : before) old.push_back(entry.second.clone());
    Context training;
    training.training = true;
    training.observe = true;
    const Tensor y = network.forward(x, training).real();
    network.backward(random_tensor(y.shape(), 5), training);
    for (size_t i = 0; i < before.size(); ++i) {
      if (!before[i].first.ends_with("running_mean")) continue;
      CAPTURE(before[i].first);
      CHECK(largest_difference(before[i].second, old[i]) > 0);
    }
    for (Parameter* p : network.parameters()) {
      double norm = 0;
      for (int64_t i = 0; i < p->grad.numel(); ++i) {
        REQUIRE(std::isfinite(p->grad.data<float>()[i]));
        norm += std::fabs(p->grad.data<float>()[i]);
        p->value.data<float>()[i] -= 0.01f * p->grad.data<float>()[i];
      }
      CAPTURE(p->name);
      if (!p->name.ends_with("bias")) CHECK(norm > 0);
    }
    check_deployed(network, rules, x);
  }
}

void check_pattern(const backends::FloatGraph& graph, const std::string& fused_type) {
  check_pattern(graph, fused_type, profile_names());
}

void check_pattern(const backends::FloatGraph& graph, const std::string& fused_type,
                   const std::vector<std::string>& profiles) {
  check_float(graph, fused_type);
  check_quantized(graph, "nniqat" + fused_type.substr(3), profiles);
}

}  // namespace facsim::fused::test
