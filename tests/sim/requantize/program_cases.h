// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "sim/requantize/programs.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim {

/// One program with arguments for `channels` channels, for the tests that run every program.
struct ProgramCase {
  std::string name;
  StepProgram program;
  Arguments arguments;
  IntType output;
};

/// Random arguments of the kind real layers have, with the ends of each range in the first
/// channels: shifts 1 and 31, zero points at both ends of the output, multipliers 2^30 and 2^31
/// - 1.
inline Arguments layer_arguments(IntType output, int64_t channels, uint32_t seed) {
  std::mt19937 random(seed);
  const auto draw = [&](int64_t min, int64_t max) {
    return std::uniform_int_distribution<int64_t>(min, max)(random);
  };
  Arguments a;
  auto& i = a.integers;
  auto& r = a.reals;
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t multiplier = c == 0   ? int64_t{1} << 30
                               : c == 1 ? INT32_MAX
                                        : draw(int64_t{1} << 30, INT32_MAX);
    const int64_t right = c == 0 ? 1 : c == 1 ? 31 : draw(1, 18);
    const int64_t zero_point = c == 0   ? output.min()
                               : c == 1 ? output.max()
                                        : draw(output.min(), output.max());
    // The first channels show every code: their ties must not hide behind a clamp or a left shift.
    const int64_t low = c < 2 || c % 3 == 0 ? output.min() : zero_point;
    const int64_t high = c < 2 || c % 4 == 0 ? output.max() : draw(low, output.max());
    i["multiplier"].push_back(multiplier);
    i["shift"].push_back(right);
    i["whole_shift"].push_back(right + 31);
    i["left_shift"].push_back(c > 0 && c % 5 == 0 ? draw(0, 7) : 0);
    i["zero_point"].push_back(zero_point);
    i["clamp_min"].push_back(low);
    i["clamp_max"].push_back(high);
    i["offset"].push_back(draw(-1000, 1000));
    i["zero_point_scaled"].push_back(draw(-100000, 100000));
    i["small_multiplier"].push_back(draw(1, 32767));
    r["scale"].push_back(c == 0 ? 0.5F : static_cast<float>(draw(1, 1 << 20)) * 0x1p-26F);
    r["bias"].push_back(static_cast<float>(draw(-1000000, 1000000)) / 64);
    r["zero_point"].push_back(static_cast<float>(zero_point));
    r["clamp_min"].push_back(static_cast<float>(low));
    r["clamp_max"].push_back(static_cast<float>(high));
    r["clamp_min_minus_zero_point"].push_back(static_cast<float>(low - zero_point));
    r["clamp_max_minus_zero_point"].push_back(static_cast<float>(high - zero_point));
  }
  return a;
}

/// Gives `name` the values of `from`.
inline Arguments with(Arguments a, const char* name, const char* from) {
  a.integers[name] = a.integers.at(from);
  return a;
}

/// Every builder of programs.h, for int8, uint8, int16 and int4 outputs.
inline std::vector<ProgramCase> program_cases(int64_t channels) {
  std::vector<ProgramCase> cases;
  uint32_t seed = 1;
  for (const IntType output : {kInt8, kUint8, kInt16, IntType{4, true}}) {
    const Arguments a = layer_arguments(output, channels, seed++);
    const Arguments whole = with(a, "shift", "whole_shift");
    const Arguments small = with(a, "multiplier", "small_multiplier");
    const auto add = [&](std::string name, StepProgram program, const Arguments& arguments) {
      cases.push_back({name + " " + to_string(output), std::move(program), arguments, output});
    };
    add("fixed_point_double", programs::fixed_point_double(output), a);
    add("fixed_point_double_saturating", programs::fixed_point_double_saturating(output), a);
    add("fixed_point_single", programs::fixed_point_single(output), whole);
    add("fixed_point_int64_narrowing", programs::fixed_point_int64_narrowing(output), small);
    add("offset_multiply_shift", programs::offset_multiply_shift(output), small);
    add("fixed_point_16", programs::fixed_point_16(output), small);
    StepProgram fused = programs::float_zero_point_after(
        output, Rounding::toward_zero, programs::FloatBias::none, programs::FloatScale::multiply);
    fused.steps[1].b = Operand::arg("bias");         // fmul: one rounding with the addition
    fused.steps[3].a = Operand::constant_f32(0.5F);  // round: of v + copysign(0.5, v)
    add("float_fused_add_half", fused, a);
    add("offset_convert", programs::offset_convert(output, IntType{17, true}), small);
    for (Rounding mode : all_roundings()) {
      const std::string word = " " + std::string(to_string(mode));
      add("fixed_point_rounded" + word, programs::fixed_point_rounded(output, mode), whole);
      add("rounding_shift" + word, programs::rounding_shift(output, mode), a);
      add("float64_zero_point_before" + word, programs::float64_zero_point_before(output, mode), a);
      for (programs::FloatBias bias : {programs::FloatBias::none, programs::FloatBias::before_scale,
                                       programs::FloatBias::after_scale}) {
        for (programs::FloatScale scale :
             {programs::FloatScale::multiply, programs::FloatScale::divide}) {
          const std::string kind = word + " bias " + std::to_string(static_cast<int>(bias)) +
                                   " scale " + std::to_string(static_cast<int>(scale));
          add("float_zero_point_after" + kind,
              programs::float_zero_point_after(output, mode, bias, scale), a);
          add("float_zero_point_before" + kind,
              programs::float_zero_point_before(output, mode, bias, scale), a);
        }
      }
    }
  }
  return cases;
}

/// Accumulators that decide: around 0, around every power of two and its halves, the ends of the
/// range, then random ones of every magnitude.
inline std::vector<int32_t> directed_accumulators(int64_t limit, size_t random_count,
                                                  uint32_t seed) {
  std::vector<int32_t> out;
  const auto add = [&](int64_t v) {
    if (v >= -limit && v < limit) out.push_back(static_cast<int32_t>(v));
  };
  for (int64_t v = -9; v <= 9; ++v) add(v);
  for (int n = 3; n < 32; ++n) {
    for (int64_t v : {int64_t{1} << n, int64_t{3} << (n - 1)}) {
      for (int64_t d = -1; d <= 1; ++d) {
        add(v + d);
        add(-v + d);
      }
    }
  }
  add(-limit);
  add(limit - 1);
  std::mt19937 random(seed);
  for (size_t i = 0; i < random_count; ++i) {
    const int64_t magnitude = int64_t{1} << (random() % 32);
    add(static_cast<int32_t>(random()) % magnitude);
  }
  return out;
}

}  // namespace facsim::sim
