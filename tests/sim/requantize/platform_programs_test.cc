// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/platform_programs.h"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/core/error.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim::programs {
namespace {

Arguments integers(std::map<std::string, int64_t> values) {
  Arguments a;
  for (const auto& [name, value] : values) a.integers[name] = {value};
  return a;
}

int64_t apply(const StepProgram& program, const Arguments& arguments, IntType output, int64_t v) {
  Events events;
  return Requantizer(program, arguments, output).apply(v, 0, events);
}

int64_t tosa(TosaRounding rounding, int64_t v, int64_t multiplier, int64_t shift) {
  const int64_t first = std::min<int64_t>(shift, 31);
  return apply(tosa_apply_scale_32(rounding),
               integers({{"multiplier", multiplier},
                         {"shift", shift},
                         {"first_shift", first},
                         {"second_shift", shift - first},
                         {"headroom", 62 - shift}}),
               kInt32, v);
}

TEST_CASE("platform programs: TOSA rounds once or twice and errs outside its ranges") {
  // Pitfall 1: 7 * 1073774592 / 2^34 = 0.4375...
  CHECK(tosa(TosaRounding::double_round, 7, 1073774592, 34) == 1);
  CHECK(tosa(TosaRounding::single_round, 7, 1073774592, 34) == 0);
  // Pitfall 2: -0.5 after 31 bits goes away from zero in the second rounding, up in the only one.
  CHECK(tosa(TosaRounding::double_round, -2, 1 << 30, 32) == -1);
  CHECK(tosa(TosaRounding::single_round, -2, 1 << 30, 32) == 0);
  // Up to 31 bits both round once, half up.
  CHECK(tosa(TosaRounding::double_round, -3, 8, 4) == -1);
  CHECK(tosa(TosaRounding::single_round, -3, 8, 4) == -1);
  CHECK(tosa(TosaRounding::single_round, 1, 1 << 30, 2) == 1 << 28);
  // v must lie in -2^(shift-1)..2^(shift-1)-1.
  CHECK(tosa(TosaRounding::single_round, 1, 4, 2) == 1);
  CHECK(tosa(TosaRounding::single_round, -2, 4, 2) == -2);
  CHECK_THROWS_AS(tosa(TosaRounding::single_round, 2, 4, 2), Error);
  CHECK_THROWS_AS(tosa(TosaRounding::single_round, -3, 4, 2), Error);
  CHECK(tosa(TosaRounding::single_round, INT32_MAX, 1, 62) == 0);
}

TEST_CASE("platform programs: NVDLA stages round half away and saturate") {
  const Arguments a = integers({{"operand", 5}, {"multiplier", 1}, {"shift", 1}});
  CHECK(apply(nvdla_sdp_stage(NvdlaAlu::none, NvdlaRelu::off), a, kInt32, -3) == -2);
  CHECK(apply(nvdla_sdp_stage(NvdlaAlu::add, NvdlaRelu::off), a, kInt32, -10) == -3);
  CHECK(apply(nvdla_sdp_stage(NvdlaAlu::add, NvdlaRelu::on), a, kInt32, -10) == 0);
  CHECK(apply(nvdla_sdp_stage(NvdlaAlu::max, NvdlaRelu::off), a, kInt32, -10) == 3);
  CHECK(apply(nvdla_sdp_stage(NvdlaAlu::min, NvdlaRelu::off), a, kInt32, -10) == -5);
  const Arguments large = integers({{"operand", INT32_MAX}, {"multiplier", 32767}, {"shift", 0}});
  CHECK(apply(nvdla_sdp_stage(NvdlaAlu::add, NvdlaRelu::off), large, kInt32, INT32_MAX) ==
        INT32_MAX);
  // Pitfall 14: two stages of half_away round 22 / 4 / 4 up to 2, one would give 1.
  const Arguments quarter = integers({{"offset", 0}, {"multiplier", 1}, {"shift", 2}});
  const Arguments sixteenth = integers({{"offset", 0}, {"multiplier", 1}, {"shift", 4}});
  CHECK(apply(nvdla_convert(kInt8), quarter, kInt8,
              apply(nvdla_sdp_stage(NvdlaAlu::none, NvdlaRelu::off), quarter, kInt32, 22)) == 2);
  CHECK(apply(nvdla_convert(kInt8), sixteenth, kInt8, 22) == 1);
  CHECK(apply(nvdla_convert(kInt8), quarter, kInt8, -22) == -6);  // -5.5
  CHECK(apply(nvdla_convert(kInt8), quarter, kInt8, 4000) == 127);
  // The converter's register has 17 bits, which wider outputs show.
  const Arguments whole = integers({{"offset", 0}, {"multiplier", 1}, {"shift", 0}});
  CHECK(apply(nvdla_convert(kInt32), whole, kInt32, 100000) == 65535);
  CHECK(apply(nvdla_convert(kInt32), whole, kInt32, -100000) == -65536);
  const Arguments clip = integers({{"clip_truncate", 1}});
  CHECK(apply(nvdla_clip_truncate(), clip, kInt32, -5) == -3);
  CHECK(apply(nvdla_clip_truncate(), clip, kInt32, int64_t{1} << 40) == INT32_MAX);
}

TEST_CASE("platform programs: pitfall 28, look-alike names of rounding modes differ at -0.5") {
  const Arguments half = integers({{"shift", 1}});
  CHECK(apply(ap_fixed_cast(kInt8, Rounding::half_up, Overflow::wrap), half, kInt8, -1) == 0);
  CHECK(apply(qonnx_trunc(QonnxTrunc::v1, kInt8, Rounding::half_away_from_zero), half, kInt8, -1) ==
        -1);
}

TEST_CASE("platform programs: a fixed-point cast rounds first and overflows then") {
  // 127.5 rounds to 128, which is outside int8.
  const Arguments half = integers({{"shift", 1}});
  const auto cast = [&](Rounding rounding, Overflow overflow, int64_t v) {
    return apply(ap_fixed_cast(kInt8, rounding, overflow), half, kInt8, v);
  };
  CHECK(cast(Rounding::half_up, Overflow::wrap, 255) == -128);
  CHECK(cast(Rounding::half_up, Overflow::saturate, 255) == 127);
  CHECK(cast(Rounding::half_up, Overflow::saturate_zero, 255) == 0);
  CHECK(cast(Rounding::floor, Overflow::saturate_symmetric, -256) == -127);
  CHECK(cast(Rounding::floor, Overflow::wrap, 255) == 127);
}

TEST_CASE("platform programs: pitfall 15, NEMO floors and pulp-nn wraps before it clips") {
  Arguments a = integers({{"kappa", 1},
                          {"lambda", 0},
                          {"multiplier", 10},
                          {"shift", 5},
                          {"clamp_min", -128},
                          {"clamp_max", 127}});
  CHECK(apply(pulp_bn_requantize(kInt8, PulpStore::wide), a, kInt8, -1) == -1);  // -0.3
  a.integers["kappa"] = {13};
  a.integers["lambda"] = {5};
  a.integers["multiplier"] = {1};
  CHECK(apply(pulp_bn_requantize(kInt8, PulpStore::wide), a, kInt8, -7) == -3);  // -2.69
  a = integers({{"kappa", 1},
                {"lambda", 0},
                {"multiplier", 1},
                {"shift", 0},
                {"clamp_min", 0},
                {"clamp_max", 255}});
  CHECK(apply(pulp_bn_requantize(kUint8, PulpStore::wide), a, kUint8, 40000) == 255);
  CHECK(apply(pulp_bn_requantize(kUint8, PulpStore::int16), a, kUint8, 40000) == 0);
  CHECK(apply(pulp_bn_requantize(kUint8, PulpStore::int16), a, kUint8, 65536 + 7) == 7);
  const Arguments deeploy = integers(
      {{"multiplier", 3}, {"addend", 2}, {"shift", 2}, {"clamp_min", -128}, {"clamp_max", 127}});
  CHECK(apply(deeploy_requant_shift(kInt8, Rounding::floor), deeploy, kInt8, 4) == 3);  // 3.5
  CHECK(apply(deeploy_requant_shift(kInt8, Rounding::half_up), deeploy, kInt8, 4) == 4);
}

TEST_CASE("platform programs: pitfall 23, CV18xx shifts in float32") {
  Arguments a;
  a.reals["multiplier_f32"] = {90.0F};
  a.reals["power"] = {std::ldexp(1.0F, -29)};
  CHECK(apply(cv18xx_multiplier_shift(kInt8), a, kInt8, -348966093) == -58);
  CHECK(round_shift(Rounding::half_up, int128{-348966093} * 90, 29) == -59);
  a.reals["multiplier_f32"] = {1.0F};
  a.reals["power"] = {0.5F};
  CHECK(apply(cv18xx_multiplier_shift(kInt8), a, kInt8, 5) == 3);  // 2.5
  CHECK(apply(cv18xx_multiplier_shift(kInt8), a, kInt8, 2000) == 127);
}

TEST_CASE("platform programs: pitfall 26, oneDNN's int32 results pass through float32") {
  CHECK(apply(onednn_s32(OnednnBias::none), {}, kInt32, 16777217) == 16777216);
  Arguments a;
  a.reals["bias"] = {1.0F};
  CHECK(apply(onednn_s32(OnednnBias::float32), a, kInt32, 16777218) == 16777220);
  CHECK(apply(onednn_s32(OnednnBias::none), {}, kInt32, INT32_MAX) == INT32_MAX);
  a.reals["bias"] = {0.5F};
  CHECK(apply(onednn_s32(OnednnBias::float32), a, kInt32, 2) == 2);
  CHECK(apply(onednn_s32(OnednnBias::float32), a, kInt32, 3) == 4);
}

TEST_CASE("platform programs: qonnx clamps before it rounds") {
  Arguments a;
  a.reals["scale"] = {0.5F};
  a.reals["zero_point"] = {0.0F};
  a.reals["clamp_min"] = {-7.0F};
  a.reals["clamp_max"] = {7.0F};
  Events events;
  const Requantizer ceil(qonnx_quant(kInt8, Rounding::ceil), a, kInt8);
  CHECK(ceil.apply_real(1.1F, 0, events) == 3);
  CHECK(ceil.apply_real(3.6F, 0, events) == 7);
  a.reals["clamp_max"] = {1000.0F};
  CHECK(Requantizer(qonnx_quant(kInt8, Rounding::ceil), a, kInt8).apply_real(300.0F, 0, events) ==
        127);
  Arguments v2 = integers({{"shift", 2}, {"clamp_min", -8}, {"clamp_max", 7}});
  CHECK(apply(qonnx_trunc(QonnxTrunc::v2, kInt8, Rounding::floor), v2, kInt8, 100) == 7);
  CHECK_THROWS_AS(apply(qonnx_trunc(QonnxTrunc::v1, {4, true}, Rounding::floor), v2, kInt8, 100),
                  Error);
}

}  // namespace
}  // namespace facsim::sim::programs
