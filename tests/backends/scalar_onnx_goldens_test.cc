// SPDX-License-Identifier: Apache-2.0
// Recorded tables of ONNX Runtime, XNNPACK and PyTorch beyond their "run" entries: every column,
// from scales where the runtime took scales, every row.
#include <doctest/doctest.h>

#include <functional>

#include "backends/lower/given_arguments.h"
#include "backends/lower/lower.h"
#include "tests/backends/lowering.h"
#include "tests/backends/report_parity.h"
#include "tests/backends/scalar_tables.h"

namespace facsim::backends {
namespace {

using test::qparams_of;
using test::ScalarTable;
using test::ScalarTables;

Profile shipped(const char* name) { return load_profile(name, ProfileSearch::standard()); }

float real_at(const ScalarTable& table, const char* column, int64_t row) {
  return table.column(column).values<float>()[static_cast<size_t>(row)];
}

/// Whose rules computed a column, and what was recorded.
struct ColumnEvidence {
  const char* profile;
  const char* op;  ///< key of Profile::ops
  const char* table;
};

/// compute(row) against a column; rows where `skip` says so are left out.
void compare_column(
    const ColumnEvidence& evidence, const ScalarTable& table, const std::string& column,
    const std::function<int64_t(int64_t)>& compute,
    const std::function<bool(int64_t)>& skip = [](int64_t) { return false; }) {
  int64_t compared = 0;
  int64_t mismatches = 0;
  for (int64_t row = 0; row < table.rows(); ++row) {
    if (skip(row)) continue;
    const int64_t expected = table.integer(column, row);
    const int64_t got = compute(row);
    ++compared;
    mismatches += got != expected;
    if (got != expected && mismatches == 1) {
      MESSAGE(column, " row ", row, ": expected ", expected, " got ", got);
    }
  }
  CAPTURE(column);
  test::report_parity({{"profile", evidence.profile},
                       {"op", evidence.op},
                       {"recording", "requantization rows, " + column},
                       {"code", test::recorded_code(evidence.table + std::string(".npz"))},
                       {"cases", 1},
                       {"compared", compared},
                       {"mismatches", mismatches}});
  CHECK(compared > 500);
  CHECK(mismatches == 0);
}

/// One layer's requantization from scales: s_in, s_w, the output's parameters, an activation.
int64_t requantized(const OpRules& rules, int64_t acc, float input_scale, float weight_scale,
                    const quant::QParams& output, Activation activation = Activation::none) {
  sim::Events events;
  return make_requantizer(rules, {input_scale, {weight_scale}, output, activation}, {})
      .apply(acc, 0, events);
}

/// One row of a table whose requantization takes the combined float32 scale.
int64_t scaled_row(const OpRules& rules, const ScalarTable& table, int64_t row,
                   sim::IntType output) {
  GivenArguments given;
  given.scale = {real_at(table, "scale", row)};
  given.zero_point = {table.integer("zp", row) + (output.is_signed ? 0 : 128)};
  given.output = output;
  sim::Events events;
  return make_requantizer(rules, given).apply(table.integer("acc", row), 0, events);
}

TEST_CASE("scalar tables: ONNX Runtime's QLinearConv and QuantizeLinear") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("onnxruntime_qlinear.npz");
  const Profile profile = shipped("onnxruntime-cpu");
  // The runtime was given x_scale = scale, w_scale = y_scale = 1.
  const auto conv = [&](sim::IntType type) {
    return [&, type](int64_t row) {
      const int64_t zero_point = table.integer("zp", row) + (type.is_signed ? 0 : 128);
      return requantized(profile.rules_for("conv2d", type), table.integer("acc", row),
                         real_at(table, "scale", row), 1.0f, qparams_of(1.0f, zero_point, type));
    };
  };
  compare_column({"onnxruntime-cpu", "conv2d", "onnxruntime_qlinear"}, table, "conv_s8",
                 conv(sim::kInt8));
  compare_column({"onnxruntime-cpu", "conv2d", "onnxruntime_qlinear"}, table, "conv_s8_pc",
                 conv(sim::kInt8));
  compare_column({"onnxruntime-cpu", "conv2d", "onnxruntime_qlinear"}, table, "conv_u8",
                 conv(sim::kUint8));
  compare_column(
      {"onnxruntime-cpu", "quantize", "onnxruntime_qlinear"}, table, "ql_s8", [&](int64_t row) {
        const auto op = lower_quantize(profile, qparams_of(real_at(table, "ql_y_scale", row),
                                                           table.integer("zp", row), sim::kInt8));
        const float x = static_cast<float>(table.integer("acc", row));
        const Tensor input = Tensor::from<float>({1, 1}, std::vector<float>{x});
        Tensor output(DType::int8, {1, 1});
        const std::vector<const Tensor*> inputs = {&input};
        op->run(inputs, output, {.isa = sim::Isa::scalar});
        return output.int_at(0);
      });
}

TEST_CASE("scalar tables: XNNPACK's fully connected layers and convolutions") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("xnnpack_fc_conv.npz");
  const Profile profile = shipped("xnnpack-x86");
  const auto layer = [&](const char* op, sim::IntType type) {
    return [&, op, type](int64_t row) {
      return scaled_row(profile.rules_for(op, type), table, row, type);
    };
  };
  compare_column({"xnnpack-x86", "linear", "xnnpack_fc_conv"}, table, "qs8",
                 layer("linear", sim::kInt8));
  compare_column({"xnnpack-x86", "conv2d", "xnnpack_fc_conv"}, table, "qc8_conv1x1",
                 layer("conv2d", sim::kInt8));
  compare_column({"xnnpack-x86", "linear", "xnnpack_fc_conv"}, table, "qu8",
                 layer("linear", sim::kUint8));
  compare_column(
      {"xnnpack-x86", "linear", "xnnpack_fc_conv"}, table, "qs8_min_is_zp",
      [&](int64_t row) {
        return requantized(profile.rules_for("linear", sim::kInt8), table.integer("acc", row),
                           real_at(table, "scale", row), 1.0f,
                           qparams_of(1.0f, table.integer("zp", row), sim::kInt8),
                           Activation::relu);
      },
      [&](int64_t row) { return table.integer("qs8_min_is_zp", row) == 9999; });
}

