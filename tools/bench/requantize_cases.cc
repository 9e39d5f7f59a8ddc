// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/requantize_cases.h"

#include <random>
#include <utility>

#include "sim/requantize/programs.h"

namespace facsim::bench {
namespace {

/// What range analysis proves of a 3x3 layer of 512 channels, and what its accumulators are.
constexpr int64_t kProvedLimit = int64_t{1} << 27;
constexpr int32_t kUsualLimit = 1 << 17;

sim::Arguments layer_arguments(int64_t channels) {
  std::mt19937 random(5);
  sim::Arguments arguments;
  auto& integers = arguments.integers;
  auto& reals = arguments.reals;
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t multiplier = (int64_t{1} << 30) + random() % (1U << 30);
    const int64_t shift = 8 + random() % 4;
    integers["multiplier"].push_back(multiplier);
    integers["shift"].push_back(shift);
    integers["whole_shift"].push_back(31 + shift);
    integers["rest_shift"].push_back(shift - 3);
    integers["small_multiplier"].push_back(multiplier >> 19);  // Q12, 11..12 bits
    integers["offset"].push_back(random() % 64);
    reals["scale"].push_back(static_cast<float>(multiplier) * 0x1p-31F /
                             static_cast<float>(int64_t{1} << shift));
  }
  integers["left_shift"] = {0};
  integers["zero_point"] = {-3};
  integers["clamp_min"] = {-3};
  integers["clamp_max"] = {127};
  reals["zero_point"] = {-3};
  reals["clamp_min"] = {-3};
  reals["clamp_max"] = {127};
  reals["clamp_min_minus_zero_point"] = {0};
  reals["clamp_max_minus_zero_point"] = {130};
  return arguments;
}

sim::Step step(sim::StepKind kind, sim::Operand a, sim::Operand b = {}) {
  return {.kind = kind, .a = std::move(a), .b = std::move(b)};
}
sim::Step rounding_shift(sim::Operand n, sim::Rounding rounding) {
  return {.kind = sim::StepKind::shr, .a = std::move(n), .b = {}, .rounding = rounding};
}
sim::Step saturate(sim::IntType type) {
  return {.kind = sim::StepKind::resize, .a = {}, .b = {}, .type = type};
}

/// A dequantized accumulator with a float32 bias, quantized again by a division.
sim::StepProgram two_scale_steps() {
  using sim::Operand;
  using sim::StepKind;
  return {{step(StepKind::to_f32, {}),
           step(StepKind::fmul, Operand::arg("scale")),
           step(StepKind::fadd, Operand::constant_f32(0.7F)),
           step(StepKind::fdiv, Operand::constant_f32(0.9F)),
           step(StepKind::fclamp, Operand::arg("clamp_min_minus_zero_point"),
                Operand::arg("clamp_max_minus_zero_point")),
           {.kind = StepKind::round, .a = {}, .b = {}},
           step(StepKind::add, Operand::arg("zero_point")),
           saturate(sim::kInt8)},
          false};
}

/// A narrow multiplier behind a 17-bit register and two rounding shifts.
sim::StepProgram narrow_steps() {
  using sim::Operand;
  using sim::StepKind;
  return {{step(StepKind::clamp, Operand::constant(0), Operand::constant(INT32_MAX)),
           saturate({17, true}), step(StepKind::mul, Operand::arg("small_multiplier")),
           rounding_shift(Operand::constant(12), sim::Rounding::half_up),
           rounding_shift(Operand::arg("rest_shift"), sim::Rounding::half_away_from_zero),
           step(StepKind::add, Operand::arg("zero_point")), saturate(sim::kInt8),
           step(StepKind::clamp, Operand::arg("clamp_min"), Operand::arg("clamp_max"))},
          false};
}

/// 64-bit products, a division and a bias behind it.
sim::StepProgram wide_steps() {
  using sim::Operand;
  using sim::StepKind;
  return {
      {step(StepKind::sub, Operand::arg("offset")), step(StepKind::mul, Operand::arg("multiplier")),
       rounding_shift(Operand::arg("whole_shift"), sim::Rounding::half_even), saturate({20, true}),
       step(StepKind::add, Operand::arg("offset")), step(StepKind::add, Operand::arg("zero_point")),
       saturate(sim::kInt8),
       step(StepKind::clamp, Operand::arg("clamp_min"), Operand::arg("clamp_max"))},
      false};
}

}  // namespace

std::vector<RequantizeCase> requantize_cases() {
  using sim::kInt8;
  using sim::Rounding;
  namespace programs = sim::programs;
  const sim::Arguments layer = layer_arguments(kRequantizeChannels);
  sim::Arguments whole = layer;
  whole.integers["shift"] = layer.integers.at("whole_shift");

  std::mt19937 random(3);
  std::vector<int32_t> acc(static_cast<size_t>(kRequantizeRows * kRequantizeChannels));
  for (int32_t& v : acc) v = static_cast<int32_t>(random() % (2 * kUsualLimit)) - kUsualLimit;

  std::vector<RequantizeCase> cases;
  const auto add = [&](std::string name, sim::StepProgram program, const sim::Arguments& arguments,
                       sim::IntType output) {
    sim::Requantizer norm(std::move(program), arguments, output);
    sim::RequantizeKernel kernel(norm, -kProvedLimit, kProvedLimit);
    cases.push_back({std::move(name), std::move(norm), std::move(kernel), acc});
  };
  const auto half_even = [](auto make) {
    return make(kInt8, Rounding::half_even, programs::FloatBias::none,
                programs::FloatScale::multiply);
  };
  add("double", programs::fixed_point_double(kInt8), layer, kInt8);
  add("single", programs::fixed_point_single(kInt8), whole, kInt8);
  add("float_after", half_even(programs::float_zero_point_after), layer, kInt8);
  add("float_before", half_even(programs::float_zero_point_before), layer, kInt8);
  add("float_away",
      programs::float_zero_point_after(kInt8, Rounding::half_away_from_zero,
                                       programs::FloatBias::none, programs::FloatScale::multiply),
      layer, kInt8);
  add("float_two_scales", two_scale_steps(), layer, kInt8);
  add("shift_half_up", programs::rounding_shift(kInt8, Rounding::half_up), layer, kInt8);
  add("shift_half_even", programs::rounding_shift(kInt8, Rounding::half_even), layer, kInt8);
  add("block_narrow", narrow_steps(), layer, kInt8);
  add("block_wide", wide_steps(), layer, kInt8);
  return cases;
}

}  // namespace facsim::bench
