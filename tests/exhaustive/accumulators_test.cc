// SPDX-License-Identifier: Apache-2.0
// All 2^32 accumulators of sampled layers (or the 2^31 that a shorter form takes): the fused
// kernels of the widest target against formulas in plain int64 or float32.
//
// FACSIM_EXHAUSTIVE_SEED names the sample (a commit's hash in CI, so that every commit draws other
// layers); FACSIM_EXHAUSTIVE_SECONDS is how long new layers are started. The first layer of each
// form always runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sim/kernels/requantize.h"
#include "sim/requantize/programs.h"
#include "tests/oracle/requantize.h"

namespace facsim::sim {
namespace {

constexpr int64_t kAllLimit = int64_t{1} << 31;    ///< accumulators from -2^31 to 2^31 - 1
constexpr int64_t kShortLimit = int64_t{1} << 30;  ///< where double rounding has a shorter form
constexpr int64_t kBlock = int64_t{1} << 14;
constexpr const char* kDefaultSeed = "facsim";

std::string environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == 0 ? otherwise : value;
}

std::mt19937_64 seeded_random() {
  const std::string seed = environment("FACSIM_EXHAUSTIVE_SEED", kDefaultSeed);
  std::seed_seq sequence(seed.begin(), seed.end());
  return std::mt19937_64(sequence);
}

struct Layer {
  int64_t multiplier;
  int shift;  ///< double: beyond the implicit 31; single: the whole right shift
  float scale;
  int64_t zero_point;
  IntType output;
  int64_t limit;
};

Layer draw_layer(std::mt19937_64& random, IntType output, int64_t limit) {
  const auto draw = [&](int64_t min, int64_t max) {
    return min + static_cast<int64_t>(random() % static_cast<uint64_t>(max - min + 1));
  };
  Layer layer{};
  layer.multiplier = draw(int64_t{1} << 30, INT32_MAX);
  layer.shift = static_cast<int>(draw(1, 20));
  layer.scale = static_cast<float>(layer.multiplier) * std::ldexp(1.0F, -31 - layer.shift);
  layer.zero_point = draw(-128, 127);
  layer.output = output;
  layer.limit = limit;
  return layer;
}

Requantizer requantizer(StepProgram program, const Layer& layer, int64_t shift) {
  const int64_t low = layer.output.min(), high = layer.output.max();
  Arguments a;
  a.integers = {{"left_shift", {0}},  {"multiplier", {layer.multiplier}},
                {"shift", {shift}},   {"zero_point", {layer.zero_point}},
                {"clamp_min", {low}}, {"clamp_max", {high}}};
  a.reals = {{"scale", {layer.scale}},
             {"clamp_min_minus_zero_point", {static_cast<float>(low - layer.zero_point)}},
             {"clamp_max_minus_zero_point", {static_cast<float>(high - layer.zero_point)}}};
  return Requantizer(std::move(program), a, layer.output);
}

struct Sweep {
  std::string form;
  int64_t different = 0;
  int64_t first = 0;
};

/// `formula(acc)` for every accumulator of the limit, against the kernel, on all cores.
template <class Code, class Formula>
Sweep sweep_codes(const Requantizer& norm, int64_t limit, Formula formula) {
  const RequantizeKernel kernel(norm, -limit, limit - 1);
  std::atomic<int64_t> next = -limit, different = 0, first = 0;
  const auto work = [&] {
    std::vector<int32_t> acc(kBlock);
    std::vector<Code> got(kBlock), expected(kBlock);
    for (int64_t at = next.fetch_add(kBlock); at < limit; at = next.fetch_add(kBlock)) {
      for (int64_t i = 0; i < kBlock; ++i) {
        acc[static_cast<size_t>(i)] = static_cast<int32_t>(at + i);
      }
      kernel.run(acc.data(), kBlock, 1, 0, kBlock, got.data(), kBlock, Isa::best, false);
      for (size_t i = 0; i < kBlock; ++i) expected[i] = static_cast<Code>(formula(acc[i]));
      if (got == expected) continue;
      for (size_t i = 0; i < kBlock; ++i) {
        if (got[i] == expected[i]) continue;
        if (different++ == 0) first = acc[i];
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return {std::string(kernel.form()), different, first};
}

template <class Formula>
Sweep sweep(const Requantizer& norm, const Layer& layer, Formula formula) {
  return layer.output == kInt8 ? sweep_codes<int8_t>(norm, layer.limit, formula)
                               : sweep_codes<int16_t>(norm, layer.limit, formula);
}

oracle::OutputStage output_of(const Layer& layer) {
  return {layer.zero_point, layer.output.min(), layer.output.max()};
}

Sweep sweep_double(const Layer& layer) {
  const auto multiplier = static_cast<int32_t>(layer.multiplier);
  const oracle::OutputStage output = output_of(layer);
  return sweep(requantizer(programs::fixed_point_double(layer.output), layer, layer.shift), layer,
               [=, shift = layer.shift](int32_t acc) {
                 return output(oracle::tflite_double(acc, multiplier, 0, shift));
               });
}

Sweep sweep_single(const Layer& layer) {
  const oracle::OutputStage output = output_of(layer);
  return sweep(requantizer(programs::fixed_point_single(layer.output), layer, layer.shift + 31),
               layer, [=, multiplier = layer.multiplier, shift = layer.shift + 31](int32_t acc) {
                 return output(oracle::tflite_single(acc, multiplier, shift));
               });
}

Sweep sweep_float(const Layer& layer) {
  const oracle::OutputStage output = output_of(layer);
  return sweep(requantizer(programs::float_zero_point_after(layer.output, Rounding::half_even,
                                                            programs::FloatBias::none,
                                                            programs::FloatScale::multiply),
                           layer, 0),
               layer, [=, scale = layer.scale](int32_t acc) {
                 return oracle::float_zero_point_after(acc, scale, output);
               });
}

TEST_CASE("exhaustive: all 2^32 accumulators of sampled layers, fused kernels against formulas") {
  using Clock = std::chrono::steady_clock;
  const double limit = std::stod(environment("FACSIM_EXHAUSTIVE_SECONDS", "20"));
  std::mt19937_64 random = seeded_random();
  const Clock::time_point start = Clock::now();
  struct Form {
    const char* name;
    Sweep (*run)(const Layer&);
    IntType output;
    int64_t limit;
  };
  const Form forms[] = {{"fixed_double", sweep_double, kInt16, kAllLimit},
                        {"fixed_double", sweep_double, kInt16, kShortLimit},
                        {"fixed_single", sweep_single, kInt16, kAllLimit},
                        {"float_half_even", sweep_float, kInt16, kAllLimit},
                        {"float_half_even", sweep_float, kInt8, kAllLimit}};
  int layers = 0;
  do {
    for (const Form& form : forms) {
      const Layer layer = draw_layer(random, form.output, form.limit);
      INFO(std::string(form.name));
      CAPTURE(layer.multiplier);
      CAPTURE(layer.shift);
      CAPTURE(layer.zero_point);
      const Sweep result = form.run(layer);
      CAPTURE(result.first);
      CHECK(result.different == 0);
      CHECK(result.form == form.name);
      ++layers;
    }
  } while (std::chrono::duration<double>(Clock::now() - start).count() < limit);
  std::printf("%d layers of 2^31 or 2^32 accumulators, seed \"%s\", %.0f s\n", layers,
              environment("FACSIM_EXHAUSTIVE_SEED", kDefaultSeed).c_str(),
              std::chrono::duration<double>(Clock::now() - start).count());
}

TEST_CASE("exhaustive: every float32 from 2^-3 to 2^16, half away from zero") {
  // Every 24-bit mantissa, times every power of two.
  for (int exponent = 8; exponent <= 26; ++exponent) {
    CAPTURE(exponent);
    const float scale = std::ldexp(1.0F, -exponent);
    const Layer layer{1, 1, scale, 0, kInt16, int64_t{1} << 24};
    const Sweep result =
        sweep(requantizer(programs::float_zero_point_after(kInt16, Rounding::half_away_from_zero,
                                                           programs::FloatBias::none,
                                                           programs::FloatScale::multiply),
                          layer, 0),
              layer, [=](int32_t acc) {
                const float rounded = std::round(static_cast<float>(acc) * scale);
                return std::clamp(static_cast<int32_t>(rounded), INT16_MIN, INT16_MAX);
              });
    CAPTURE(result.first);
    CHECK(result.different == 0);
    CHECK(result.form == "float_half_away");
  }
}

TEST_CASE("exhaustive: a sweep notices another rounding") {
  const Layer layer{int64_t{1} << 30, 1, 0.25F, 0, kInt16, 1 << 20};
  const Sweep result = sweep(
      requantizer(programs::fixed_point_single(kInt16), layer, 32), layer,
      [](int32_t acc) { return std::clamp(acc / 4, int32_t{INT16_MIN}, int32_t{INT16_MAX}); });
  CHECK(result.different > 0);
}

}  // namespace
}  // namespace facsim::sim
