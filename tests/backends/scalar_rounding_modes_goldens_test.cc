// SPDX-License-Identifier: Apache-2.0
// Recorded tables with a column for each rounding mode of a platform: Vitis AI, Vivado, qonnx.
#include <doctest/doctest.h>

#include <cmath>

#include "sim/requantize/platform_programs.h"
#include "tests/backends/scalar_rows.h"

namespace facsim::backends {
namespace {

namespace programs = sim::programs;
using sim::Arguments;
using sim::Overflow;
using sim::Requantizer;
using sim::Rounding;
using test::apply_once;
using test::check_rows;
using test::integer_arguments;
using test::ScalarColumns;

TEST_CASE("platform tables: Vitis AI quantizes with seven rounding methods") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("vitis_ai_round");
  const auto x = t.doubles("x");
  const std::pair<const char*, Rounding> methods[] = {
      {"fix8_m2", Rounding::half_up},
      {"fix8_m3", Rounding::half_away_from_zero},
      {"fix8_m4", Rounding::floor},
      {"fix8_m5", Rounding::neg_half_up_pos_half_even},
      {"fix8_m6", Rounding::half_toward_zero},
      {"fix8_m7", Rounding::ceil},
      {"fix8_m8", Rounding::half_even}};
  for (const auto& [column, rounding] : methods) {
    check_rows(column, t.integers(column), [&, mode = rounding](size_t row) {
      // x / 4 in steps of 1 / 4, saturated to int8.
      bool changed = false;
      return static_cast<int64_t>(sim::bring_into(
          Overflow::saturate, static_cast<sim::int128>(sim::round_real(mode, x[row])), sim::kInt8,
          changed));
    });
  }
}

TEST_CASE("platform tables: the 28 modes of Vivado's ap_fixed") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("vivado_ap_fixed");
  const auto x = t.doubles("x");
  std::vector<int64_t> raw(x.size());
  for (size_t i = 0; i < x.size(); ++i) raw[i] = static_cast<int64_t>(std::ldexp(x[i], 12));
  const std::pair<const char*, Rounding> roundings[] = {
      {"RND", Rounding::half_up},           {"RND_ZERO", Rounding::half_toward_zero},
      {"RND_MIN_INF", Rounding::half_down}, {"RND_INF", Rounding::half_away_from_zero},
      {"RND_CONV", Rounding::half_even},    {"TRN", Rounding::floor},
      {"TRN_ZERO", Rounding::toward_zero}};
  const std::pair<const char*, Overflow> overflows[] = {{"SAT", Overflow::saturate},
                                                        {"SAT_ZERO", Overflow::saturate_zero},
                                                        {"SAT_SYM", Overflow::saturate_symmetric},
                                                        {"WRAP", Overflow::wrap}};
  // ap_fixed<32, 20> has 12 fraction bits, ap_fixed<8, 5> 3.
  const Arguments nine = integer_arguments({{"shift", 9}});
  for (const auto& [q, rounding] : roundings) {
    for (const auto& [o, overflow] : overflows) {
      const std::string column = std::string(q) + "_" + o;
      const Requantizer cast(programs::ap_fixed_cast(sim::kInt8, rounding, overflow), nine,
                             sim::kInt8);
      sim::Events events;
      check_rows(column.c_str(), t.integers(column),
                 [&](size_t row) { return cast.apply(raw[row], 0, events); });
    }
  }
}

TEST_CASE("platform tables: qonnx Quant and Trunc") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns quant("qonnx_intquant");
  const ScalarColumns trunc("qonnx_trunc_v1");
  const std::pair<const char*, Rounding> modes[] = {{"ROUND", Rounding::half_even},
                                                    {"CEIL", Rounding::ceil},
                                                    {"FLOOR", Rounding::floor},
                                                    {"UP", Rounding::away_from_zero},
                                                    {"DOWN", Rounding::toward_zero},
                                                    {"HALF_UP", Rounding::half_away_from_zero},
                                                    {"HALF_DOWN", Rounding::half_toward_zero},
                                                    {"HALF_EVEN", Rounding::half_even}};
  const auto x = quant.doubles("x");
  const auto x_int = trunc.integers("x_int");
  for (const auto& [name, rounding] : modes) {
    for (const bool narrow : {false, true}) {
      const std::string column = std::string(narrow ? "q8_narrow_" : "q8_") + name;
      Arguments a;
      a.reals["scale"] = {1.0F};
      a.reals["zero_point"] = {0.0F};
      a.reals["clamp_min"] = {narrow ? -127.0F : -128.0F};
      a.reals["clamp_max"] = {127.0F};
      const Requantizer quantizer(programs::qonnx_quant(sim::kInt8, rounding), a, sim::kInt8);
      sim::Events events;
      check_rows(column.c_str(), quant.integers(column), [&](size_t row) {
        REQUIRE(static_cast<double>(static_cast<float>(x[row])) == x[row]);
        return quantizer.apply_real(static_cast<float>(x[row]), 0, events);
      });
    }
    const std::string column = std::string("t_") + name;
    check_rows(column.c_str(), trunc.integers(column), [&, mode = rounding](size_t row) {
      return apply_once(programs::qonnx_trunc(programs::QonnxTrunc::v1, {9, true}, mode),
                        integer_arguments({{"shift", 4}}), {9, true}, x_int[row]);
    });
  }
}

}  // namespace
}  // namespace facsim::backends
