// SPDX-License-Identifier: Apache-2.0
// Requantizations recorded from the platforms' own code, one row per accumulator, against the step
// programs. FACSIM_SCALAR_DIR names the folder; without it the test says that it was skipped.
#include <doctest/doctest.h>

#include <bit>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>

#include "backends/io/npy.h"
#include "sim/kernels/requantize.h"
#include "sim/requantize/programs.h"

namespace facsim::sim {
namespace {

using Integers = std::vector<int64_t>;
using Reals = std::vector<float>;

/// One table, or nothing when it is not there.
std::optional<backends::NpzFile> open(const char* name) {
  const char* folder = std::getenv("FACSIM_SCALAR_DIR");
  if (folder == nullptr) {
    std::cout << "SKIPPED: FACSIM_SCALAR_DIR is not set\n";
    return std::nullopt;
  }
  return backends::NpzFile(std::filesystem::path(folder) / name);
}

Integers integers(const backends::NpzFile& table, const char* column) {
  const Tensor t = table.read(column);
  Integers out(static_cast<size_t>(t.numel()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = t.int_at(static_cast<int64_t>(i));
  return out;
}

Reals reals(const backends::NpzFile& table, const char* column) {
  const Tensor t = table.read(column);
  const auto values = t.values<float>();
  return {values.begin(), values.end()};
}

template <class To, class From, class F>
std::vector<To> map(const std::vector<From>& values, F&& f) {
  std::vector<To> out;
  out.reserve(values.size());
  for (From v : values) out.push_back(static_cast<To>(f(v)));
  return out;
}

Integers filled(size_t rows, int64_t value) { return Integers(rows, value); }

/// The arguments of the float programs for int8 or uint8 codes without a fused activation.
Arguments float_arguments(const Reals& scale, const Integers& zero_point, IntType type) {
  Arguments a;
  a.integers["zero_point"] = zero_point;
  a.reals["scale"] = scale;
  a.reals["zero_point"] = map<float>(zero_point, [](int64_t z) { return z; });
  a.reals["clamp_min"] = {static_cast<float>(type.min())};
  a.reals["clamp_max"] = {static_cast<float>(type.max())};
  a.reals["clamp_min_minus_zero_point"] =
      map<float>(zero_point, [&](int64_t z) { return type.min() - z; });
  a.reals["clamp_max_minus_zero_point"] =
      map<float>(zero_point, [&](int64_t z) { return type.max() - z; });
  return a;
}

/// Every row is a channel. Compares the norm, and the kernels, with the column `expected` where
/// `valid` is not 0.
void compare(const StepProgram& program, const Arguments& arguments, IntType output,
             const Integers& acc, const Integers& expected, const Integers& valid) {
  const Requantizer norm(program, arguments, output);
  const RequantizeKernel kernel(norm, *std::min_element(acc.begin(), acc.end()),
                                *std::max_element(acc.begin(), acc.end()));
  const auto rows = static_cast<int64_t>(acc.size());
  Tensor out(output.storage(), {rows});
  kernel.run(acc.data(), rows, 1, 0, rows, out.raw(), rows, Isa::best, false);
  Tensor out32 = out.clone();
  if (output.bits <= 16 && kernel.form() != "block") {
    const auto acc32 = map<int32_t>(acc, [](int64_t v) { return v; });
    kernel.run(acc32.data(), rows, 1, 0, rows, out32.raw(), rows, Isa::best, false);
  }
  int64_t compared = 0;
  for (size_t i = 0; i < acc.size(); ++i) {
    if (valid[i] == 0) continue;
    ++compared;
    Events events;
    const auto row = static_cast<int64_t>(i);
    const int64_t got = norm.apply(acc[i], row, events);
    if (got != expected[i] || out.int_at(row) != got || out32.int_at(row) != got) {
      FAIL("row " << i << " acc " << acc[i] << ": expected " << expected[i] << ", norm " << got
                  << ", kernels " << out.int_at(row) << " and " << out32.int_at(row));
    }
  }
  CHECK(compared > 100);
  MESSAGE(compared << " rows equal, form " << kernel.form());
}

/// TFLite's exponent (positive: left) as our two right and left shifts.
void set_exponent(Arguments& a, const Integers& exponent) {
  a.integers["left_shift"] = map<int64_t>(exponent, [](int64_t e) { return e > 0 ? e : 0; });
  a.integers["shift"] = map<int64_t>(exponent, [](int64_t e) { return e < 0 ? -e : 0; });
}

Arguments output_stage(const backends::NpzFile& t) {
  Arguments a;
  a.integers["multiplier"] = integers(t, "mult");
  a.integers["zero_point"] = integers(t, "zp");
  a.integers["clamp_min"] = integers(t, "mn");
  a.integers["clamp_max"] = integers(t, "mx");
  return a;
}

/// TFLite's 16-bit multiplier of the int64 path.
Integers reduced(const Integers& multiplier) {
  return map<int64_t>(multiplier,
                      [](int64_t m) { return m < 0x7FFF0000 ? (m + (1 << 15)) >> 16 : 0x7FFF; });
}

TEST_CASE("scalar tables: TFLM and CMSIS-NN, double rounding") {
  for (const char* name : {"tflm_mbqm_double.npz", "cmsisnn_requantize_double.npz"}) {
    const auto t = open(name);
    if (!t) return;
    CAPTURE(std::string(name));
    Arguments a = output_stage(*t);
    set_exponent(a, integers(*t, "shift"));
    compare(programs::fixed_point_double(kInt8), a, kInt8, integers(*t, "acc"), integers(*t, "out"),
            integers(*t, "defined"));
  }
}

TEST_CASE("scalar tables: TFLM and CMSIS-NN, single rounding") {
  for (const char* name : {"tflm_mbqm_single.npz", "cmsisnn_requantize_single.npz"}) {
    const auto t = open(name);
    if (!t) return;
    CAPTURE(std::string(name));
    Arguments a = output_stage(*t);
    a.integers["shift"] = map<int64_t>(integers(*t, "shift"), [](int64_t e) { return 31 - e; });
    compare(programs::fixed_point_single(kInt8), a, kInt8, integers(*t, "acc"), integers(*t, "out"),
            integers(*t, "defined"));
  }
}

TEST_CASE("scalar tables: TFLM and CMSIS-NN, 64-bit accumulators") {
  const auto tflm = open("tflm_mbqm_int64.npz");
  const auto cmsis = open("cmsisnn_requantize_s64.npz");
  if (!tflm || !cmsis) return;
  Arguments a;
  a.integers["multiplier"] = reduced(integers(*tflm, "mult"));
  a.integers["shift"] = map<int64_t>(integers(*tflm, "shift"), [](int64_t e) { return 15 - e; });
  a.integers["zero_point"] = {0};
  a.integers["clamp_min"] = {INT16_MIN};
  a.integers["clamp_max"] = {INT16_MAX};
  compare(programs::fixed_point_single(kInt16), a, kInt16, integers(*tflm, "acc"),
          integers(*tflm, "out"), integers(*tflm, "defined"));
  a.integers["multiplier"] = integers(*cmsis, "reduced");
  a.integers["shift"] = map<int64_t>(integers(*cmsis, "shift"), [](int64_t e) { return 14 - e; });
  a.integers["clamp_min"] = {INT32_MIN};
  a.integers["clamp_max"] = {INT32_MAX};
  compare(programs::fixed_point_int64_narrowing(kInt32), a, kInt32, integers(*cmsis, "acc"),
          integers(*cmsis, "y"), integers(*cmsis, "defined"));
}

TEST_CASE("scalar tables: gemmlowp output stages") {
  const auto t = open("gemmlowp_output_stages.npz");
  if (!t) return;
  Arguments a = output_stage(*t);
  set_exponent(a, integers(*t, "shift"));
  const Integers acc = integers(*t, "acc");
  compare(programs::fixed_point_double_saturating(kInt8), a, kInt8, acc,
          integers(*t, "clamp_sat_int8"), filled(acc.size(), 1));
}

TEST_CASE("scalar tables: gemmlowp legacy uint8 stage") {
  const auto t = open("gemmlowp_legacy_uint8_scale.npz");
  if (!t) return;
  Arguments a;
  a.integers["zero_point_scaled"] = integers(*t, "result_offset");
  a.integers["multiplier"] = integers(*t, "result_mult_int");
  a.integers["shift"] = integers(*t, "result_shift");
  a.integers["clamp_min"] = {0};
  a.integers["clamp_max"] = {255};
  const Integers acc = integers(*t, "acc");
  compare(programs::offset_multiply_shift(kUint8), a, kUint8, acc, integers(*t, "u8"),
          filled(acc.size(), 1));
}

StepProgram xnnpack_fp32(IntType output) {
  return programs::float_zero_point_after(output, Rounding::half_even, programs::FloatBias::none,
                                          programs::FloatScale::multiply);
}

TEST_CASE("scalar tables: XNNPACK and ONNX Runtime, float32 scale") {
  const auto xnnpack = open("xnnpack_fc_conv.npz");
  const auto ort = open("onnxruntime_qlinear.npz");
  if (!xnnpack || !ort) return;
  const auto plus_128 = [](int64_t z) { return z + 128; };
  const auto check = [&](const backends::NpzFile& t, const char* expected, IntType type) {
    CAPTURE(std::string(expected));
    const Integers acc = integers(t, "acc");
    Integers zero_point = integers(t, "zp");
    if (!type.is_signed) zero_point = map<int64_t>(zero_point, plus_128);
    compare(xnnpack_fp32(type), float_arguments(reals(t, "scale"), zero_point, type), type, acc,
            integers(t, expected), filled(acc.size(), 1));
  };
  check(*xnnpack, "qs8", kInt8);
  check(*xnnpack, "qc8_conv1x1", kInt8);
  check(*xnnpack, "qu8", kUint8);
  check(*ort, "conv_s8", kInt8);
  check(*ort, "conv_u8", kUint8);
  const Integers acc = integers(*ort, "acc");
  compare(programs::float_zero_point_after(kInt8, Rounding::half_even, programs::FloatBias::none,
                                           programs::FloatScale::divide),
          float_arguments(reals(*ort, "ql_y_scale"), integers(*ort, "zp"), kInt8), kInt8, acc,
          integers(*ort, "ql_s8"), filled(acc.size(), 1));
}

TEST_CASE("scalar tables: XNNPACK rndnu") {
  const auto t = open("xnnpack_requantize_scalar.npz");
  if (!t) return;
  const Integers acc = integers(*t, "acc");
  const Reals scale = reals(*t, "scale");
  // The multiplier is the float32 mantissa, the shift its exponent.
  Arguments a;
  a.integers["multiplier"] = map<int64_t>(
      scale, [](float s) { return (std::bit_cast<uint32_t>(s) & 0x7FFFFF) | 0x800000; });
  a.integers["shift"] = map<int64_t>(scale, [](float s) {
    return 127 + 23 - static_cast<int64_t>(std::bit_cast<uint32_t>(s) >> 23);
  });
  a.integers["zero_point"] = integers(*t, "zp");
  a.integers["clamp_min"] = {-128};
  a.integers["clamp_max"] = {127};
  compare(programs::fixed_point_single(kInt8), a, kInt8, acc, integers(*t, "qs8_rndnu"),
          filled(acc.size(), 1));
}

TEST_CASE("scalar tables: oneDNN") {
  const auto t = open("onednn_int8.npz");
  if (!t) return;
  const Integers acc = integers(*t, "acc");
  const auto program = [](programs::FloatBias bias) {
    return programs::float_zero_point_before(kInt8, Rounding::half_even, bias,
                                             programs::FloatScale::multiply);
  };
  Arguments a = float_arguments(reals(*t, "scale"), filled(acc.size(), 0), kInt8);
  a.reals["bias"] = map<float>(integers(*t, "bias"), [](int64_t b) { return b; });
  compare(program(programs::FloatBias::before_scale), a, kInt8, integers(*t, "real_acc"),
          integers(*t, "ip_s8"), filled(acc.size(), 1));
  compare(program(programs::FloatBias::none),
          float_arguments(reals(*t, "scale"), integers(*t, "zp"), kInt8), kInt8, acc,
          integers(*t, "matmul_s8_dst_zp"), filled(acc.size(), 1));
}

TEST_CASE("scalar tables: NVDLA output converter") {
  const auto t = open("nvdla_sdp_cvt.npz");
  if (!t) return;
  Arguments a;
  a.integers["offset"] = integers(*t, "offset");
  a.integers["multiplier"] = integers(*t, "scale");
  a.integers["shift"] = integers(*t, "truncate");
  a.integers["zero_point"] = {0};
  a.integers["clamp_min"] = {-128};
  a.integers["clamp_max"] = {127};
  const Integers acc = integers(*t, "x");
  Integers legal = map<int64_t>(a.integers["shift"], [](int64_t n) { return n <= 62 ? 1 : 0; });
  for (int64_t& n : a.integers["shift"]) n = std::min<int64_t>(n, 62);
  compare(programs::offset_convert(kInt8, IntType{17, true}), a, kInt8, acc, integers(*t, "int8"),
          legal);
}

TEST_CASE("scalar tables: Vitis AI rounding methods") {
  const auto t = open("vitis_ai_round.npz");
  if (!t) return;
  const std::vector<double> x = t->read_float64("x");
  const std::pair<const char*, Rounding> methods[] = {
      {"round_m2", Rounding::half_up},
      {"round_m3", Rounding::half_away_from_zero},
      {"round_m4", Rounding::floor},
      {"round_m5", Rounding::neg_half_up_pos_half_even},
      {"round_m6", Rounding::half_toward_zero},
      {"round_m7", Rounding::ceil},
      {"round_m8", Rounding::half_even}};
  for (const auto& [column, mode] : methods) {
    const Integers expected = integers(*t, column);
    for (size_t i = 0; i < x.size(); ++i) {
      if (round_real(mode, x[i]) != static_cast<double>(expected[i])) {
        FAIL(std::string(column) << " of " << x[i] << ": expected " << expected[i]);
      }
    }
  }
  CHECK(x.size() > 100);
}

}  // namespace
}  // namespace facsim::sim
