// SPDX-License-Identifier: Apache-2.0
// Recorded tables of platforms whose profiles need more than a requantization: every valid row
// through sim, quant and backends. What scalar_tables_test and scalar_goldens_test check is not
// repeated.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>

#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "quant/npu_scale.h"
#include "sim/core/error.h"
#include "sim/requantize/fixed_point.h"
#include "sim/requantize/platform_programs.h"
#include "sim/requantize/programs.h"
#include "sim/requantize/requantizer.h"

namespace facsim::backends {
namespace {

namespace programs = sim::programs;
using sim::Arguments;
using sim::IntType;
using sim::Overflow;
using sim::Requantizer;
using sim::Rounding;
using sim::StepProgram;

/// One recorded table.
class PlatformTable {
 public:
  /// Nothing, and says so, when the folder is not given.
  static std::optional<PlatformTable> open(const char* name) {
    const char* folder = std::getenv("FACSIM_SCALAR_DIR");
    if (folder == nullptr) {
      std::cout << "SKIPPED: FACSIM_SCALAR_DIR is not set\n";
      return std::nullopt;
    }
    return PlatformTable(std::filesystem::path(folder) / (std::string(name) + ".npz"));
  }

  std::vector<int64_t> integers(const std::string& column) const {
    const Tensor t = file_.read(column);
    std::vector<int64_t> out(static_cast<size_t>(t.numel()));
    for (size_t i = 0; i < out.size(); ++i) out[i] = t.int_at(static_cast<int64_t>(i));
    return out;
  }
  std::vector<float> reals(const std::string& column) const {
    const Tensor t = file_.read(column);
    return {t.values<float>().begin(), t.values<float>().end()};
  }
  std::vector<double> doubles(const std::string& column) const {
    return file_.read_float64(column);
  }

