// SPDX-License-Identifier: Apache-2.0
// Whole 8-bit operand spaces of add and mul through the ops, the norm and every target, against
// formulas in 64-bit integers.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "sim/ops/add.h"
#include "sim/ops/mul.h"
#include "sim/requantize/programs.h"
#include "tests/sim/ops/op_tester.h"
#include "tests/sim/ops/tflite_oracle.h"

namespace facsim::sim::test {
namespace {

constexpr int kLayers = 6;

/// All 65536 pairs.
struct Pairs {
  Tensor lhs{DType::int8, {256, 256}}, rhs{DType::int8, {256, 256}};
  Pairs() {
    for (int64_t i = 0; i < lhs.numel(); ++i) {
      lhs.set_int(i, i / 256 - 128);
      rhs.set_int(i, i % 256 - 128);
    }
  }
};

/// Pairs for which the op differs from the formula, or a target from the norm.
template <class Formula>
int64_t different_pairs(const Op& op, Formula&& formula) {
  const Pairs pairs;
  const Tensor norm = run(op, {&pairs.lhs, &pairs.rhs}, {Isa::scalar, nullptr, false});
  int64_t different = 0;
  for (int64_t i = 0; i < norm.numel(); ++i) {
    different += norm.int_at(i) == formula(pairs.lhs.int_at(i), pairs.rhs.int_at(i)) ? 0 : 1;
  }
  for (const Isa isa : available_isas()) {
    const Tensor fast = run(op, {&pairs.lhs, &pairs.rhs}, {isa, nullptr, false});
    for (int64_t i = 0; i < norm.numel(); ++i) {
      different += fast.int_at(i) == norm.int_at(i) ? 0 : 1;
    }
  }
  return different;
}

Step step(StepKind kind, int64_t a, Rounding rounding = Rounding::half_even) {
  return {.kind = kind, .a = Operand::constant(a), .b = {}, .rounding = rounding};
}

/// TFLite's scaled operand: (code - zero_point) << 20, double rounding.
Requantizer scaled_operand(int64_t zero_point, int64_t multiplier, int shift) {
  return Requantizer({{step(StepKind::sub, zero_point), step(StepKind::shl, 20),
                       step(StepKind::mul, multiplier), step(StepKind::shr, 31, Rounding::half_up),
                       step(StepKind::shr, shift, Rounding::half_away_from_zero)},
                      false},
                     {}, kInt32);
}

Requantizer double_rounded(const TfliteAdd& f) {
  Arguments arguments;
  arguments.integers = {{"left_shift", {0}},          {"multiplier", {f.output_multiplier}},
                        {"shift", {f.output_shift}},  {"zero_point", {f.output_zero_point}},
                        {"clamp_min", {f.clamp_min}}, {"clamp_max", {f.clamp_max}}};
  return Requantizer(programs::fixed_point_double(kInt8), arguments, kInt8);
}

/// Layers at random and, first, one whose zero points lie at the ends.
TfliteAdd layer(int number) {
  std::mt19937 random(static_cast<uint32_t>(number));
  const auto draw = [&](int64_t min, int64_t max) {
    return std::uniform_int_distribution<int64_t>(min, max)(random);
  };
  const auto multiplier = [&] { return draw(int64_t{1} << 30, INT32_MAX); };
  const auto zero_point = [&] { return number == 0 ? -128 : draw(-128, 127); };
  TfliteAdd f{};
  f.lhs_zero_point = zero_point();
  f.rhs_zero_point = number == 0 ? 127 : zero_point();
  f.output_zero_point = zero_point();
  f.lhs_multiplier = multiplier();
  f.rhs_multiplier = multiplier();
  f.output_multiplier = multiplier();
  f.lhs_shift = static_cast<int>(draw(0, 3));
  f.rhs_shift = static_cast<int>(draw(0, 3));
  f.output_shift = static_cast<int>(draw(17, 20));
  f.clamp_min = number % 2 == 0 ? -128 : f.output_zero_point;
  f.clamp_max = 127;
  return f;
}

TEST_CASE("exhaustive: add of all int8 pairs under random TFLite layers") {
  for (int number = 0; number < kLayers; ++number) {
    CAPTURE(number);
    const TfliteAdd f = layer(number);
    AddParams params;
    params.lhs = scaled_operand(f.lhs_zero_point, f.lhs_multiplier, f.lhs_shift);
    params.rhs = scaled_operand(f.rhs_zero_point, f.rhs_multiplier, f.rhs_shift);
    params.output = double_rounded(f);
    CHECK(different_pairs(Add(params), f) == 0);
  }
}

TEST_CASE("exhaustive: mul of all int8 pairs under random TFLite layers") {
  for (int number = 0; number < kLayers; ++number) {
    CAPTURE(number);
    TfliteAdd f = layer(number);
    f.output_shift = number % 8;
    MulParams params;
    params.lhs_zero_point = f.lhs_zero_point;
    params.rhs_zero_point = f.rhs_zero_point;
    params.requantize = double_rounded(f);
    const auto formula = [&](int64_t a, int64_t b) {
      const int64_t product = (a - f.lhs_zero_point) * (b - f.rhs_zero_point);
      const int64_t scaled =
          divide_by_power_of_two(high_mul(product, f.output_multiplier), f.output_shift);
      return std::clamp(scaled + f.output_zero_point, f.clamp_min, f.clamp_max);
    };
    CHECK(different_pairs(Mul(params), formula) == 0);
  }
}

}  // namespace
}  // namespace facsim::sim::test
