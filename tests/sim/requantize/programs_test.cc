// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/programs.h"

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <string>

#include "tests/oracle/requantize.h"
#include "tests/sim/requantize/program_cases.h"

namespace facsim::sim {
namespace {

constexpr int64_t kProgramChannels = 9;

/// Compares a program with an oracle over directed accumulators in every channel.
void equals(const StepProgram& program, const Arguments& arguments, IntType output,
            const std::function<int64_t(int32_t acc, size_t channel)>& oracle,
            int64_t limit = int64_t{1} << 31) {
  const Requantizer requantizer(program, arguments, output);
  for (int32_t acc : directed_accumulators(limit, 2000, 3)) {
    for (int64_t c = 0; c < kProgramChannels; ++c) {
      Events events;
      const int64_t got = requantizer.apply(acc, c, events);
      const int64_t expected = oracle(acc, static_cast<size_t>(c));
      if (got != expected) {
        FAIL("acc " << acc << " channel " << c << ": expected " << expected << ", got " << got);
      }
    }
  }
}

struct Fixture {
  explicit Fixture(IntType output) : a(layer_arguments(output, kProgramChannels, 5)) {}
  int64_t integer(const char* name, size_t c) const { return a.integers.at(name)[c]; }
  float real(const char* name, size_t c) const { return a.reals.at(name)[c]; }
  oracle::OutputStage out(size_t c) const {
    return {integer("zero_point", c), integer("clamp_min", c), integer("clamp_max", c)};
  }
  Arguments a;
};

TEST_CASE("programs: fixed_point_double is TFLite's double rounding") {
  for (IntType output : {kInt8, kUint8, kInt16}) {
    const Fixture f(output);
    equals(programs::fixed_point_double(output), f.a, output, [&](int32_t acc, size_t c) {
      return f.out(c)(oracle::tflite_double(acc, static_cast<int32_t>(f.integer("multiplier", c)),
                                            static_cast<int>(f.integer("left_shift", c)),
                                            static_cast<int>(f.integer("shift", c))));
    });
  }
}

TEST_CASE("programs: fixed_point_double_saturating is gemmlowp's output stage") {
  const Fixture f(kInt8);
  equals(programs::fixed_point_double_saturating(kInt8), f.a, kInt8, [&](int32_t acc, size_t c) {
    return f.out(c)(oracle::gemmlowp_double(acc, static_cast<int32_t>(f.integer("multiplier", c)),
                                            static_cast<int>(f.integer("left_shift", c)),
                                            static_cast<int>(f.integer("shift", c))));
  });
}

TEST_CASE("programs: fixed_point_single is TFLite's single rounding") {
  const Fixture f(kInt8);
  equals(programs::fixed_point_single(kInt8), with(f.a, "shift", "whole_shift"), kInt8,
         [&](int32_t acc, size_t c) {
           return f.out(c)(oracle::tflite_single(acc, f.integer("multiplier", c),
                                                 static_cast<int>(f.integer("whole_shift", c))));
         });
}

TEST_CASE("programs: fixed_point_int64_narrowing is CMSIS-NN's s64") {
  const Fixture f(kInt16);
  equals(programs::fixed_point_int64_narrowing(kInt16), with(f.a, "multiplier", "small_multiplier"),
         kInt16, [&](int32_t acc, size_t c) {
           return f.out(c)(oracle::cmsis_s64(acc, f.integer("small_multiplier", c),
                                             static_cast<int>(f.integer("shift", c))));
         });
}

TEST_CASE("programs: offset_multiply_shift is gemmlowp's legacy uint8 stage") {
  const Fixture f(kUint8);
  equals(programs::offset_multiply_shift(kUint8), with(f.a, "multiplier", "small_multiplier"),
         kUint8, [&](int32_t acc, size_t c) {
           const int32_t sum = oracle::wrap32(int64_t{acc} + f.integer("zero_point_scaled", c));
           const int32_t product = oracle::wrap32(sum * f.integer("small_multiplier", c));
           const int64_t y =
               oracle::rounding_divide_by_pot(product, static_cast<int>(f.integer("shift", c)));
           return std::clamp<int64_t>(std::clamp<int64_t>(y, 0, 255), f.integer("clamp_min", c),
                                      f.integer("clamp_max", c));
         });
}

TEST_CASE("programs: fixed_point_16 is XNNPACK's rndnu16") {
  const Fixture f(kInt8);
  equals(
      programs::fixed_point_16(kInt8), with(f.a, "multiplier", "small_multiplier"), kInt8,
      [&](int32_t acc, size_t c) {
        return f.out(c)(oracle::rndnu16(acc, static_cast<int32_t>(f.integer("small_multiplier", c)),
                                        static_cast<int>(f.integer("shift", c))));
      });
}

TEST_CASE("programs: offset_convert is NVDLA's converter") {
  const Fixture f(kInt8);
  equals(programs::offset_convert(kInt8, IntType{17, true}),
         with(f.a, "multiplier", "small_multiplier"), kInt8, [&](int32_t acc, size_t c) {
           return f.out(c)(oracle::nvdla_convert(acc, f.integer("offset", c),
                                                 f.integer("small_multiplier", c),
                                                 static_cast<int>(f.integer("shift", c))));
         });
}

TEST_CASE("programs: float_zero_point_after is XNNPACK's fp32") {
  for (IntType output : {kInt8, kUint8}) {
    const Fixture f(output);
    equals(programs::float_zero_point_after(output, Rounding::half_even, programs::FloatBias::none,
                                            programs::FloatScale::multiply),
           f.a, output, [&](int32_t acc, size_t c) {
             return oracle::float_zero_point_after(acc, f.real("scale", c), f.out(c));
           });
  }
}

TEST_CASE("programs: float_zero_point_before is oneDNN's") {
  const Fixture f(kInt8);
  equals(programs::float_zero_point_before(kInt8, Rounding::half_even,
                                           programs::FloatBias::before_scale,
                                           programs::FloatScale::multiply),
         f.a, kInt8, [&](int32_t acc, size_t c) {
           return oracle::float_zero_point_before(acc, f.real("bias", c), f.real("scale", c),
                                                  f.out(c));
         });
}

TEST_CASE("programs: float64_zero_point_before is the ONNX reference evaluator's") {
  for (IntType output : {kInt8, kUint8}) {
    const Fixture f(output);
    equals(programs::float64_zero_point_before(output, Rounding::half_even), f.a, output,
           [&](int32_t acc, size_t c) {
             return oracle::float64_zero_point_before(acc, f.real("scale", c), f.out(c));
           });
  }
}

TEST_CASE("programs: rounding_shift half_up is Vitis AI's") {
  const Fixture f(kInt8);
  equals(
      programs::rounding_shift(kInt8, Rounding::half_up), f.a, kInt8,
      [&](int32_t acc, size_t c) {
        const int64_t left = int64_t{acc} << f.integer("left_shift", c);
        const int64_t n = f.integer("shift", c);
        return f.out(c)((left + (int64_t{1} << (n - 1))) >> n);
      },
      int64_t{1} << 23);
}

// Each row is one accumulator on which two platforms differ, with the code each of them gives.
TEST_CASE("programs: platforms differ where they are known to") {
  Arguments a;
  a.integers = {
      {"left_shift", {0}}, {"zero_point", {0}}, {"clamp_min", {-128}}, {"clamp_max", {127}}};
  const auto fixed = [&](StepProgram program, int64_t multiplier, int64_t shift, int64_t acc) {
    a.integers["multiplier"] = {multiplier};
    a.integers["shift"] = {shift};
    Events events;
    return Requantizer(std::move(program), a, kInt8).apply(acc, 0, events);
  };
  SUBCASE("double and single rounding of 0.4375") {
    CHECK(fixed(programs::fixed_point_double(kInt8), 1073774592, 3, 7) == 1);
    CHECK(fixed(programs::fixed_point_single(kInt8), 1073774592, 34, 7) == 0);
  }
  SUBCASE("a negative tie") {
    CHECK(fixed(programs::fixed_point_double(kInt8), int64_t{1} << 30, 1, -2) == -1);
    CHECK(fixed(programs::fixed_point_single(kInt8), int64_t{1} << 30, 32, -2) == 0);
  }
  SUBCASE("a 31-bit and a 24-bit multiplier of 0.0028466506236195194") {
    CHECK(fixed(programs::fixed_point_single(kInt8), 1564962730, 39, -40574) == -116);
    CHECK(fixed(programs::fixed_point_single(kInt8), 12226271, 32, -40574) == -115);
  }
  SUBCASE("the zero point before and after the rounding") {
    Arguments f;
    f.reals = {{"scale", {0.25F}},
               {"zero_point", {127}},
               {"clamp_min", {-128}},
               {"clamp_max", {127}},
               {"clamp_min_minus_zero_point", {-255}},
               {"clamp_max_minus_zero_point", {0}}};
    f.integers = {{"zero_point", {127}}};
    Events events;
    const auto none = programs::FloatBias::none;
    const auto multiply = programs::FloatScale::multiply;
    CHECK(Requantizer(programs::float_zero_point_after(kInt8, Rounding::half_even, none, multiply),
                      f, kInt8)
              .apply(-2, 0, events) == 127);
    CHECK(Requantizer(programs::float_zero_point_before(kInt8, Rounding::half_even, none, multiply),
                      f, kInt8)
              .apply(-2, 0, events) == 126);
  }
  SUBCASE("the float32 accumulator loses bits that a fixed-point one keeps") {
    Arguments f;
    f.reals = {{"scale", {0x1p-24F}},
               {"clamp_min_minus_zero_point", {-128}},
               {"clamp_max_minus_zero_point", {127}}};
    f.integers = {{"zero_point", {0}}};
    Events events;
    const Requantizer single(
        programs::float_zero_point_after(kInt8, Rounding::half_even, programs::FloatBias::none,
                                         programs::FloatScale::multiply),
        f, kInt8);
    CHECK(single.apply(-192937983, 0, events) == -12);  // -11.4999999 becomes the tie -11.5
    CHECK(single.apply(-176160769, 0, events) == -10);  // -10.50000006 becomes the tie -10.5
  }
  SUBCASE("the left shift wraps in TFLite and saturates in gemmlowp") {
    a.integers["left_shift"] = {11};
    a.integers["clamp_min"] = {INT32_MIN};
    a.integers["clamp_max"] = {INT32_MAX};
    a.integers["multiplier"] = {0x7FFF0000};
    a.integers["shift"] = {0};
    Events events;
    CHECK(
        Requantizer(programs::fixed_point_double(kInt32), a, kInt32).apply(536870913, 0, events) ==
        2048);
    CHECK(events.wrapped == 1);
    CHECK(Requantizer(programs::fixed_point_double_saturating(kInt32), a, kInt32)
              .apply(536870913, 0, events) == 2147418111);
  }
  SUBCASE("CMSIS-NN narrows the s64 result one bit early") {
    a.integers["clamp_min"] = {-32768};
    a.integers["clamp_max"] = {32767};
    a.integers["multiplier"] = {32767};
    Events events;
    a.integers["shift"] = {14};
    CHECK(
        Requantizer(programs::fixed_point_single(kInt16), a, kInt16).apply(1073741825, 0, events) ==
        32767);
    a.integers["shift"] = {13};
    CHECK(Requantizer(programs::fixed_point_int64_narrowing(kInt16), a, kInt16)
              .apply(1073741825, 0, events) == -32768);
  }
}

/// One accumulator through a program whose arguments are per tensor.
int64_t one(const StepProgram& program, IntType output, int64_t acc,
            const std::map<std::string, int64_t>& integers,
            const std::map<std::string, float>& reals = {}) {
  Arguments a;
  for (const auto& [name, value] : integers) a.integers[name] = {value};
  for (const auto& [name, value] : reals) a.reals[name] = {value};
  Events events;
  return Requantizer(program, a, output).apply(acc, 0, events);
}

// What layers never reach, but registers have: which of wrap and saturate each narrowing does.
TEST_CASE("programs: integer registers overflow as their platform says") {
  const std::map<std::string, int64_t> open{{"left_shift", 0},
                                            {"shift", 0},
                                            {"zero_point", 0},
                                            {"clamp_min", -32768},
                                            {"clamp_max", 32767}};
  const auto with_values = [&](std::map<std::string, int64_t> values) {
    values.insert(open.begin(), open.end());
    return values;
  };
  // -1 * -1 in Q31 is the one product that the doubling high multiply saturates.
  CHECK(one(programs::fixed_point_double(kInt16), kInt16, INT32_MIN,
            with_values({{"multiplier", INT32_MIN}})) == 32767);
  // gemmlowp adds the zero point in an int32 that wraps.
  CHECK(one(programs::fixed_point_double_saturating(kInt16), kInt16, INT32_MAX,
            with_values({{"multiplier", INT32_MAX}, {"zero_point", 100}})) == -32768);
  // 2^30 * 2^30 / 2^28 = 2^32 is 0 in TFLite's int32.
  CHECK(one(programs::fixed_point_single(kInt16), kInt16, 1 << 30,
            with_values({{"multiplier", 1 << 30}, {"shift", 28}})) == 0);
  // CMSIS-NN's rounding increment wraps at INT32_MAX, and so does its narrowing before.
  CHECK(one(programs::fixed_point_int64_narrowing(kInt16), kInt16, INT32_MAX,
            with_values({{"multiplier", 1}})) == -32768);
  CHECK(one(programs::fixed_point_int64_narrowing(kInt16), kInt16, int64_t{1} << 32,
            with_values({{"multiplier", 1}})) == 0);
  // rndnu16: the shifted accumulator saturates to 32, then to 16 bits; -1 * -1 in Q15 wraps.
  CHECK(one(programs::fixed_point_16(kInt16), kInt16, int64_t{1} << 40,
            with_values({{"multiplier", 1 << 14}})) == 16384);
  CHECK(one(programs::fixed_point_16(kInt16), kInt16, -32768,
            with_values({{"multiplier", -32768}})) == -32768);
}

TEST_CASE("programs: ties below zero go away from it where a signed output shows them") {
  const std::map<std::string, int64_t> half{
      {"zero_point_scaled", 0}, {"offset", 0},       {"multiplier", 1}, {"shift", 1},
      {"zero_point", 0},        {"clamp_min", -128}, {"clamp_max", 127}};
  CHECK(one(programs::offset_multiply_shift(kInt8), kInt8, -1, half) == -1);
  CHECK(one(programs::offset_multiply_shift(kInt8), kInt8, 1, half) == 1);
  CHECK(one(programs::offset_convert(kInt8, {17, true}), kInt8, -1, half) == -1);
  CHECK(one(programs::offset_convert(kInt8, {17, true}), kInt8, 1, half) == 1);
}

TEST_CASE("programs: float programs saturate what a clamp beyond the output lets through") {
  const std::map<std::string, float> real{{"scale", 1},
                                          {"zero_point", 0},
                                          {"clamp_min", -1000},
                                          {"clamp_max", 1000},
                                          {"clamp_min_minus_zero_point", -1000},
                                          {"clamp_max_minus_zero_point", 1000}};
  const auto none = programs::FloatBias::none;
  const auto multiply = programs::FloatScale::multiply;
  const Rounding even = Rounding::half_even;
  for (const auto& program : {programs::float_zero_point_after(kInt8, even, none, multiply),
                              programs::float_zero_point_before(kInt8, even, none, multiply),
                              programs::float64_zero_point_before(kInt8, even)}) {
    CHECK(one(program, kInt8, 300, {{"zero_point", 0}}, real) == 127);
    CHECK(one(program, kInt8, -300, {{"zero_point", 0}}, real) == -128);
  }
}

}  // namespace
}  // namespace facsim::sim
