// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/requantize.h"

#include <doctest/doctest.h>

#include <cfenv>
#include <limits>
#include <map>
#include <string>

#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/kernels/dispatch-internal.h"
#include "sim/kernels/requantize_fused-internal.h"
#include "tests/sim/kernels/requantize_kernel_tester.h"

namespace facsim::sim {
namespace {

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
