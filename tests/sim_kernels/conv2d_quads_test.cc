// SPDX-License-Identifier: Apache-2.0
// The tiles that conv2d_quads_tile requantizes itself: every form of tile, few and many steps,
// blocks that are not full, all programs it takes.
#include <cmath>
#include <functional>

#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/requantize.h"
#include "tests/sim_kernels/conv2d_tester.h"

namespace facsim::sim {
namespace {

using test::Conv2dCase;
using test::Fill;

/// Zero point and clamp of the codes.
struct Codes {
  IntType type = kInt8;
  int64_t zero_point = 0, low = -128, high = 127;
};

/// Scales that spread accumulators of this many products, ties among them.
int shift_of(int64_t taps, int64_t channel) {
  int bits = 6;
  while (taps >>= 1) ++bits;
  return bits + static_cast<int>(channel % 4);
}

/// Arguments of every program below, for so many channels.
Arguments arguments_of(int64_t channels, int64_t taps, const Codes& codes) {
  Arguments a;
  for (int64_t c = 0; c < channels; ++c) {
    const int shift = shift_of(taps, c);
    a.integers["multiplier"].push_back(c % 3 == 0 ? int64_t{1} << 30
                                                  : 1518500250 + 77777777 * (c % 7));
    a.integers["shift"].push_back(shift);
    a.reals["scale"].push_back(c % 3 == 0 ? std::ldexp(1.0F, -shift)
                                          : std::ldexp(1.1F, -shift - static_cast<int>(c % 2)));
    a.reals["bias"].push_back(static_cast<float>(c % 5) * 0.5F);
  }
  a.integers["left_shift"] = {0};
  a.integers["zero_point"] = {codes.zero_point};
  a.integers["clamp_min"] = {codes.low};
  a.integers["clamp_max"] = {codes.high};
  a.reals["clamp_min_minus_zero_point"] = {static_cast<float>(codes.low - codes.zero_point)};
  a.reals["clamp_max_minus_zero_point"] = {static_cast<float>(codes.high - codes.zero_point)};
  return a;
}

/// The arguments of programs with a float32 zero point.
Arguments with_real_end(Arguments a, const Codes& codes) {
  a.integers.clear();
  a.reals["zero_point"] = {static_cast<float>(codes.zero_point)};
  a.reals["clamp_min"] = {static_cast<float>(codes.low)};
  a.reals["clamp_max"] = {static_cast<float>(codes.high)};
  return a;
}

Arguments with_whole_shift(Arguments a) {
  for (int64_t& shift : a.integers["shift"]) shift += 31;
  return a;
}

struct Scheme {
  const char* name;
  std::function<Requantizer(const Arguments&, const Codes&)> make;
};

const std::vector<Scheme>& schemes() {
  using programs::FloatBias, programs::FloatScale;
  static const auto after = [](FloatBias bias) {
    return [bias](const Arguments& a, const Codes& codes) {
      return Requantizer(programs::float_zero_point_after(codes.type, Rounding::half_even, bias,
                                                          FloatScale::multiply),
                         a, codes.type);
    };
  };
  static const auto before = [](FloatBias bias) {
    return [bias](const Arguments& a, const Codes& codes) {
      return Requantizer(programs::float_zero_point_before(codes.type, Rounding::half_even, bias,
                                                           FloatScale::multiply),
                         with_real_end(a, codes), codes.type);
    };
  };
  static const std::vector<Scheme> all = {
      {"double",
       [](const Arguments& a, const Codes& codes) {
         return Requantizer(programs::fixed_point_double(codes.type), a, codes.type);
       }},
      {"single",
       [](const Arguments& a, const Codes& codes) {
         return Requantizer(programs::fixed_point_single(codes.type), with_whole_shift(a),
                            codes.type);
       }},
      {"float", after(FloatBias::none)},
      {"float, bias before", after(FloatBias::before_scale)},
      {"float, bias after", after(FloatBias::after_scale)},
      {"float, zero point before", before(FloatBias::none)},
      {"float, bias and zero point before", before(FloatBias::before_scale)}};
  return all;
}

/// The codes and events of every isa, of 1 and 3 threads, are the norm's. True if a kernel
/// requantized its tiles itself.
bool expect_codes_of_norm(const Conv2dCase& c, const Scheme& scheme, const Codes& codes,
                          int64_t argument_channels) {
  test::Conv2dInstance made = test::make_instance(c);
  const int64_t taps = c.kh * c.kw * c.group_ic;
  made.params.requantize = scheme.make(arguments_of(argument_channels, taps, codes), codes);
  INFO(c.text(), " ", scheme.name, " zero point ", codes.zero_point, " clamp ", codes.low, " ",
       codes.high);
  const Conv2d conv(made.params);
  const Tensor* const inputs[] = {&made.input};
  const Shape shape = test::conv2d_output_shape(made.params, made.input);
  Tensor norm(conv.output_dtype(), shape);
  const Events norm_events = conv.run(inputs, norm, {Isa::scalar, nullptr, true});
  ThreadPool pool(3);
  for (const Isa isa : available_isas()) {
    for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
      for (const bool count : {false, true}) {
        INFO("isa ", to_string(isa), " threads ", threads == nullptr ? 1 : 3, " count ", count);
        Tensor got(conv.output_dtype(), shape);
        const Events events = conv.run(inputs, got, {isa, threads, count});
        CHECK(test::difference(got, norm) == "");
        if (count) CHECK(events == norm_events);
      }
    }
  }
  if (conv2d_quads_tile() == nullptr || available_isas().back() != Isa::avx3_dl) return true;
  const RequantizeKernel kernel(made.params.requantize, -conv.accumulator_bound(0),
                                conv.accumulator_bound(0));
  const FusedProgram* program = kernel.prepared(Isa::avx3_dl, false).fused_program();
  CHECK(kernel.prepared(Isa::avx3_dl, true).fused_program() == nullptr);
  return program != nullptr && conv2d_quads_requantizes(*program);
}

TEST_CASE("conv2d quads: every number of pixels in a row, full and partial blocks") {
  for (const Scheme& scheme : schemes()) {
    for (int64_t width = 1; width <= 60; width += width < 30 ? 1 : 7) {
      Conv2dCase c;
      c.seed = static_cast<uint64_t>(width);
      c.ih = 1;
      c.iw = width;
      c.kh = c.kw = 1;
      c.padding = {};
      c.group_ic = 8;
      c.group_oc = width % 3 == 0 ? 32 : 75;
      c.input_zero_point = c.padding_value = width % 2 == 0 ? 0 : -5;
      CHECK(expect_codes_of_norm(c, scheme, {kInt8, 3, -128, 127}, c.group_oc));
    }
  }
}

TEST_CASE("conv2d quads: rows of every number of pixels, that see different taps") {
  for (const Scheme& scheme : schemes()) {
    for (int64_t width = 1; width <= 15; ++width) {
      Conv2dCase c;
      c.seed = static_cast<uint64_t>(width);
      c.n = 2;
      c.ih = 7;
      c.iw = width;
      c.group_ic = 5;
      c.group_oc = 64;
      c.padding_value = 9;
      CHECK(expect_codes_of_norm(c, scheme, {kUint8, 100, 0, 255}, 1));
    }
  }
}

TEST_CASE("conv2d quads: fewer steps than a tile has codes, and more") {
  for (const Scheme& scheme : schemes()) {
    for (const int64_t ic : {1, 4, 5, 11, 24, 28, 29, 32, 57, 60, 130}) {
      Conv2dCase c;
      c.seed = static_cast<uint64_t>(ic);
      c.ih = 4;
      c.iw = 28;
      c.kh = ic % 2 == 0 ? 1 : 2;
      c.kw = 1;
      c.padding = {};
      c.group_ic = ic;
      c.groups = ic < 30 ? 2 : 1;
      c.group_oc = 64;
      CHECK(expect_codes_of_norm(c, scheme, {kInt8, -3, -128, 127}, c.oc()));
    }
  }
}

TEST_CASE("conv2d quads: extreme accumulators, zero points and clamps") {
  const Codes ends[] = {{kInt8, -128, -128, 127}, {kInt8, 127, -128, 127}, {kInt8, 0, 0, 6},
                        {kInt8, 5, -1, -1},       {kUint8, 0, 0, 255},     {kUint8, 255, 0, 255},
                        {kUint8, 128, 128, 200}};
  for (const Scheme& scheme : schemes()) {
    for (const Codes& codes : ends) {
      for (const Fill fill : {Fill::random, Fill::lowest, Fill::highest, Fill::extremes}) {
        Conv2dCase c;
        c.ih = 3;
        c.iw = 14;
        c.kh = c.kw = 1;
        c.padding = {};
        c.group_ic = 64;
        c.group_oc = 32;
        c.input_fill = c.weight_fill = fill;
        CHECK(expect_codes_of_norm(c, scheme, codes, c.group_oc));
      }
    }
  }
}

TEST_CASE("conv2d quads: many strips and blocks follow each other") {
  for (const Scheme& scheme : schemes()) {
    Conv2dCase c;
    c.ih = 31;
    c.iw = 29;
    c.kh = c.kw = 1;
    c.padding = {};
    c.group_ic = 64;
    c.group_oc = 136;
    CHECK(expect_codes_of_norm(c, scheme, {kInt8, 7, -128, 127}, c.group_oc));
  }
}

TEST_CASE("conv2d quads: other programs are requantized after their tiles") {
  Conv2dCase c;
  c.group_oc = 32;
  const Scheme away = {"half away", [](const Arguments& a, const Codes& codes) {
                         return Requantizer(
                             programs::float_zero_point_after(
                                 codes.type, Rounding::half_away_from_zero,
                                 programs::FloatBias::none, programs::FloatScale::multiply),
                             a, codes.type);
                       }};
  const bool fused = expect_codes_of_norm(c, away, {kInt8, 3, -128, 127}, c.group_oc);
  if (available_isas().back() == Isa::avx3_dl) CHECK_FALSE(fused);
}

}  // namespace
}  // namespace facsim::sim