TEST_CASE("scalar tables: XNNPACK's requantizations in C: fp32, rndnu, rndnu16") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("xnnpack_requantize_scalar.npz");
  const Profile x86 = shipped("xnnpack-x86");
  const Profile arm = shipped("xnnpack-arm");
  const auto requantize = [&](const OpRules& rules, sim::IntType type) {
    return [&table, &rules, type](int64_t row) { return scaled_row(rules, table, row, type); };
  };
  compare_column({"xnnpack-x86", "requantize", "xnnpack_requantize_scalar"}, table, "qs8_fp32",
                 requantize(x86.rules("requantize"), sim::kInt8));
  compare_column({"xnnpack-x86", "requantize", "xnnpack_requantize_scalar"}, table, "qu8_fp32",
                 requantize(x86.rules("requantize"), sim::kUint8));
  compare_column({"xnnpack-arm", "requantize", "xnnpack_requantize_scalar"}, table, "qs8_rndnu",
                 requantize(arm.rules("requantize"), sim::kInt8));
  compare_column({"xnnpack-arm", "requantize", "xnnpack_requantize_scalar"}, table, "qu8_rndnu",
                 requantize(arm.rules("requantize"), sim::kUint8));
  compare_column({"xnnpack-arm", "requantize rndnu16", "xnnpack_requantize_scalar"}, table,
                 "qu8_rndnu16", requantize(arm.rules("requantize rndnu16"), sim::kUint8));
  // The layers with one weight scale use the same rule.
  compare_column({"xnnpack-arm", "linear per_tensor", "xnnpack_requantize_scalar"}, table,
                 "qs8_rndnu", requantize(arm.rules("linear per_tensor"), sim::kInt8));
  compare_column({"xnnpack-arm", "linear", "xnnpack_requantize_scalar"}, table, "qs8_fp32",
                 requantize(arm.rules("linear"), sim::kInt8));
}

TEST_CASE("scalar tables: PyTorch's quantized linear on QNNPACK, from scales") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("pytorch_qnnpack_linear.npz");
  const Profile profile = shipped("qnnpack");
  const auto linear = [&](Activation activation) {
    return [&, activation](int64_t row) {
      const int64_t acc = static_cast<int32_t>(
          static_cast<uint32_t>(table.integer("real_acc", row) + table.integer("bias_q", row)));
      return requantized(
          profile.rules("linear"), acc, real_at(table, "in_scale", row),
          real_at(table, "w_scale", row),
          qparams_of(real_at(table, "out_scale", row), table.integer("zp", row), sim::kUint8),
          activation);
    };
  };
  compare_column({"qnnpack", "linear", "pytorch_qnnpack_linear"}, table, "quint8",
                 linear(Activation::none));
  compare_column({"qnnpack", "linear", "pytorch_qnnpack_linear"}, table, "quint8_relu",
                 linear(Activation::relu));
}

TEST_CASE("scalar tables: torch.quantize_per_tensor and fake_quantize") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("pytorch_quantize.npz");
  const Profile profile = shipped("qnnpack");
  const auto quantize = [&](int64_t row) {
    const quant::QParams qparams =
        qparams_of(real_at(table, "scale", row), table.integer("zp", row), sim::kInt8);
    const Tensor x = Tensor::from<float>({1, 1}, std::vector<float>{real_at(table, "x", row)});
    Tensor y(DType::int8, {1, 1});
    const std::vector<const Tensor*> inputs = {&x};
    lower_quantize(profile, qparams)->run(inputs, y, {.isa = sim::Isa::scalar});
    return y.int_at(0);
  };
  compare_column({"qnnpack", "quantize", "pytorch_quantize"}, table, "quantize_per_tensor",
                 quantize);
  compare_column({"qnnpack", "quantize", "pytorch_quantize"}, table, "fake_quantize_int", quantize);
}

}  // namespace
}  // namespace facsim::backends
