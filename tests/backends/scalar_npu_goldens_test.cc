// SPDX-License-Identifier: Apache-2.0
// Recorded tables of NPUs: TOSA, Vela (Ethos-U) with the TFLite builds it follows, NVDLA.
#include <doctest/doctest.h>

#include "quant/npu_scale.h"
#include "sim/requantize/platform_programs.h"
#include "tests/backends/scalar_rows.h"

namespace facsim::backends {
namespace {

namespace programs = sim::programs;
using sim::Arguments;
using sim::IntType;
using test::apply_once;
using test::check_rows;
using test::check_rows_and_refusals;
using test::integer_arguments;
using test::ScalarColumns;

TEST_CASE("platform tables: TOSA apply_scale_32 and apply_scale_16, errors included") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("tosa_apply_scale_32");
  const ScalarColumns t16("tosa_apply_scale_16");
  const auto v = t.integers("value"), m = t.integers("multiplier"), s = t.integers("tosa_shift");
  const auto scaled = [&](programs::TosaRounding rounding) {
    return [&, rounding](size_t row) {
      const int64_t first = std::min<int64_t>(s[row], 31);
      // The model asks for these before it computes.
      if (m[row] < 0 || s[row] < 2) throw Error({ErrorCode::bad_value, "", "", "", ""});
      return apply_once(programs::tosa_apply_scale_32(rounding),
                        integer_arguments({{"multiplier", m[row]},
                                           {"shift", s[row]},
                                           {"first_shift", first},
                                           {"second_shift", s[row] - first},
                                           {"headroom", 62 - s[row]}}),
                        sim::kInt32, v[row]);
    };
  };
  check_rows_and_refusals("single", t.integers("y_single"), t.integers("ok_single"),
                          scaled(programs::TosaRounding::single_round));
  check_rows_and_refusals("double", t.integers("y_double"), t.integers("ok_double"),
                          scaled(programs::TosaRounding::double_round));
  const auto v16 = t16.integers("value"), m16 = t16.integers("multiplier"),
             s16 = t16.integers("tosa_shift");
  check_rows_and_refusals("scale16", t16.integers("y"), t16.integers("ok"), [&](size_t row) {
    if (m16[row] < 0 || s16[row] < 2) throw Error({ErrorCode::bad_value, "", "", "", ""});
    return apply_once(programs::tosa_apply_scale_16(),
                      integer_arguments({{"multiplier", m16[row]}, {"shift", s16[row]}}),
                      sim::kInt32, v16[row]);
  });
}

TEST_CASE("platform tables: reciprocals of tap counts, TOSA's and Vela's") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns tosa("tosa_reciprocal_scale");
  const ScalarColumns vela("vela_pooling_scale");
  const auto n = tosa.integers("n");
  check_rows("tosa multiplier", tosa.integers("multiplier"),
             [&](size_t row) { return quant::tosa_reciprocal_scale(n[row]).multiplier; });
  check_rows("tosa shift", tosa.integers("shift"),
             [&](size_t row) { return quant::tosa_reciprocal_scale(n[row]).shift; });
  const auto taps = vela.integers("n");
  check_rows("vela scale", vela.integers("scale"),
             [&](size_t row) { return quant::vela_pooling_scale(taps[row]).multiplier; });
  check_rows("vela shift", vela.integers("shift"),
             [&](size_t row) { return quant::vela_pooling_scale(taps[row]).shift; });
}

TEST_CASE("platform tables: multipliers of TFLite's two builds and of Vela") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("quantize_multiplier");
  const auto real = t.doubles("real");
  const auto tflite = [&](size_t row) { return quant::derive_multiplier(real[row], {}); };
  check_rows("tflm_mult", t.integers("tflm_mult"),
             [&](size_t row) { return tflite(row).multiplier; });
  // TFLite's shift is an exponent; of a multiplier 0 it is 0.
  check_rows("tflm_shift", t.integers("tflm_shift"),
             [&](size_t row) { return 31 - tflite(row).shift; });
  const auto single = [&](size_t row) { return quant::tflite_single_rounding_scale(real[row]); };
  check_rows("tflm_single_mult", t.integers("tflm_single_mult"),
             [&](size_t row) { return single(row).multiplier; });
  check_rows("tflm_single_shift", t.integers("tflm_single_shift"),
             [&](size_t row) { return 31 - single(row).shift; });
  const auto vela_mult = t.integers("vela_mult");
  const auto vela = [&](size_t row) { return quant::vela_scale(real[row]); };
  const auto reduced = [&](size_t row) { return quant::vela_reduced_scale(real[row]); };
  check_rows("vela_mult", vela_mult, [&](size_t row) { return vela(row).multiplier; });
  check_rows("vela_rshift", t.integers("vela_rshift"), [&](size_t row) { return vela(row).shift; });
  check_rows("vela_reduced_mult", t.integers("vela_reduced_mult"),
             [&](size_t row) { return reduced(row).multiplier; });
  check_rows("vela_reduced_rshift", t.integers("vela_reduced_rshift"),
             [&](size_t row) { return reduced(row).shift; });
}

TEST_CASE("platform tables: NVDLA's converter and its X stage") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("nvdla_sdp_cvt");
  const auto x = t.integers("x"), offset = t.integers("offset"), scale = t.integers("scale"),
             truncate = t.integers("truncate"), product = t.integers("product49");
  // A 49-bit product shifted by 62 or 63 is 0 either way; our steps shift by 62 at most.
  const auto arguments = [&](size_t row) {
    return integer_arguments({{"offset", offset[row]},
                              {"multiplier", scale[row]},
                              {"shift", std::min<int64_t>(truncate[row], 62)}});
  };
  for (const int bits : {17, 16, 8}) {
    const std::string column = bits == 17 ? "trunc17" : "int" + std::to_string(bits);
    check_rows(column.c_str(), t.integers(column), [&](size_t row) {
      const IntType type{bits, true};
      return apply_once(programs::nvdla_convert(type), arguments(row), type, x[row]);
    });
  }
  check_rows("x_trt32", t.integers("x_trt32"), [&](size_t row) {
    Arguments a = arguments(row);
    a.integers["operand"] = {-offset[row]};
    return apply_once(programs::nvdla_sdp_stage(programs::NvdlaAlu::add, programs::NvdlaRelu::off),
                      a, sim::kInt32, x[row]);
  });
  check_rows("product49", product, [&](size_t row) { return (x[row] - offset[row]) * scale[row]; });
}

}  // namespace
}  // namespace facsim::backends