 private:
  explicit PlatformTable(const std::filesystem::path& path) : file_(path) {}
  NpzFile file_;
};

/// Counts the rows that `got` reproduces; reports the first that it does not.
void check_rows(const char* what, const std::vector<int64_t>& expected,
                const std::function<int64_t(size_t)>& got, size_t at_least = 1000) {
  size_t different = 0;
  for (size_t row = 0; row < expected.size(); ++row) {
    const int64_t value = got(row);
    if (value == expected[row]) continue;
    if (different++ == 0) {
      MESSAGE(what << " row " << row << ": expected " << expected[row] << ", got " << value);
    }
  }
  CAPTURE(what);
  CHECK(expected.size() >= at_least);
  CHECK(different == 0);
}

/// As check_rows for an operation that the platform refuses exactly where `ok` is 0.
void check_rows_and_refusals(const char* what, const std::vector<int64_t>& expected,
                             const std::vector<int64_t>& ok,
                             const std::function<int64_t(size_t)>& got) {
  size_t different = 0, refused = 0;
  for (size_t row = 0; row < expected.size(); ++row) {
    std::optional<int64_t> value;
    try {
      value = got(row);
    } catch (const Error&) {
      ++refused;
    }
    const bool equal = ok[row] != 0 ? value == expected[row] : !value.has_value();
    if (!equal && different++ == 0) {
      MESSAGE(what << " row " << row << " ok " << ok[row] << ": expected " << expected[row]
                   << ", got " << (value ? *value : 0));
    }
  }
  CAPTURE(what);
  CHECK(expected.size() - refused >= 1000);
  CHECK(refused > 0);
  CHECK(different == 0);
}

int64_t apply_once(const StepProgram& program, const Arguments& arguments, IntType output,
                   int64_t v) {
  sim::Events events;
  return Requantizer(program, arguments, output).apply(v, 0, events);
}

Arguments integer_arguments(std::initializer_list<std::pair<const char*, int64_t>> values) {
  Arguments a;
  for (const auto& [name, value] : values) a.integers[name] = {value};
  return a;
}

TEST_CASE("platform tables: TOSA apply_scale_32 and apply_scale_16, errors included") {
  const auto t = PlatformTable::open("tosa_apply_scale_32");
  const auto t16 = PlatformTable::open("tosa_apply_scale_16");
  if (!t || !t16) return;
  const auto v = t->integers("value"), m = t->integers("multiplier"), s = t->integers("tosa_shift");
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
  check_rows_and_refusals("single", t->integers("y_single"), t->integers("ok_single"),
                          scaled(programs::TosaRounding::single_round));
  check_rows_and_refusals("double", t->integers("y_double"), t->integers("ok_double"),
                          scaled(programs::TosaRounding::double_round));
  const auto v16 = t16->integers("value"), m16 = t16->integers("multiplier"),
             s16 = t16->integers("tosa_shift");
  check_rows_and_refusals("scale16", t16->integers("y"), t16->integers("ok"), [&](size_t row) {
    if (m16[row] < 0 || s16[row] < 2) throw Error({ErrorCode::bad_value, "", "", "", ""});
    return apply_once(programs::tosa_apply_scale_16(),
                      integer_arguments({{"multiplier", m16[row]}, {"shift", s16[row]}}),
                      sim::kInt32, v16[row]);
  });
}

TEST_CASE("platform tables: reciprocals of tap counts, TOSA's and Vela's") {
  const auto tosa = PlatformTable::open("tosa_reciprocal_scale");
  const auto vela = PlatformTable::open("vela_pooling_scale");
  if (!tosa || !vela) return;
  const auto n = tosa->integers("n");
  check_rows("tosa multiplier", tosa->integers("multiplier"),
             [&](size_t row) { return quant::tosa_reciprocal_scale(n[row]).multiplier; });
  check_rows("tosa shift", tosa->integers("shift"),
             [&](size_t row) { return quant::tosa_reciprocal_scale(n[row]).shift; });
  const auto taps = vela->integers("n");
  check_rows("vela scale", vela->integers("scale"),
             [&](size_t row) { return quant::vela_pooling_scale(taps[row]).multiplier; });
  check_rows("vela shift", vela->integers("shift"),
             [&](size_t row) { return quant::vela_pooling_scale(taps[row]).shift; });
}

TEST_CASE("platform tables: multipliers of TFLite's two builds and of Vela") {
  const auto t = PlatformTable::open("quantize_multiplier");
  if (!t) return;
  const auto real = t->doubles("real");
  const auto tflite = [&](size_t row) { return quant::derive_multiplier(real[row], {}); };
  check_rows("tflm_mult", t->integers("tflm_mult"),
             [&](size_t row) { return tflite(row).multiplier; });
  // TFLite's shift is an exponent; of a multiplier 0 it is 0.
  check_rows("tflm_shift", t->integers("tflm_shift"),
             [&](size_t row) { return 31 - tflite(row).shift; });
  const auto single = [&](size_t row) { return quant::tflite_single_rounding_scale(real[row]); };
  check_rows("tflm_single_mult", t->integers("tflm_single_mult"),
             [&](size_t row) { return single(row).multiplier; });
  check_rows("tflm_single_shift", t->integers("tflm_single_shift"),
             [&](size_t row) { return 31 - single(row).shift; });
  const auto vela_mult = t->integers("vela_mult");
  const auto vela = [&](size_t row) { return quant::vela_scale(real[row]); };
  const auto reduced = [&](size_t row) { return quant::vela_reduced_scale(real[row]); };
  check_rows("vela_mult", vela_mult, [&](size_t row) { return vela(row).multiplier; });
  check_rows("vela_rshift", t->integers("vela_rshift"),
             [&](size_t row) { return vela(row).shift; });
  check_rows("vela_reduced_mult", t->integers("vela_reduced_mult"),
             [&](size_t row) { return reduced(row).multiplier; });
  check_rows("vela_reduced_rshift", t->integers("vela_reduced_rshift"),
             [&](size_t row) { return reduced(row).shift; });
}

TEST_CASE("platform tables: oneDNN's int32 results pass through float32") {
  const auto t = PlatformTable::open("onednn_s32_via_float");
  const auto layer = PlatformTable::open("onednn_int8");
  if (!t || !layer) return;
  const auto acc = t->integers("acc"), bias = t->integers("bias");
  const auto s32 = [](int64_t sum, int64_t b) {
    Arguments a;
    a.reals["bias"] = {static_cast<float>(b)};
    return apply_once(programs::onednn_s32(programs::OnednnBias::float32), a, sim::kInt32, sum);
  };
  check_rows(
      "s32_with_bias", t->integers("s32_with_bias"),
      [&](size_t row) { return s32(acc[row], bias[row]); }, 16);
  check_rows(
      "s32_no_bias", t->integers("s32_no_bias"),
      [&](size_t row) {
        return apply_once(programs::onednn_s32(programs::OnednnBias::none), {}, sim::kInt32,
                          acc[row]);
      },
      16);
  const auto real_acc = layer->integers("real_acc"), layer_bias = layer->integers("bias");
  check_rows("ip_s32_scale1", layer->integers("ip_s32_scale1"),
             [&](size_t row) { return s32(real_acc[row], layer_bias[row]); });
}

TEST_CASE("platform tables: oneDNN inner products whose bias is the whole sum") {
  const auto t = PlatformTable::open("onednn_int8");
  if (!t) return;
  const auto acc = t->integers("acc");
  const auto scale = t->reals("scale");
  for (const IntType type : {sim::kInt8, sim::kUint8}) {
    const StepProgram program = programs::float_zero_point_before(type, Rounding::half_even,
                                                                  programs::FloatBias::before_scale,
                                                                  programs::FloatScale::multiply);
    check_rows(type.is_signed ? "ip_s8_bias_only" : "ip_u8_bias_only",
               t->integers(type.is_signed ? "ip_s8_bias_only" : "ip_u8_bias_only"),
               [&](size_t row) {
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
  const auto t = PlatformTable::open("onednn_avgpool_s8");
  if (!t) return;
  const Profile profile =
      load_profile("tflite-reference", ProfileSearch::standard(),
                   {{"/ops/avg_pool2d/params", "null"},
                    {"/ops/avg_pool2d/algorithm", "onednn.reciprocal_average"}});
  const quant::QParams unit;
  const auto sum = t->integers("sum"), count = t->integers("count");
  check_rows(
      "out", t->integers("out"),
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

TEST_CASE("platform tables: NVDLA's converter and its X stage") {
  const auto t = PlatformTable::open("nvdla_sdp_cvt");
  if (!t) return;
  const auto x = t->integers("x"), offset = t->integers("offset"), scale = t->integers("scale"),
             truncate = t->integers("truncate"), product = t->integers("product49");
  // A 49-bit product shifted by 62 or 63 is 0 either way; our steps shift by 62 at most.
  const auto arguments = [&](size_t row) {
    return integer_arguments({{"offset", offset[row]},
                              {"multiplier", scale[row]},
                              {"shift", std::min<int64_t>(truncate[row], 62)}});
  };
  for (const int bits : {17, 16, 8}) {
    const std::string column = bits == 17 ? "trunc17" : "int" + std::to_string(bits);
    check_rows(column.c_str(), t->integers(column), [&](size_t row) {
      const IntType type{bits, true};
      return apply_once(programs::nvdla_convert(type), arguments(row), type, x[row]);
    });
  }
  check_rows("x_trt32", t->integers("x_trt32"), [&](size_t row) {
    Arguments a = arguments(row);
    a.integers["operand"] = {-offset[row]};
    return apply_once(programs::nvdla_sdp_stage(programs::NvdlaAlu::add, programs::NvdlaRelu::off),
                      a, sim::kInt32, x[row]);
  });
  check_rows("product49", product, [&](size_t row) { return (x[row] - offset[row]) * scale[row]; });
}

TEST_CASE("platform tables: Vitis AI quantizes with seven rounding methods") {
  const auto t = PlatformTable::open("vitis_ai_round");
  if (!t) return;
  const auto x = t->doubles("x");
  const std::pair<const char*, Rounding> methods[] = {
      {"fix8_m2", Rounding::half_up},
      {"fix8_m3", Rounding::half_away_from_zero},
      {"fix8_m4", Rounding::floor},
      {"fix8_m5", Rounding::neg_half_up_pos_half_even},
      {"fix8_m6", Rounding::half_toward_zero},
      {"fix8_m7", Rounding::ceil},
      {"fix8_m8", Rounding::half_even}};
  for (const auto& [column, rounding] : methods) {
    check_rows(column, t->integers(column), [&, mode = rounding](size_t row) {
      // x / 4 in steps of 1 / 4, saturated to int8.
      bool changed = false;
      return static_cast<int64_t>(sim::bring_into(
          Overflow::saturate, static_cast<sim::int128>(sim::round_real(mode, x[row])), sim::kInt8,
          changed));
    });
  }
}

TEST_CASE("platform tables: the 28 modes of Vivado's ap_fixed") {
  const auto t = PlatformTable::open("vivado_ap_fixed");
  if (!t) return;
  const auto x = t->doubles("x");
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
      check_rows(column.c_str(), t->integers(column),
                 [&](size_t row) { return cast.apply(raw[row], 0, events); });
    }
  }
}

TEST_CASE("platform tables: qonnx Quant and Trunc") {
  const auto quant = PlatformTable::open("qonnx_intquant");
  const auto trunc = PlatformTable::open("qonnx_trunc_v1");
  if (!quant || !trunc) return;
  const std::pair<const char*, Rounding> modes[] = {{"ROUND", Rounding::half_even},
                                                    {"CEIL", Rounding::ceil},
                                                    {"FLOOR", Rounding::floor},
                                                    {"UP", Rounding::away_from_zero},
                                                    {"DOWN", Rounding::toward_zero},
                                                    {"HALF_UP", Rounding::half_away_from_zero},
                                                    {"HALF_DOWN", Rounding::half_toward_zero},
                                                    {"HALF_EVEN", Rounding::half_even}};
  const auto x = quant->doubles("x");
  const auto x_int = trunc->integers("x_int");
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
      check_rows(column.c_str(), quant->integers(column), [&](size_t row) {
        REQUIRE(static_cast<double>(static_cast<float>(x[row])) == x[row]);
        return quantizer.apply_real(static_cast<float>(x[row]), 0, events);
      });
    }
    const std::string column = std::string("t_") + name;
    check_rows(column.c_str(), trunc->integers(column), [&, mode = rounding](size_t row) {
      return apply_once(programs::qonnx_trunc(programs::QonnxTrunc::v1, {9, true}, mode),
                        integer_arguments({{"shift", 4}}), {9, true}, x_int[row]);
    });
  }
}

TEST_CASE("platform tables: gemmlowp's parts, ruy") {
  const auto t = PlatformTable::open("gemmlowp_output_stages");
  const auto ruy = PlatformTable::open("ruy_apply_multiplier");
  if (!t || !ruy) return;
  const auto acc = t->integers("acc"), m = t->integers("mult"), exponent = t->integers("shift"),
             zp = t->integers("zp"), a16 = t->integers("a16"), m16 = t->integers("m16");
  check_rows("srdhm32", t->integers("srdhm32"), [&](size_t row) {
    return sim::fixed_point::saturating_rounding_doubling_high_mul(static_cast<int32_t>(acc[row]),
                                                                   static_cast<int32_t>(m[row]));
  });
  check_rows("srdhm16", t->integers("srdhm16"), [&](size_t row) {
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
  check_rows("rdp", t->integers("rdp"), [&](size_t row) {
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
  check_rows("scale_exp_offset", t->integers("scale_exp_offset"),
             [&](size_t row) { return stage(row, sim::kInt32, 0); });
  check_rows("sat_uint8_plus128", t->integers("sat_uint8_plus128"),
             [&](size_t row) { return stage(row, sim::kUint8, 128); });
  const auto ruy_acc = ruy->integers("acc"), ruy_m = ruy->integers("mult"),
             ruy_exponent = ruy->integers("shift");
  check_rows("ruy", ruy->integers("y"), [&](size_t row) {
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
