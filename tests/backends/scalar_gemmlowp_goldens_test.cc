// SPDX-License-Identifier: Apache-2.0
// Recorded tables of gemmlowp's output stages, and of ruy.
#include <doctest/doctest.h>

#include "sim/requantize/fixed_point.h"
#include "sim/requantize/programs.h"
#include "tests/backends/scalar_rows.h"

namespace facsim::backends {
namespace {

namespace programs = sim::programs;
using sim::IntType;
using sim::Rounding;
using sim::StepProgram;
using test::apply_once;
using test::check_rows;
using test::integer_arguments;
using test::ScalarColumns;

TEST_CASE("platform tables: gemmlowp's parts, ruy") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("gemmlowp_output_stages");
  const ScalarColumns ruy("ruy_apply_multiplier");
  const auto acc = t.integers("acc"), m = t.integers("mult"), exponent = t.integers("shift"),
             zp = t.integers("zp"), a16 = t.integers("a16"), m16 = t.integers("m16");
  check_rows("srdhm32", t.integers("srdhm32"), [&](size_t row) {
    return sim::fixed_point::saturating_rounding_doubling_high_mul(static_cast<int32_t>(acc[row]),
                                                                   static_cast<int32_t>(m[row]));
  });
  check_rows("srdhm16", t.integers("srdhm16"), [&](size_t row) {
    const StepProgram program{
        {{.kind = sim::StepKind::mul, .a = sim::Operand::constant(m16[row]), .b = {}},
         {.kind = sim::StepKind::shr,
          .a = sim::Operand::constant(15),
          .b = {},
          .rounding = Rounding::half_up},
         {.kind = sim::StepKind::resize, .a = {}, .b = {}, .type = sim::kInt16}},
        false};
    return apply_once(program, {}, sim::kInt16, a16[row]);
  });
  check_rows("rdp", t.integers("rdp"), [&](size_t row) {
    if (exponent[row] > 0) return int64_t{0};
    return int64_t{sim::fixed_point::rounding_divide_by_pot(static_cast<int32_t>(acc[row]),
                                                            static_cast<int32_t>(-exponent[row]))};
  });
  const auto stage = [&](size_t row, IntType type, int64_t offset) {
    return apply_once(programs::fixed_point_double_saturating(type),
                      integer_arguments({{"multiplier", m[row]},
                                         {"left_shift", std::max<int64_t>(exponent[row], 0)},
                                         {"shift", std::max<int64_t>(-exponent[row], 0)},
                                         {"zero_point", zp[row] + offset},
                                         {"clamp_min", type.min()},
                                         {"clamp_max", type.max()}}),
                      type, acc[row]);
  };
  check_rows("scale_exp_offset", t.integers("scale_exp_offset"),
             [&](size_t row) { return stage(row, sim::kInt32, 0); });
  check_rows("sat_uint8_plus128", t.integers("sat_uint8_plus128"),
             [&](size_t row) { return stage(row, sim::kUint8, 128); });
  const auto ruy_acc = ruy.integers("acc"), ruy_m = ruy.integers("mult"),
             ruy_exponent = ruy.integers("shift");
  check_rows("ruy", ruy.integers("y"), [&](size_t row) {
    return apply_once(programs::fixed_point_single(sim::kInt32),
                      integer_arguments({{"multiplier", ruy_m[row]},
                                         {"shift", 31 - ruy_exponent[row]},
                                         {"zero_point", 0},
                                         {"clamp_min", INT32_MIN},
                                         {"clamp_max", INT32_MAX}}),
                      sim::kInt32, ruy_acc[row]);
  });
}

}  // namespace
}  // namespace facsim::backends
