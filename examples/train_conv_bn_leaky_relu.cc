// SPDX-License-Identifier: Apache-2.0
// Trains a small network with the pattern of conv_bn_leaky_relu.cc through tflite-micro's integers
// for a few steps, deploys it, and compares every code. Exit code 1 if one differs.
#include <cstdio>
#include <exception>

#include "backends/lower/lower.h"
#include "examples/conv_bn_leaky_relu.h"
#include "fused/network.h"
#include "sim/graph/executor.h"

using namespace facsim;

namespace {

backends::FloatGraph small_network() {
  backends::FloatNode conv, norm, leaky, pool, flatten, linear;
  conv.name = "conv", conv.op = "Conv2d", conv.inputs = {"input"};
  conv.in_channels = 1, conv.out_channels = 8, conv.kernel_size = {3, 3}, conv.padding = {1, 1};
  norm.name = "norm", norm.op = "BatchNorm2d", norm.inputs = {"conv"}, norm.in_channels = 8;
  leaky.name = "leaky", leaky.op = "LeakyReLU", leaky.inputs = {"norm"},
  leaky.negative_slope = 0.1f;
  pool.name = "pool", pool.op = "AdaptiveAvgPool2d", pool.inputs = {"leaky"};
  flatten.name = "flatten", flatten.op = "Flatten", flatten.inputs = {"pool"};
  linear.name = "linear", linear.op = "Linear", linear.inputs = {"flatten"};
  linear.in_channels = 8, linear.out_channels = 2;
  backends::FloatGraph graph;
  graph.name = "small";
  graph.input_shape = {1, 8, 8};
  graph.nodes = {conv, norm, leaky, pool, flatten, linear};
  return graph;
}

/// Images whose left half is bright (class 0) or dark (class 1).
Tensor images(int64_t count) {
  fused::Random random(7);
  Tensor x(DType::float32, {count, 8, 8, 1});
  for (int64_t i = 0; i < x.numel(); ++i) {
    const bool left = i % 8 < 4, first_class = i / 64 % 2 == 0;
    x.data<float>()[i] = (left == first_class ? 1.0f : -1.0f) + random.uniform(-0.5f, 0.5f);
  }
  return x;
}

/// Gradient of the mean squared distance to +1 / -1 targets; returns the loss.
float loss(const Tensor& y, Tensor& dy) {
  float total = 0;
  for (int64_t i = 0; i < y.numel(); ++i) {
    const float target = (i % 2 == 0) == (i / 2 % 2 == 0) ? 1.0f : -1.0f;
    const float difference = y.data<float>()[i] - target;
    dy.data<float>()[i] = 2 * difference / static_cast<float>(y.numel());
    total += difference * difference / static_cast<float>(y.numel());
  }
  return total;
}

int run() {
  fused::PatternRegistry patterns = fused::PatternRegistry::standard();
  add_conv_bn_leaky_relu(patterns);
  const backends::Profile profile =
      backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
  fused::Network network = fused::Network::from_graph(small_network(), /*seed=*/1);
  network.fuse(patterns);
  network.prepare_qat(profile, patterns);
  std::printf("first module: %s\n", network.module_types().front().c_str());

  const Tensor x = images(16);
  fused::Context training;
  training.training = training.observe = true;
  float first = 0, last = 0;
  for (int step = 0; step < 20; ++step) {
    const Tensor y = network.forward(x, training).real();
    Tensor dy(DType::float32, y.shape());
    last = loss(y, dy);
    if (step == 0) first = last;
    network.backward(dy, training);
    for (fused::Parameter* p : network.parameters()) {
      for (int64_t i = 0; i < p->value.numel(); ++i) {
        p->value.data<float>()[i] -= 0.1f * p->grad.data<float>()[i];
      }
    }
  }
  std::printf("loss %.4f -> %.4f\n", static_cast<double>(first), static_cast<double>(last));

  const fused::Value eval = network.forward(x, {});
  const backends::IntGraph deployed = network.convert();
  sim::ExecutorOptions norm;
  norm.isa = sim::Isa::scalar;  // no fast kernel takes part
  const sim::Executor device(backends::lower(deployed, profile), norm);
  const quant::QParams& input = *deployed.tensors[0].qparams;
  const Tensor codes = quant::quantize(x, input, profile.rules("quantize").activation);
  const Tensor result = device.run({codes}).outputs[0];
  int64_t mismatches = 0;
  for (int64_t i = 0; i < result.numel(); ++i) {
    mismatches += result.int_at(i) == eval.codes().int_at(i) ? 0 : 1;
  }
  std::printf("%lld of %lld outputs differ from the deployed network\n",
              static_cast<long long>(mismatches), static_cast<long long>(result.numel()));
  return mismatches == 0 && last < first ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
