// SPDX-License-Identifier: Apache-2.0
// Activation functions of accelerators: values by hand from their formulas.
#include <doctest/doctest.h>

#include <cmath>

#include "sim/core/error.h"
#include "sim/ops/interpolated_table.h"
#include "sim/ops/k210_activation.h"
#include "sim/ops/nvdla_lut.h"
#include "sim/ops/vitis_activation.h"

namespace facsim::sim {
namespace {

TEST_CASE("vitis_activation: the slope is 26 / 256, rounded once") {
  const VitisActivation same{VitisActivation::Function::leaky_relu, 4, 4, kInt8};
  CHECK(same(100) == 100);
  CHECK(same(-100) == -10);  // -10.156
  CHECK(same(-128) == -13);  // exactly -13
  // Half of the unit comes out: -64 * 26 / 512 = -3.25, -44 * 26 / 512 = -2.23, 3 / 2 half up.
  const VitisActivation coarser{VitisActivation::Function::leaky_relu, 4, 3, kInt8};
  CHECK(coarser(-64) == -3);
  CHECK(coarser(3) == 2);
  CHECK(coarser(5) == 3);
  const VitisActivation finer{VitisActivation::Function::leaky_relu, 4, 7, kInt8};
  CHECK(finer(100) == 127);
  CHECK(finer(-1) == -1);  // -0.8125
}

TEST_CASE("vitis_activation: table entries and ends") {
  // Runs of the published list: 11 six times, 12 eleven times; and its middle.
  CHECK(vitis_sigmoid_entry(0) == 11);
  CHECK(vitis_sigmoid_entry(5) == 11);
  CHECK(vitis_sigmoid_entry(6) == 12);
  CHECK(vitis_sigmoid_entry(16) == 12);
  CHECK(vitis_sigmoid_entry(17) == 13);
  CHECK(vitis_sigmoid_entry(1023) == 16320);
  CHECK(vitis_sigmoid_entry(1024) == 16384);
  CHECK(vitis_sigmoid_entry(1025) == 16448);
  CHECK(vitis_tanh_entry(1024) == 0);
  CHECK(vitis_tanh_entry(1025) == 128);
  CHECK(vitis_tanh_entry(1033) == 1152);
  CHECK(vitis_tanh_entry(1034) == 1279);
  CHECK(vitis_tanh_entry(1040) == 2045);
  CHECK(vitis_tanh_entry(2044) == 32745);
  CHECK(vitis_tanh_entry(2045) == 32746);
  CHECK(vitis_tanh_entry(0) == -32746);
  // x = code / 16, output in 1 / 128.
  const VitisActivation sigmoid{VitisActivation::Function::sigmoid, 4, 7, kInt8};
  CHECK(sigmoid(0) == 64);
  CHECK(sigmoid(127) == 127);  // 7.94: 32757 / 256 = 127.96 -> 128, saturated
  CHECK(sigmoid(-128) == 0);   // -8: entry 0, 11 / 256
  const VitisActivation wide{VitisActivation::Function::sigmoid, 0, 15, kInt16};
  CHECK(wide(8) == 32767);
  CHECK(wide(-9) == 0);
  CHECK(wide(-8) == 11);
  const VitisActivation tanh{VitisActivation::Function::tanh, 2, 15, kInt16};
  CHECK(tanh(16) == 32767);
  CHECK(tanh(-17) == -32768);
  CHECK(tanh(-16) == -32746);
  // The index is floored: -1 / 1024 looks up -1 / 256.
  const VitisActivation fine{VitisActivation::Function::tanh, 10, 15, kInt16};
  CHECK(fine(-1) == vitis_tanh_entry(1023));
  CHECK(fine(3) == 0);
  CHECK(fine(4) == 128);
}

TEST_CASE("vitis_activation: hard_swish rounds its gate to 1 / 128 first") {
  const VitisActivation f{VitisActivation::Function::hard_swish, 4, 4, kInt8};
  // x = 1: gate 4 * 2731 / 16384 = 0.66675 = 85.34 / 128 -> 85; 16 * 85 / 128 = 10.6 -> 11.
  CHECK(f(16) == 11);
  CHECK(f(-48) == 0);  // x = -3
  CHECK(f(-128) == 0);
  // x = 3 and more: 6 * 2731 / 16384 = 1.0001, but the gate saturates at 127 / 128.
  CHECK(f(48) == 48);    // 47.6
  CHECK(f(127) == 126);  // 126.008
  const VitisActivation coarse{VitisActivation::Function::hard_swish, -1, 0, kInt8};
  CHECK(coarse(5) == 10);  // x = 10: 9.92
  CHECK(coarse(-1) == 0);  // x = -2: gate 21 / 128, -0.33
}

TEST_CASE("interpolated_table: TOSA keeps 7 more bits, Ethos-U rounds them half up") {
  std::vector<int64_t> entries(kInterpolatedEntries);
  for (int64_t i = 0; i < kInterpolatedEntries; ++i) entries[static_cast<size_t>(i)] = i * 2 - 512;
  // Slope 2 per 128 codes: exactly code / 64.
  CHECK(tosa_table_lookup(entries, 0) == 0);
  CHECK(tosa_table_lookup(entries, 32) == 64);
  CHECK(tosa_table_lookup(entries, INT16_MIN) == -512 * 128);
  CHECK(tosa_table_lookup(entries, INT16_MAX) == 510 * 128 + 2 * 127);
  CHECK(ethos_u_table_lookup(entries, 31) == 0);
  CHECK(ethos_u_table_lookup(entries, 32) == 1);
  CHECK(ethos_u_table_lookup(entries, -32) == 0);  // -0.5
  CHECK(ethos_u_table_lookup(entries, -33) == -1);
}

TEST_CASE("interpolated_table: entries of a line are its samples, of a curve half the error less") {
  const auto line = ethos_u_table_entries([](double x) { return x; }, {-8, 8 - 16.0 / 65536},
                                          {-8, 8 - 16.0 / 65536});
  CHECK(line.size() == static_cast<size_t>(kInterpolatedEntries));
  CHECK(line[0] == -32768);
  CHECK(line[512] == 32767);
  const auto square = ethos_u_table_entries([](double x) { return x * x; }, {-1, 1}, {-1, 1});
  // From -1 / 256 to 0: 0.5 (1) to 0, interpolated 0.5 (1) where the square is 0.125 (0); half of
  // that error, 0.5 (1), goes off the first sample.
  CHECK(square[255] == 0);
  CHECK(square[512] == 32767);
}

TEST_CASE("k210_activation: pitfall 22, the shift is no rounding for negative values") {
  CHECK(k210_carry_shift(-5, 2) == -3);  // -1.25
  CHECK(k210_carry_shift(5, 2) == 1);
  CHECK(k210_carry_shift(7, 2) == 2);
  CHECK(k210_carry_shift(6, 2) == 2);    // 1.5, odd
  CHECK(k210_carry_shift(10, 2) == 2);   // 2.5, even
  CHECK(k210_carry_shift(-6, 2) == -2);  // -1.5: floor -2 is even
  CHECK(k210_carry_shift(-2, 2) == -2);  // -0.5: floor -1 is odd
  CHECK(k210_carry_shift(-7, 2) == -2);  // -1.75: fraction 1/4
  CHECK(k210_carry_shift(3, 0) == 3);
  CHECK(k210_carry_shift(3, -2) == 12);
}

TEST_CASE("k210_activation: the last segment whose start lies below the value") {
  const K210Segment segments[] = {{-1000, 0, 0, 3}, {0, 1, 1, 3}, {100, 0, 0, 200}};
  CHECK(k210_activate(segments, -5000) == 3);  // below all: the first
  CHECK(k210_activate(segments, 0) == 3);
  CHECK(k210_activate(segments, 10) == 8);
  CHECK(k210_activate(segments, 100) == 53);
  CHECK(k210_activate(segments, 101) == 200);
  const K210Segment steep[] = {{0, 100, 0, 0}};
  CHECK(k210_activate(steep, 3) == 255);
  CHECK(k210_activate(steep, -3) == 0);
  CHECK(k210_batch_norm(-7, 13, 5, 1) == -2);  // floor(-2.84) + 1
  K210Corrections c;
  c.arg_x = -3, c.shift_x = 1, c.arg_w = 5, c.shift_w = 2, c.arg_add = 7;
  // 100 + floor(-3 * 5 / 2) + floor(5 * -1 / 4) + 7 * 2.
  CHECK(k210_conv_value(c, 100, 5, -1, 2) == 100 - 8 - 2 + 14);
}

NvdlaLut ramp_lut() {
  NvdlaLut lut;
  lut.le_exponential = false;
  lut.le_index_select = 4;
  lut.le_axis = {-512, 512, {}, {}};
  for (size_t i = 0; i < lut.le.size(); ++i) lut.le[i] = static_cast<int64_t>(i);
  lut.lo_index_select = 1;
  lut.lo_axis = {-256, 256, {}, {}};
  for (size_t i = 0; i < lut.lo.size(); ++i) lut.lo[i] = static_cast<int64_t>(1000 + i);
  return lut;
}

TEST_CASE("nvdla_lut: linear tables interpolate, half away from zero") {
  NvdlaLut lut = ramp_lut();
  CHECK(lut(0) == 32);  // LE: 512 / 16
  CHECK(lut(7) == 32);  // 32.44
  CHECK(lut(8) == 33);  // a tie
  for (int64_t& y : lut.le) y = -y;
  CHECK(lut(8) == -33);
  lut.hybrid = NvdlaLut::Table::lo;
  CHECK(lut(0) == 1128);   // LO: 256 / 2
  CHECK(lut(1) == 1129);   // 1128.5
  CHECK(lut(300) == -51);  // only LE is hit: 812 / 16 = 50.75
}

TEST_CASE("nvdla_lut: beyond both tables a slope continues the chosen one") {
  NvdlaLut lut = ramp_lut();
  lut.le_axis.underflow = {3, 1};
  lut.le_axis.overflow = {-2, 0};
  lut.lo_axis.overflow = {1, -3};
  CHECK(lut(-512) == 0);   // x <= start underflows, distance 0
  CHECK(lut(-513) == -2);  // -1.5 away from zero
  CHECK(lut(512) == 64);   // the last entry, distance 0
  CHECK(lut(515) == 64 - 6);
  lut.overflow = NvdlaLut::Table::lo;
  CHECK(lut(515) == 1256 + (515 - 256) * 8);
  lut.le_axis.underflow = {32767, -15};
  CHECK(lut(INT32_MIN) == INT32_MIN);  // saturated
}

TEST_CASE("nvdla_lut: the exponential table doubles its steps") {
  NvdlaLut lut = ramp_lut();
  lut.le_exponential = true;
  lut.le_index_offset = 2;
  lut.le_axis = {0, 1 << 20, {1, 0}, {}};
  lut.lo_axis.start = INT32_MAX - 1;  // never hit but at the very end
  for (size_t i = 0; i < lut.le.size(); ++i) lut.le[i] = static_cast<int64_t>(100 * i);
  CHECK(lut(4) == 0);   // log2 4 - 2
  CHECK(lut(6) == 50);  // half way to 8
  CHECK(lut(8) == 100);
  CHECK(lut(12) == 150);
  CHECK(lut(1 << 10) == 800);
  CHECK(lut(3) == -1);  // below start + 2^2: the slope goes on from there
  CHECK(lut(-10) == -14);
}

TEST_CASE("nvdla_lut: shifts that no table has are refused") {
  NvdlaLut lut = ramp_lut();
  lut.lo_index_select = 35;
  CHECK(lut(0) == 32);
  lut.lo_index_select = 36;
  CHECK_THROWS_WITH_AS(lut(0), doctest::Contains("nvdla_lut lo_index_select: 36"), Error);
  lut = ramp_lut();
  lut.le_index_select = -1;
  CHECK_THROWS_WITH_AS(lut(0), doctest::Contains("nvdla_lut le_index_select: -1"), Error);
  lut = ramp_lut();
  lut.le_index_offset = 63;
  CHECK_THROWS_WITH_AS(lut(0), doctest::Contains("nvdla_lut le_index_offset: 63"), Error);
}

}  // namespace
}  // namespace facsim::sim
