// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/requantize.h"

#include <doctest/doctest.h>

#include <cfenv>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/kernels/dispatch-internal.h"
#include "sim/kernels/requantize_fused-internal.h"
#include "tests/sim/requantize/program_cases.h"

namespace facsim::sim {
namespace {

/// Elements of any output type, read back as int64.
struct Output {
  Output(DType output_type, size_t size) : type(output_type), bytes(size * size_of(output_type)) {}
  int64_t operator[](size_t i) const {
    switch (type) {
      case DType::int8:
        return reinterpret_cast<const int8_t*>(bytes.data())[i];
      case DType::uint8:
        return reinterpret_cast<const uint8_t*>(bytes.data())[i];
      default:
        return reinterpret_cast<const int16_t*>(bytes.data())[i];
    }
  }
  DType type;
  std::vector<uint8_t> bytes;
};

struct Compared {
  int64_t mismatches = 0;
  Events events, expected_events;
};

/// Runs `acc` as dense rows of `channels` on `isa`, and compares every element with the norm.
template <class Acc>
Compared compare(const Requantizer& norm, const RequantizeKernel& kernel,
                 const std::vector<Acc>& acc, int64_t channels, Isa isa, bool count_events) {
  const int64_t rows = static_cast<int64_t>(acc.size()) / channels;
  Output out(norm.output_type().storage(), acc.size());
  Compared result;
  result.events = kernel.run(acc.data(), channels, rows, 0, channels, out.bytes.data(), channels,
                             isa, count_events);
  for (size_t i = 0; i < static_cast<size_t>(rows * channels); ++i) {
    const int64_t channel = norm.channels() == 1 ? 0 : static_cast<int64_t>(i) % channels;
    const int64_t expected = norm.apply(acc[i], channel, result.expected_events);
    if (out[i] == expected) continue;
    if (result.mismatches++ == 0) {
      MESSAGE("acc " << acc[i] << " channel " << channel << " isa " << to_string(isa) << " form "
                     << kernel.form() << ": expected " << expected << ", got " << out[i]);
    }
  }
  return result;
}

constexpr int64_t kChannels = 21;

std::vector<Isa> fast_isas() {
  std::vector<Isa> isas = available_isas();
  isas.erase(isas.begin());
  return isas;
}

/// Every accumulator in every channel.
std::vector<int32_t> spread(const std::vector<int32_t>& acc, int64_t channels) {
  std::vector<int32_t> out;
  for (int32_t v : acc) out.insert(out.end(), static_cast<size_t>(channels), v);
  return out;
}

TEST_CASE("requantize kernel: every program equals the norm") {
  std::map<std::string, int> forms;
  const std::vector<Isa> isas = fast_isas();
  size_t turn = 0;
  // The narrow range is what layers have; in the wide one fewer short cuts are proved.
  for (const int64_t limit : {int64_t{1} << 22, int64_t{1} << 31}) {
    const std::vector<int32_t> acc = spread(directed_accumulators(limit, 60, 7), kChannels);
    for (const ProgramCase& c : program_cases(kChannels)) {
      CAPTURE(c.name);
      CAPTURE(limit);
      const Requantizer norm(c.program, c.arguments, c.output);
      const RequantizeKernel kernel(norm, -limit, limit - 1);
      ++forms[std::string(kernel.form())];
      // One isa and one way of counting a case: together they see every program several times.
      const Isa isa = isas[turn % isas.size()];
      const bool count_events = turn++ % 3 == 0;
      const Compared result = compare(norm, kernel, acc, kChannels, isa, count_events);
      REQUIRE(result.mismatches == 0);
      if (count_events) REQUIRE(result.events == result.expected_events);
    }
  }
  CHECK(forms["fixed_double"] > 0);
  CHECK(forms["fixed_single"] > 0);
  CHECK(forms["rounding_shift"] > 0);
  CHECK(forms["float_half_even"] > 0);
  CHECK(forms["block"] > 0);
  CHECK(forms["norm"] == 0);
}

/// The programs with a fused form, which each isa runs in full.
std::vector<ProgramCase> fused_cases(int64_t channels) {
  std::vector<ProgramCase> cases = program_cases(channels);
  std::erase_if(cases, [&](const ProgramCase& c) {
    const int64_t limit = int64_t{1} << 22;
    const Requantizer norm(c.program, c.arguments, c.output);
    return RequantizeKernel(norm, -limit, limit - 1).form() == "block";
  });
  return cases;
}

TEST_CASE("requantize kernel: fused forms equal the norm on every isa") {
  for (const int64_t limit : {int64_t{1} << 22, int64_t{1} << 31}) {
    const std::vector<int32_t> acc = spread(directed_accumulators(limit, 100, 8), kChannels);
    for (const ProgramCase& c : fused_cases(kChannels)) {
      CAPTURE(c.name);
      CAPTURE(limit);
      const Requantizer norm(c.program, c.arguments, c.output);
      const RequantizeKernel kernel(norm, -limit, limit - 1);
      Output expected(c.output.storage(), acc.size());
      kernel.run(acc.data(), kChannels, static_cast<int64_t>(acc.size()) / kChannels, 0, kChannels,
                 expected.bytes.data(), kChannels, Isa::scalar, false);
      for (Isa isa : fast_isas()) {
        CAPTURE(to_string(isa));
        Output out(c.output.storage(), acc.size());
        kernel.run(acc.data(), kChannels, static_cast<int64_t>(acc.size()) / kChannels, 0,
                   kChannels, out.bytes.data(), kChannels, isa, false);
        REQUIRE(out.bytes == expected.bytes);
      }
    }
  }
}

TEST_CASE("requantize kernel: the form is the one the program allows") {
  const Arguments a = layer_arguments(kInt8, 4, 1);
  const auto form = [](const StepProgram& program, const Arguments& arguments, int64_t limit) {
    return RequantizeKernel(Requantizer(program, arguments, kInt8), -limit, limit - 1).form();
  };
  const int64_t small = 1 << 22;
  CHECK(form(programs::fixed_point_double(kInt8), a, small) == "fixed_double");
  CHECK(form(programs::fixed_point_single(kInt8), with(a, "shift", "whole_shift"), small) ==
        "fixed_single");
  CHECK(form(programs::rounding_shift(kInt8, Rounding::half_up), a, small) == "rounding_shift");
  CHECK(form(programs::float_zero_point_after(kInt8, Rounding::half_even, programs::FloatBias::none,
                                              programs::FloatScale::multiply),
             a, small) == "float_half_even");
  CHECK(form(programs::float_zero_point_after(kInt8, Rounding::half_up, programs::FloatBias::none,
                                              programs::FloatScale::multiply),
             a, small) == "block");
  CHECK(form(programs::offset_convert(kInt8, IntType{17, true}), a, small) == "block");
  // A saturating left shift is no fused form once it can saturate.
  Arguments shifted = a;
  shifted.integers["left_shift"] = {12};
  CHECK(form(programs::fixed_point_double_saturating(kInt8), shifted, 1 << 18) == "fixed_double");
  CHECK(form(programs::fixed_point_double_saturating(kInt8), shifted, 1 << 20) == "block");
  // A multiplier that the doubling high product could not hold.
  Arguments extreme = a;
  extreme.integers["multiplier"] = {INT32_MIN};
  CHECK(form(programs::fixed_point_double(kInt8), extreme, small) == "block");
  // A division by 0 has no finite range, and the clamp gives it a meaning: the block computes it.
  Arguments zero = a;
  zero.reals["scale"] = {0.0F};
  CHECK(form(programs::float_zero_point_after(kInt8, Rounding::half_even, programs::FloatBias::none,
                                              programs::FloatScale::divide),
             zero, small) == "block");
  // A value that may be refused must be refused at its element.
  const StepProgram refuses{
      {{StepKind::resize, {}, {}, Rounding::half_even, kInt8, Overflow::error}}, false};
  CHECK(form(refuses, {}, small) == "norm");
  CHECK(form(refuses, {}, 100) == "block");
}

TEST_CASE("requantize kernel: NaN, infinity and division by zero as the norm") {
  const float inf = std::numeric_limits<float>::infinity();
  Arguments a = layer_arguments(kInt8, 6, 1);
  a.reals["scale"] = {0.0F, -0.0F, inf, -inf, std::nanf(""), 3e38F};
  const std::vector<int32_t> acc = spread(directed_accumulators(int64_t{1} << 31, 50, 2), 6);
  for (const auto scale : {programs::FloatScale::multiply, programs::FloatScale::divide}) {
    const Requantizer norm(programs::float_zero_point_after(kInt8, Rounding::half_even,
                                                            programs::FloatBias::none, scale),
                           a, kInt8);
    const RequantizeKernel kernel(norm, INT32_MIN, INT32_MAX);
    for (Isa isa : fast_isas()) CHECK(compare(norm, kernel, acc, 6, isa, false).mismatches == 0);
  }
}

TEST_CASE("requantize kernel: 64-bit accumulators equal the norm") {
  std::mt19937_64 random(21);
  std::vector<int64_t> acc;
  for (int i = 0; i < 600; ++i) acc.push_back(static_cast<int64_t>(random()) >> (17 + i % 40));
  for (const ProgramCase& c : program_cases(3)) {
    CAPTURE(c.name);
    const Requantizer norm(c.program, c.arguments, c.output);
    const RequantizeKernel kernel(norm, -(int64_t{1} << 47), int64_t{1} << 47);
    const Compared result = compare(norm, kernel, acc, 3, Isa::best, true);
    REQUIRE(result.mismatches == 0);
    REQUIRE(result.events == result.expected_events);
  }
}

/// The forms that isas have kernels for: each once, with int8 codes.
std::vector<ProgramCase> one_case_per_form(int64_t channels) {
  std::map<std::string, ProgramCase> by_form;
  for (const ProgramCase& c : program_cases(channels)) {
    const Requantizer norm(c.program, c.arguments, c.output);
    const int64_t limit = int64_t{1} << 22;
    by_form.emplace(RequantizeKernel(norm, -limit, limit - 1).form(), c);
  }
  std::vector<ProgramCase> cases;
  for (auto& [form, c] : by_form) cases.push_back(c);
  return cases;
}

/// Runs five guarded rows of so many channels, all isas with and without events.
void check_row_shape(const ProgramCase& c, int64_t norm_channels, int64_t channels, uint32_t seed) {
  constexpr int64_t kRows = 5, kGap = 3;
  const int64_t limit = 1 << 22;
  const Requantizer norm(c.program, c.arguments, c.output);
  const RequantizeKernel kernel(norm, -limit, limit - 1);
  const int64_t first = norm_channels == 1 ? 0 : channels % 7;
  const int64_t stride = channels + kGap;
  std::mt19937 random(seed);
  std::vector<int32_t> acc(static_cast<size_t>(kRows * stride));
  for (int32_t& v : acc) v = static_cast<int32_t>(random() % (2 * limit)) - limit;
  Output expected(c.output.storage(), acc.size());
  std::fill(expected.bytes.begin(), expected.bytes.end(), uint8_t{0x5A});
  Output out = expected;
  const Events events = kernel.run(acc.data(), stride, kRows, first, channels,
                                   expected.bytes.data(), stride, Isa::scalar, true);
  for (Isa isa : fast_isas()) {
    for (const bool count_events : {false, true}) {
      std::fill(out.bytes.begin(), out.bytes.end(), uint8_t{0x5A});
      const Events counted = kernel.run(acc.data(), stride, kRows, first, channels,
                                        out.bytes.data(), stride, isa, count_events);
      if (out.bytes != expected.bytes || (count_events && counted != events)) {
        FAIL(c.name << " isa " << to_string(isa) << " channels " << channels << " first " << first
                    << " events " << count_events);
      }
    }
  }
}

TEST_CASE("requantize kernel: rows of 1 to 70 channels, strides and first channels") {
  for (const int64_t norm_channels : {int64_t{1}, int64_t{80}}) {
    for (const ProgramCase& c : one_case_per_form(norm_channels)) {
      for (int64_t channels = 1; channels <= 70; ++channels) {
        check_row_shape(c, norm_channels, channels, static_cast<uint32_t>(channels));
      }
    }
  }
}

TEST_CASE("requantize kernel: tails of every program and output type") {
  for (const int64_t norm_channels : {int64_t{1}, int64_t{80}}) {
    size_t turn = 0;
    for (const ProgramCase& c : program_cases(norm_channels)) {
      check_row_shape(c, norm_channels, 1 + static_cast<int64_t>(turn++ * 5 % 70), 31);
    }
  }
}

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

/// Tiles as convolutions make them, under a scope that gives the default floating-point mode.
TEST_CASE("requantize kernel: prepared once, tiles equal the norm") {
  const int64_t limit = 1 << 22;
  constexpr int64_t kRows = 14, kOutputChannels = 80, kAccStride = 32;
  std::mt19937 random(51);
  std::vector<int32_t> acc(static_cast<size_t>(kRows * kAccStride));
  for (int32_t& v : acc) v = static_cast<int32_t>(random() % (2 * limit)) - limit;
  for (const int64_t norm_channels : {int64_t{1}, kOutputChannels}) {
    size_t turn = 0;
    for (const ProgramCase& c : program_cases(norm_channels)) {
      CAPTURE(c.name);
      const Requantizer norm(c.program, c.arguments, c.output);
      const RequantizeKernel kernel(norm, -limit, limit - 1);
      const Isa isa = available_isas()[turn % available_isas().size()];
      const bool count_events = turn++ % 4 == 0;
      const PreparedRequantize prepared = kernel.prepared(isa, count_events);
      Output out(c.output.storage(), static_cast<size_t>(kRows * kOutputChannels));
      Events events, expected_events;
      for (int64_t first = 0; first < kOutputChannels; first += 32) {
        const FloatMode mode;
        const int64_t channels = std::min<int64_t>(32, kOutputChannels - first);
        uint8_t* to = out.bytes.data() + static_cast<size_t>(first) * size_of(out.type);
        events +=
            prepared.run({acc.data(), kAccStride, kRows, first, channels, to, kOutputChannels});
      }
      for (int64_t i = 0; i < kRows * kOutputChannels; ++i) {
        const int64_t row = i / kOutputChannels, channel = i % kOutputChannels;
        const size_t at = static_cast<size_t>(row * kAccStride + channel % 32);
        const int64_t expected =
            norm.apply(acc[at], norm_channels == 1 ? 0 : channel, expected_events);
        if (out[static_cast<size_t>(i)] != expected) FAIL("row " << row << " channel " << channel);
      }
      if (count_events) CHECK(events == expected_events);
    }
  }
}

TEST_CASE("requantize kernel: dense short rows are joined and long per-tensor rows are cut") {
  const int64_t limit = 1 << 22;
  std::mt19937 random(41);
  const auto program = programs::fixed_point_double(kInt8);
  for (const int64_t channels : {1, 3, 10, 128, 255, 256, 257, 300}) {
    for (const int64_t rows : {1, 2, 7, 90}) {
      for (const bool per_tensor : {false, true}) {
        CAPTURE(channels);
        CAPTURE(rows);
        const Requantizer norm(program, layer_arguments(kInt8, per_tensor ? 1 : channels, 2),
                               kInt8);
        const RequantizeKernel kernel(norm, -limit, limit - 1);
        std::vector<int32_t> acc(static_cast<size_t>(rows * channels));
        for (int32_t& v : acc) v = static_cast<int32_t>(random() % (2 * limit)) - limit;
        CHECK(compare(norm, kernel, acc, channels, Isa::best, false).mismatches == 0);
        const Compared counted = compare(norm, kernel, acc, channels, Isa::best, true);
        CHECK(counted.mismatches == 0);
        CHECK(counted.events == counted.expected_events);
      }
    }
  }
}

TEST_CASE("requantize kernel: the caller's floating-point mode does not matter") {
  const Requantizer norm(
      programs::float_zero_point_after(kInt8, Rounding::half_even, programs::FloatBias::none,
                                       programs::FloatScale::multiply),
      layer_arguments(kInt8, kChannels, 5), kInt8);
  const RequantizeKernel kernel(norm, INT32_MIN, INT32_MAX);
  const std::vector<int32_t> acc =
      spread(directed_accumulators(int64_t{1} << 31, 100, 3), kChannels);
  for (int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    for (const bool count_events : {false, true}) {
      std::fesetround(environment);
      const Compared result = compare(norm, kernel, acc, kChannels, Isa::best, count_events);
      std::fesetround(FE_TONEAREST);
      CHECK(result.mismatches == 0);
    }
  }
}

TEST_CASE("requantize kernel: a float32 conversion is nearest-even in every mode") {
  Arguments a;
  a.integers["zero_point"] = {0};
  a.reals = {{"scale", {0x1p-24F}},
             {"clamp_min_minus_zero_point", {-128}},
             {"clamp_max_minus_zero_point", {127}}};
  const Requantizer norm(
      programs::float_zero_point_after(kInt8, Rounding::half_even, programs::FloatBias::none,
                                       programs::FloatScale::multiply),
      a, kInt8);
  const RequantizeKernel kernel(norm, INT32_MIN, INT32_MAX);
  // Two accumulators beyond 24 bits that become the ties -11.5 and -10.5, and their mirrors.
  const std::vector<int32_t> acc = {-192937983, -176160769, 192937983, 176160769};
  const std::vector<int8_t> expected = {-12, -10, 12, 10};
  for (int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST}) {
    for (Isa isa : available_isas()) {
      for (const bool count_events : {false, true}) {
        std::vector<int8_t> out(4);
        std::fesetround(environment);
        kernel.run(acc.data(), 4, 1, 0, 4, out.data(), 4, isa, count_events);
        std::fesetround(FE_TONEAREST);
        CHECK(out == expected);
      }
    }
  }
}

TEST_CASE("requantize kernel: double rounding at the ends of int32") {
  // Adding the half to the doubled product, or the zero point to the result, would overflow 32
  // bits.
  Arguments a;
  a.integers = {{"multiplier", {INT32_MAX, INT32_MAX, INT32_MAX, -INT32_MAX, int64_t{1} << 30}},
                {"left_shift", {0}},
                {"shift", {0, 1, 31, 30, 2}},
                {"clamp_min", {INT16_MIN}},
                {"clamp_max", {INT16_MAX}}};
  const std::vector<int32_t> acc = spread(directed_accumulators(int64_t{1} << 31, 200, 6), 5);
  for (const int64_t zero_point : {0, 5, -5}) {
    CAPTURE(zero_point);
    a.integers["zero_point"] = {zero_point};
    const Requantizer norm(programs::fixed_point_double(kInt16), a, kInt16);
    const RequantizeKernel kernel(norm, INT32_MIN, INT32_MAX);
    CHECK(kernel.form() == (zero_point == 0 ? "fixed_double" : "block"));
    for (Isa isa : fast_isas()) CHECK(compare(norm, kernel, acc, 5, isa, false).mismatches == 0);
  }
  a.integers["shift"] = {1, 1, 31, 30, 2};
  const Requantizer norm(programs::fixed_point_double(kInt16), a, kInt16);
  const RequantizeKernel kernel(norm, INT32_MIN, INT32_MAX);
  CHECK(kernel.form() == "fixed_double");
  for (Isa isa : fast_isas()) CHECK(compare(norm, kernel, acc, 5, isa, false).mismatches == 0);
}

TEST_CASE("requantize kernel: double rounding without a right shift") {
  // Half of 2^0 is no integer: this channel keeps the whole layer from the short form.
  Arguments a;
  a.integers = {{"multiplier", {int64_t{1} << 28, int64_t{1} << 30}},
                {"left_shift", {0}},
                {"shift", {0, 4}},
                {"zero_point", {3}},
                {"clamp_min", {INT16_MIN}},
                {"clamp_max", {INT16_MAX}}};
  const int64_t limit = 1 << 16;
  const Requantizer norm(programs::fixed_point_double(kInt16), a, kInt16);
  const RequantizeKernel kernel(norm, -limit, limit - 1);
  CHECK(kernel.form() == "fixed_double");
  const std::vector<int32_t> acc = spread(directed_accumulators(limit, 200, 6), 2);
  for (Isa isa : fast_isas()) CHECK(compare(norm, kernel, acc, 2, isa, false).mismatches == 0);
}

TEST_CASE("requantize kernel: the target asked for is the one that runs") {
  using Form = FusedProgram::Form;
  using Shape = FusedProgram::FloatShape;
  const BlockProgram block;
  const RequantizeJob<int32_t> no_rows{.channels = 64};
  for (Isa isa : fast_isas()) {
    CAPTURE(to_string(isa));
    const size_t index = highway_dispatch_index(isa);
    CHECK(requantize_block32(index)(block, no_rows, nullptr) == highway_target(isa));
    CHECK(requantize_block64(index)(block, RequantizeJob<int64_t>{}, nullptr) ==
          highway_target(isa));
    FusedProgram fused;
    fused.zero_point = fused.clamp_min = fused.clamp_max = ExpandedOperand<int32_t>(64);
    for (const DType output : {DType::int8, DType::uint8, DType::int16}) {
      for (const bool uniform_end : {false, true}) {
        for (const auto form : {Form::fixed_double, Form::fixed_single, Form::rounding_shift,
                                Form::float_half_even, Form::float_half_away}) {
          for (const auto shape :
               {Shape::scale, Shape::scale_bias, Shape::bias_scale, Shape::bias_scale_bias,
                Shape::scale_clamp_scale, Shape::scale_clamp_divide}) {
            for (const bool high_half : {false, true}) {
              fused.form = form;
              fused.output = output;
              fused.uniform_end = uniform_end && output != DType::int16;
              fused.shape = shape;
              fused.high_half = high_half;
              CHECK(requantize_fused(fused, index)(fused, no_rows) == highway_target(isa));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("requantize kernel: what cannot be run is refused") {
  const StepProgram to_real{{{StepKind::to_f32, {}, {}}}, false};
  CHECK_THROWS_AS(RequantizeKernel(Requantizer(to_real, {}, kInt8), -1, 1), Error);
  const StepProgram from_real{{{StepKind::round, {}, {}}}, true};
  CHECK_THROWS_AS(RequantizeKernel(Requantizer(from_real, {}, kInt8), -1, 1), Error);

  // The norm refuses a result outside its type; so does every isa.
  const RequantizeKernel identity(Requantizer(StepProgram{}, {}, kInt8), -1000, 1000);
  const std::vector<int32_t> acc = {1, 2, 300};
  std::vector<int8_t> out(3);
  CHECK_THROWS_AS(identity.run(acc.data(), 3, 1, 0, 3, out.data(), 3, Isa::best, false), Error);
  CHECK(identity.run(acc.data(), 2, 1, 0, 2, out.data(), 2, Isa::best, false) == Events{});
  CHECK(out[1] == 2);
}

}  // namespace
}  // namespace facsim::sim
