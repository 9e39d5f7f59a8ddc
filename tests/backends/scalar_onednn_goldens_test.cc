// SPDX-License-Identifier: Apache-2.0
// Recorded tables of oneDNN: int32 results, inner products, average pools.
#include <doctest/doctest.h>

#include "backends/lower/lower.h"
#include "sim/requantize/platform_programs.h"
#include "sim/requantize/programs.h"
#include "tests/backends/scalar_rows.h"

namespace facsim::backends {
namespace {

namespace programs = sim::programs;
using sim::Arguments;
using sim::IntType;
using sim::Rounding;
using sim::StepProgram;
using test::apply_once;
using test::check_rows;
using test::ScalarColumns;

TEST_CASE("platform tables: oneDNN's int32 results pass through float32") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("onednn_s32_via_float");
  const ScalarColumns layer("onednn_int8");
  const auto acc = t.integers("acc"), bias = t.integers("bias");
  const auto s32 = [](int64_t sum, int64_t b) {
    Arguments a;
    a.reals["bias"] = {static_cast<float>(b)};
    return apply_once(programs::onednn_s32(programs::OnednnBias::float32), a, sim::kInt32, sum);
  };
  check_rows(
      "s32_with_bias", t.integers("s32_with_bias"),
      [&](size_t row) { return s32(acc[row], bias[row]); }, 16);
  check_rows(
      "s32_no_bias", t.integers("s32_no_bias"),
      [&](size_t row) {
        return apply_once(programs::onednn_s32(programs::OnednnBias::none), {}, sim::kInt32,
                          acc[row]);
      },
      16);
  const auto real_acc = layer.integers("real_acc"), layer_bias = layer.integers("bias");
  check_rows("ip_s32_scale1", layer.integers("ip_s32_scale1"),
             [&](size_t row) { return s32(real_acc[row], layer_bias[row]); });
}

TEST_CASE("platform tables: oneDNN inner products whose bias is the whole sum") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("onednn_int8");
  const auto acc = t.integers("acc");
  const auto scale = t.reals("scale");
  for (const IntType type : {sim::kInt8, sim::kUint8}) {
    const StepProgram program = programs::float_zero_point_before(type, Rounding::half_even,
                                                                  programs::FloatBias::before_scale,
                                                                  programs::FloatScale::multiply);
    check_rows(type.is_signed ? "ip_s8_bias_only" : "ip_u8_bias_only",
               t.integers(type.is_signed ? "ip_s8_bias_only" : "ip_u8_bias_only"), [&](size_t row) {
                 Arguments a;
                 a.reals["scale"] = {scale[row]};
                 a.reals["bias"] = {static_cast<float>(acc[row])};
                 a.reals["zero_point"] = {0.0F};
                 a.reals["clamp_min"] = {static_cast<float>(type.min())};
                 a.reals["clamp_max"] = {static_cast<float>(type.max())};
                 return apply_once(program, a, type, 0);
               });
  }
}

TEST_CASE("platform tables: oneDNN's average pools multiply by a reciprocal") {
  REQUIRE_SCALAR_TABLES();
  const ScalarColumns t("onednn_avgpool_s8");
  const Profile profile =
      load_profile("tflite-reference", ProfileSearch::standard(),
                   {{"/ops/avg_pool2d/params", "null"},
                    {"/ops/avg_pool2d/algorithm", "onednn.reciprocal_average"}});
  const quant::QParams unit;
  const auto sum = t.integers("sum"), count = t.integers("count");
  check_rows(
      "out", t.integers("out"),
      [&](size_t row) {
        sim::Window2d window;
        window.kernel = {1, count[row]};
        const auto pool = lower_avg_pool2d(profile, window, false, false, unit, unit,
                                           Activation::none, 1, count[row]);
        Tensor image(DType::int8, {1, 1, count[row], 1});
        for (int64_t left = count[row], rest = sum[row]; left > 0; --left) {
          image.set_int(left - 1, rest / left);
          rest -= rest / left;
        }
        Tensor output(DType::int8, {1, 1, 1, 1});
        const Tensor* const inputs[] = {&image};
        pool->run(inputs, output, {.isa = sim::Isa::scalar});
        return output.int_at(0);
      },
      100);
}

}  // namespace
}  // namespace facsim::backends
