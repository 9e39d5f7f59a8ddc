// SPDX-License-Identifier: Apache-2.0
// Fused forms at the ends of their ranges: zero points and bounds, ties, shifts, block steps.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "sim/kernels/requantize.h"
#include "tests/sim/kernels/requantize_kernel_tester.h"

namespace facsim::sim {
namespace {

/// One zero point and clamp for all channels, as most layers have.
Arguments with_one_end(Arguments a, IntType output, int64_t zero_point, int64_t low, int64_t high) {
  a.integers["left_shift"] = {0};
  a.integers["zero_point"] = {zero_point};
  a.integers["clamp_min"] = {low};
  a.integers["clamp_max"] = {high};
  a.reals["zero_point"] = {static_cast<float>(zero_point)};
  a.reals["clamp_min"] = {static_cast<float>(low)};
  a.reals["clamp_max"] = {static_cast<float>(high)};
  a.reals["clamp_min_minus_zero_point"] = {static_cast<float>(low - zero_point)};
  a.reals["clamp_max_minus_zero_point"] = {static_cast<float>(high - zero_point)};
  CHECK(output.min() <= low);
  return a;
}

struct NamedProgram {
  const char* form;
  StepProgram program;
  bool whole_shift;
};

/// acc * scale + 3.25 clamped to +-middle, then times or divided by 0.375, plus `end`.
StepProgram two_scales(IntType output, StepKind second, float middle, float end,
                       Rounding rounding) {
  const auto step = [](StepKind kind, Operand a = {}, Operand b = {}) {
    return Step{.kind = kind, .a = std::move(a), .b = std::move(b)};
  };
  const auto constant = [](float v) { return Operand::constant_f32(v); };
  std::vector<Step> steps = {step(StepKind::to_f32), step(StepKind::fmul, Operand::arg("scale")),
                             step(StepKind::fadd, constant(3.25F))};
  if (middle > 0) steps.push_back(step(StepKind::fclamp, constant(-middle), constant(middle)));
  steps.push_back(step(second, constant(0.375F)));
  if (end != 0) steps.push_back(step(StepKind::fadd, constant(end)));
  steps.push_back(step(StepKind::fclamp, Operand::arg("clamp_min_minus_zero_point"),
                       Operand::arg("clamp_max_minus_zero_point")));
  steps.push_back({.kind = StepKind::round, .a = {}, .b = {}, .rounding = rounding});
  steps.push_back(step(StepKind::add, Operand::arg("zero_point")));
  steps.push_back({.kind = StepKind::resize, .a = {}, .b = {}, .type = output});
  return {std::move(steps), false};
}

/// mul, [shr 32 floor,] shr `shift` by `rounding`, and the common end.
StepProgram high_product(IntType output, bool drops, Rounding rounding) {
  StepProgram program = programs::fixed_point_rounded(output, rounding);
  if (drops) {
    program.steps.insert(
        program.steps.begin() + 1,
        {.kind = StepKind::shr, .a = Operand::constant(32), .b = {}, .rounding = Rounding::floor});
  }
  return program;
}

std::vector<NamedProgram> fused_programs(IntType output) {
  using programs::FloatBias, programs::FloatScale;
  const Rounding even = Rounding::half_even;
  const Rounding away = Rounding::half_away_from_zero;
  return {
      {"fixed_single", high_product(output, false, Rounding::floor), true},
      {"fixed_single", high_product(output, true, Rounding::half_up), false},
      {"float_half_away",
       programs::float_zero_point_after(output, away, FloatBias::none, FloatScale::multiply),
       false},
      {"float_half_away",
       programs::float_zero_point_before(output, away, FloatBias::none, FloatScale::multiply),
       false},
      {"float_half_even", two_scales(output, StepKind::fdiv, 0, 0, even), false},
      {"float_half_even", two_scales(output, StepKind::fmul, 0, 1.5F, even), false},
      {"float_half_away", two_scales(output, StepKind::fdiv, 40, -2.0F, away), false},
      {"float_half_away", two_scales(output, StepKind::fmul, 40, 0, away), false},

      {"fixed_double", programs::fixed_point_double(output), false},
      {"fixed_single", programs::fixed_point_single(output), true},
      {"rounding_shift", programs::rounding_shift(output, Rounding::half_up), false},
      {"rounding_shift", programs::rounding_shift(output, even), false},
      {"float_half_even",
       programs::float_zero_point_after(output, even, FloatBias::none, FloatScale::multiply),
       false},
      {"float_half_even",
       programs::float_zero_point_before(output, even, FloatBias::none, FloatScale::multiply),
       false},
      {"float_half_even",
       programs::float_zero_point_after(output, even, FloatBias::none, FloatScale::divide), false}};
}

/// Every isa gives the bytes of Isa::scalar for `acc` in rows of the norm's channels.
void check_isas(const Requantizer& norm, int64_t limit, const std::vector<int32_t>& acc,
                int64_t channels, std::string_view form) {
  const RequantizeKernel kernel(norm, -limit, limit - 1);
  REQUIRE(kernel.form() == form);
  const int64_t rows = static_cast<int64_t>(acc.size()) / channels;
  Output expected(norm.output_type().storage(), acc.size());
  Output out = expected;
  kernel.run(acc.data(), channels, rows, 0, channels, expected.bytes.data(), channels, Isa::scalar,
             false);
  for (Isa isa : fast_isas()) {
    CAPTURE(to_string(isa));
    kernel.run(acc.data(), channels, rows, 0, channels, out.bytes.data(), channels, isa, false);
    REQUIRE(out.bytes == expected.bytes);
  }
}

TEST_CASE("requantize kernel: one end for all channels, at the ends of 16 bits and of the type") {
  // Small shifts: values before the zero point pass the ends of int16 and of int8.
  Arguments a = layer_arguments(kInt8, kChannels, 12);
  for (size_t c = 0; c < kChannels; ++c) {
    const int64_t shift = 1 + static_cast<int64_t>(c) % 16;
    a.integers["shift"][c] = shift;
    a.integers["whole_shift"][c] = 31 + shift;
    a.reals["scale"][c] = std::ldexp(1.0F, -static_cast<int>(shift));
  }
  a.integers["multiplier"][2] = int64_t{1} << 30;
  const int64_t limit = int64_t{1} << 29;
  const std::vector<int32_t> acc = spread(directed_accumulators(limit, 100, 9), kChannels);
  for (const IntType output : {kInt8, kUint8, kInt16, IntType{4, true}, IntType{4, false}}) {
    for (const int64_t zero_point :
         {output.min(), output.min() / 2 + output.max() / 2 + 1, output.max()}) {
      for (const bool relu : {false, true}) {
        CAPTURE(to_string(output));
        CAPTURE(zero_point);
        const Arguments layer =
            with_one_end(a, output, zero_point, relu ? zero_point : output.min(), output.max());
        for (const NamedProgram& p : fused_programs(output)) {
          CAPTURE(p.form);
          const Requantizer norm(
              p.program, p.whole_shift ? with(layer, "shift", "whole_shift") : layer, output);
          check_isas(norm, limit, acc, kChannels, p.form);
        }
      }
    }
  }
}

TEST_CASE("requantize kernel: all 2^16 accumulators of 16 bits, per tensor and per channel") {
  constexpr int64_t kCodes = 1 << 16, kColumns = 64;
  std::vector<int32_t> acc;
  for (int64_t v = 0; v < kCodes; ++v) acc.push_back(static_cast<int32_t>(v - kCodes / 2));
  for (const int64_t channels : {int64_t{1}, kColumns}) {
    Arguments a;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t shift = 6 + c % 5;  // ties: every power of two
      a.integers["shift"].push_back(shift);
      a.integers["whole_shift"].push_back(31 + shift);
      a.integers["multiplier"].push_back(c % 2 == 0 ? int64_t{1} << 30 : 1518500250);
      a.reals["scale"].push_back(std::ldexp(1.0F, -static_cast<int>(shift) - 1));
    }
    for (const IntType output : {kInt8, kUint8, kInt16}) {
      const Arguments layer = with_one_end(a, output, 3, output.min(), output.max());
      for (const NamedProgram& p : fused_programs(output)) {
        CAPTURE(p.form);
        CAPTURE(channels);
        const Requantizer norm(p.program,
                               p.whole_shift ? with(layer, "shift", "whole_shift") : layer, output);
        check_isas(norm, kCodes / 2, acc, kColumns, p.form);
      }
    }
  }
}

TEST_CASE(
    "requantize kernel: where a shorter form's condition does not hold, the longer one runs") {
  const std::vector<int32_t> acc = spread(directed_accumulators(int64_t{1} << 31, 100, 14), 4);
  Arguments a;
  a.integers = {{"multiplier", {-(int64_t{1} << 30), 1, INT32_MAX, 1 << 30}},
                {"shift", {3, 1, 20, 7}},
                {"whole_shift", {34, 24, 40, 31}}};
  a.reals["scale"] = {0x1p-4F, 0x1p-9F, 0.75F, 1.0F};
  const Arguments layer = with_one_end(a, kInt8, -3, -3, 100);
  const Arguments whole = with(layer, "shift", "whole_shift");
  for (const int64_t limit : {int64_t{1} << 31, int64_t{1} << 30, int64_t{1} << 29}) {
    CAPTURE(limit);
    std::vector<int32_t> within = acc;
    for (int32_t& v : within) v = static_cast<int32_t>(v % limit);
    check_isas(Requantizer(programs::fixed_point_double(kInt8), layer, kInt8), limit, within, 4,
               "fixed_double");
    check_isas(Requantizer(programs::fixed_point_single(kInt8), whole, kInt8), limit, within, 4,
               "fixed_single");
    // Positive multipliers and shifts of at least 32: from the high half, left shifts included.
    Arguments usual = layer;
    usual.integers["multiplier"] = {1, 1 << 30, INT32_MAX, 0};
    usual.integers["left_shift"] = {0, 1, 0, 0};
    usual.integers["whole_shift"] = {32, 33, 62, 40};
    check_isas(Requantizer(programs::fixed_point_double(kInt8), usual, kInt8), limit / 4,
               spread(directed_accumulators(limit / 4, 50, 15), 4), 4, "fixed_double");
    check_isas(Requantizer(programs::fixed_point_single(kInt8), with(usual, "shift", "whole_shift"),
                           kInt8),
               limit, within, 4, "fixed_single");
    // Scaled values past 2^30, and bounds that are no integers: the clamp stays in float32.
    for (const float high : {127.0F, 101.5F}) {
      Arguments clamped = layer;
      clamped.reals["clamp_max_minus_zero_point"] = {high};
      clamped.reals["clamp_max"] = {high};
      clamped.integers["zero_point"] = {0};
      for (const NamedProgram& p : fused_programs(kInt8)) {
        if (std::string_view(p.form).substr(0, 5) != "float") continue;
        check_isas(Requantizer(p.program, clamped, kInt8), limit, within, 4, p.form);
      }
    }
  }
}

TEST_CASE("requantize kernel: an end that differs by channel in one operand only") {
  const int64_t limit = 1 << 20;
  const std::vector<int32_t> acc = spread(directed_accumulators(limit, 100, 17), 3);
  Arguments a;
  a.integers = {{"multiplier", {1 << 30}}, {"shift", {4}}};
  for (const char* name : {"zero_point", "clamp_min", "clamp_max"}) {
    CAPTURE(name);
    Arguments layer = with_one_end(a, kInt8, -3, -50, 100);
    const int64_t value = layer.integers[name][0];
    layer.integers[name] = {value, value + 20, value - 20};
    check_isas(Requantizer(programs::fixed_point_double(kInt8), layer, kInt8), limit, acc, 3,
               "fixed_double");
  }
}

TEST_CASE("requantize kernel: zero points far outside the codes, and bounds in the wrong order") {
  const int64_t limit = 1 << 20;
  const std::vector<int32_t> acc = spread(directed_accumulators(limit, 2000, 19), 3);
  Arguments a;
  a.integers = {{"multiplier", {1 << 30}}, {"shift", {1}}};
  for (const int64_t zero_point : {1 << 14, (1 << 14) + 1, 32767, 32768, 40000}) {
    for (const int64_t sign : {1, -1}) {
      CAPTURE(sign * zero_point);
      check_isas(Requantizer(programs::fixed_point_double(kInt8),
                             with_one_end(a, kInt8, sign * zero_point, -128, 127), kInt8),
                 limit, acc, 3, "fixed_double");
    }
  }
  // min(max(v, low), high) is high then.
  check_isas(
      Requantizer(programs::fixed_point_double(kInt8), with_one_end(a, kInt8, 5, 100, -50), kInt8),
      limit, acc, 3, "fixed_double");
}

TEST_CASE("requantize kernel: numbers next to ties, half away from zero") {
  const float below = std::nextafter(0.5F, 0.0F);
  Arguments a;
  a.reals["scale"] = {below, 0.5F, std::nextafter(0.5F, 1.0F), std::nextafter(1.5F, 0.0F),
                      0x1p-30F};
  const std::vector<int32_t> acc = spread(directed_accumulators(1 << 24, 100, 22), 5);
  for (const IntType output : {kInt8, kInt16}) {
    check_isas(Requantizer(programs::float_zero_point_after(output, Rounding::half_away_from_zero,
                                                            programs::FloatBias::none,
                                                            programs::FloatScale::multiply),
                           with_one_end(a, output, 0, output.min(), output.max()), output),
               1 << 24, acc, 5, "float_half_away");
  }
}

TEST_CASE("requantize kernel: rounding shifts of 0 and of 31, at the ends of int32") {
  const int64_t limit = int64_t{1} << 31;
  const std::vector<int32_t> acc = spread(directed_accumulators(limit, 300, 21), 5);
  for (const Rounding rounding : all_roundings()) {
    CAPTURE(to_string(rounding));
    for (const std::vector<int64_t>& shifts :
         {std::vector<int64_t>{0, 1, 31, 8, 30}, std::vector<int64_t>{0, 0, 0, 0, 0}}) {
      for (const int64_t narrowed : {int64_t{0}, int64_t{2}}) {
        Arguments a;
        a.integers = {{"shift", shifts}};
        std::vector<int32_t> within = acc;
        for (int32_t& v : within) v >>= narrowed;
        check_isas(Requantizer(programs::rounding_shift(kInt16, rounding),
                               with_one_end(a, kInt16, 0, INT16_MIN, INT16_MAX), kInt16),
                   limit >> narrowed, within, 5, "rounding_shift");
      }
    }
  }
}

TEST_CASE("requantize kernel: single rounding by 31 and 32") {
  const int64_t limit = 1 << 20;
  const std::vector<int32_t> acc = spread(directed_accumulators(limit, 2000, 20), 1);
  for (const int64_t shift : {31, 32, 33}) {
    CAPTURE(shift);
    Arguments a;
    a.integers = {{"multiplier", {123456789}}, {"shift", {shift}}};
    check_isas(Requantizer(programs::fixed_point_single(kInt16),
                           with_one_end(a, kInt16, 0, INT16_MIN, INT16_MAX), kInt16),
               limit, acc, 1, "fixed_single");
  }
}

TEST_CASE("requantize kernel: block steps at the ends of their lanes") {
  const auto step = [](StepKind kind, int64_t a, Rounding rounding = Rounding::half_up) {
    return Step{.kind = kind, .a = Operand::constant(a), .b = {}, .rounding = rounding};
  };
  const auto real = [](StepKind kind) { return Step{.kind = kind, .a = {}, .b = {}}; };
  const auto resize = [](IntType type, Overflow overflow) {
    return Step{.kind = StepKind::resize, .a = {}, .b = {}, .type = type, .overflow = overflow};
  };
  const Step to_int8 = resize(kInt8, Overflow::saturate);
  const Step clamp_wide{.kind = StepKind::clamp,
                        .a = Operand::constant(-(int64_t{1} << 40)),
                        .b = Operand::constant((int64_t{1} << 40) + 1)};
  const Step clamp_below{.kind = StepKind::clamp,
                         .a = Operand::constant(-(int64_t{1} << 40)),
                         .b = Operand::constant(100)};
  const std::vector<std::vector<Step>> programs = {
      {step(StepKind::shr, 31), step(StepKind::shr, 32, Rounding::floor)},
      {step(StepKind::shr, 40, Rounding::ceil), step(StepKind::add, 7)},
      {to_int8, resize(kInt8, Overflow::saturate_symmetric)},
      {resize(kInt16, Overflow::wrap), step(StepKind::div, INT32_MAX), step(StepKind::sub, 9)},
      {resize({31, false}, Overflow::wrap), step(StepKind::shr, 24)},
      {resize({32, false}, Overflow::wrap), step(StepKind::shr, 25)},
      {resize({32, false}, Overflow::saturate), step(StepKind::shr, 25)},
      {step(StepKind::shl, 20), clamp_wide, step(StepKind::shr, 44)},
      {clamp_wide, step(StepKind::mul, int64_t{1} << 20), step(StepKind::shr, 45)},
      {clamp_below},
      {step(StepKind::mul, INT32_MIN), step(StepKind::add, 1), step(StepKind::shr, 56)},
      {step(StepKind::sub, INT32_MAX), step(StepKind::shr, 26), step(StepKind::mul, -1)},
      {step(StepKind::shl, 0), step(StepKind::div, int64_t{1} << 33)},
      {real(StepKind::to_f32), real(StepKind::round), resize(kInt16, Overflow::saturate_zero),
       step(StepKind::shr, 8)},
      {},
  };
  const int64_t limit = int64_t{1} << 31;
  const std::vector<int32_t> acc = spread(directed_accumulators(limit, 200, 18), 5);
  for (size_t i = 0; i < programs.size(); ++i) {
    CAPTURE(i);
    std::vector<Step> steps = programs[i];
    steps.push_back(to_int8);
    const Requantizer norm(StepProgram{steps, false}, {}, kInt8);
    check_isas(norm, limit, acc, 5, "block");
    const RequantizeKernel kernel(norm, -limit, limit - 1);
    for (Isa isa : fast_isas()) {
      const Compared result = compare(norm, kernel, acc, 5, isa, true);
      CHECK(result.mismatches == 0);
      CHECK(result.events == result.expected_events);
    }
  }
}

TEST_CASE("requantize kernel: block programs equal the norm on every isa") {
  int64_t turn = 0;
  for (const ProgramCase& c : program_cases(kChannels)) {
    const int64_t limit = int64_t{1} << (turn++ % 2 == 0 ? 22 : 31);
    const Requantizer norm(c.program, c.arguments, c.output);
    if (RequantizeKernel(norm, -limit, limit - 1).form() != "block") continue;
    CAPTURE(c.name);
    check_isas(norm, limit, spread(directed_accumulators(limit, 10, 16), kChannels), kChannels,
               "block");
  }
}

}  // namespace
}  // namespace facsim::sim
