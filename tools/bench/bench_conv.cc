// SPDX-License-Identifier: Apache-2.0
// Convolution layers, batch 1, one thread: multiply-accumulates per second of the whole op (with
// TFLite's double rounding and with a float32 scale), of the accumulators alone, and of an ordered
// accumulator. The machine may be busy: compare minima over repetitions
// (--benchmark_repetitions=20 --benchmark_report_aggregates_only=false).
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "sim/ops/conv2d.h"
#include "sim/requantize/programs.h"

namespace facsim::sim {
namespace {

struct Layer {
  const char* name;
  int64_t batch, extent, ic, oc, kernel, stride, groups;
};

constexpr Layer kLayers[] = {
    {"3x3_64_56", 1, 56, 64, 64, 3, 1, 1},
    {"3x3_128_28", 1, 28, 128, 128, 3, 1, 1},
    {"3x3_256_14", 1, 14, 256, 256, 3, 1, 1},
    {"3x3_512_7", 1, 7, 512, 512, 3, 1, 1},
    {"1x1_256to64_56", 1, 56, 256, 64, 1, 1, 1},
    {"1x1_64to256_56", 1, 56, 64, 256, 1, 1, 1},
    {"depthwise3x3_128_56", 1, 56, 128, 128, 3, 1, 128},
    {"stem7x7_3to64_224", 1, 224, 3, 64, 7, 2, 1},
    {"linear_2048to1000", 1, 1, 2048, 1000, 1, 1, 1},
    {"linear_2048to1000_batch64", 64, 1, 2048, 1000, 1, 1, 1},
};

enum class Scheme { fixed_point_double, float_scale, accumulators, ordered };
constexpr Scheme kSchemes[] = {Scheme::fixed_point_double, Scheme::float_scale,
                               Scheme::accumulators, Scheme::ordered};

const char* name_of(Scheme scheme) {
  switch (scheme) {
    case Scheme::fixed_point_double:
      return "double_rounding";
    case Scheme::float_scale:
      return "float_scale";
    case Scheme::accumulators:
      return "accumulators";
    case Scheme::ordered:
      return "saturating_20_bits";
  }
  return "";
}

Tensor random_codes(const Shape& shape, std::mt19937& random) {
  Tensor codes(DType::int8, shape);
  for (int8_t& code : codes.values<int8_t>()) code = static_cast<int8_t>(random() % 256 - 128);
  return codes;
}

Requantizer requantizer(Scheme scheme, int64_t oc) {
  Arguments arguments;
  std::mt19937 random(7);
  const size_t channels = static_cast<size_t>(oc);
  if (scheme == Scheme::float_scale) {
    arguments.reals["scale"].resize(channels);
    for (float& scale : arguments.reals["scale"]) {
      scale = 1e-4f * static_cast<float>(1 + random() % 100);
    }
    arguments.reals["clamp_min_minus_zero_point"] = {-125.0f};
    arguments.reals["clamp_max_minus_zero_point"] = {130.0f};
    arguments.integers["zero_point"] = {-3};
    return Requantizer(
        programs::float_zero_point_after(kInt8, Rounding::half_even, programs::FloatBias::none,
                                         programs::FloatScale::multiply),
        arguments, kInt8);
  }
  for (size_t c = 0; c < channels; ++c) {
    arguments.integers["multiplier"].push_back((int64_t{1} << 30) + random() % (1u << 30));
    arguments.integers["shift"].push_back(6 + random() % 4);
  }
  arguments.integers["left_shift"] = {0};
  arguments.integers["zero_point"] = {-3};
  arguments.integers["clamp_min"] = {-128};
  arguments.integers["clamp_max"] = {127};
  return Requantizer(programs::fixed_point_double(kInt8), arguments, kInt8);
}

void run_layer(benchmark::State& state, const Layer& layer, Scheme scheme) {
  std::mt19937 random(1);
  Conv2dParams p;
  const int64_t pad = layer.kernel / 2;
  p.window = {
      {layer.kernel, layer.kernel}, {layer.stride, layer.stride}, {1, 1}, {pad, pad, pad, pad}};
  p.groups = layer.groups;
  p.input_zero_point = p.padding_value = -5;
  p.weights = random_codes({layer.oc, layer.kernel, layer.kernel, layer.ic / layer.groups}, random);
  p.bias = Tensor(DType::int32, {layer.oc});
  p.requantize = requantizer(scheme, layer.oc);
  if (scheme == Scheme::ordered) {
    p.accumulator = {20, Overflow::saturate, Accumulator::Order::sequential,
                     Accumulator::Init::bias};
  }
  const Tensor input = random_codes({layer.batch, layer.extent, layer.extent, layer.ic}, random);
  const Conv2d conv(p);
  const Tensor* const inputs[] = {&input};
  const Shape shapes[] = {input.shape()};
  const RunContext context{Isa::best, nullptr, false};
  Tensor output(scheme == Scheme::accumulators ? DType::int32 : DType::int8,
                conv.output_shape(shapes));
  for (auto _ : state) {
    if (scheme == Scheme::accumulators) {
      conv2d_accumulate(p, input, output, context);
    } else {
      conv.run(inputs, output, context);
    }
    benchmark::ClobberMemory();
  }
  state.counters["MAC/s"] = benchmark::Counter(static_cast<double>(conv.macs(shapes) * layer.batch),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace
}  // namespace facsim::sim

int main(int argc, char** argv) {
  using namespace facsim::sim;
  for (const Layer& layer : kLayers) {
    for (const Scheme scheme : kSchemes) {
      benchmark::RegisterBenchmark(
          (std::string(layer.name) + "/" + name_of(scheme)).c_str(),
          [&layer, scheme](benchmark::State& state) { run_layer(state, layer, scheme); })
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
