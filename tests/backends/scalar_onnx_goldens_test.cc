// SPDX-License-Identifier: Apache-2.0
// Recorded tables of ONNX Runtime, XNNPACK and PyTorch beyond their "run" entries: every column,
// from scales where the runtime took scales, every row.
#include <doctest/doctest.h>

#include <functional>

#include "backends/lower/given_arguments.h"
#include "backends/lower/lower.h"
#include "backends/lower/tensor_ops.h"
#include "backends/lower/unary_real.h"
#include "tests/backends/scalar_tables.h"

namespace facsim::backends {
namespace {

using test::ScalarTable;
using test::ScalarTables;

Profile shipped(const char* name) { return load_profile(name, ProfileSearch::standard()); }

quant::QParams activation_qparams(float scale, int64_t zero_point, sim::IntType type) {
  quant::QParams q;
  q.scale = {scale};
  q.zero_point = {zero_point};
  q.type = type;
  q.quant_min = type.min();
  q.quant_max = type.max();
  return q;
}

float real_at(const ScalarTable& table, const char* column, int64_t row) {
  return table.column(column).values<float>()[static_cast<size_t>(row)];
}

/// compute(row) against a column; rows where `skip` says so are left out.
void compare_column(
    const ScalarTable& table, const std::string& column,
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
  MESSAGE(column, ": ", compared, " rows, ", mismatches, " differ");
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
                         real_at(table, "scale", row), 1.0f,
                         activation_qparams(1.0f, zero_point, type));
    };
  };
  compare_column(table, "conv_s8", conv(sim::kInt8));
  compare_column(table, "conv_s8_pc", conv(sim::kInt8));
  compare_column(table, "conv_u8", conv(sim::kUint8));
  compare_column(table, "ql_s8", [&](int64_t row) {
    const auto op =
        lower_quantize(profile, activation_qparams(real_at(table, "ql_y_scale", row),
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
  compare_column(table, "qs8", layer("linear", sim::kInt8));
  compare_column(table, "qc8_conv1x1", layer("conv2d", sim::kInt8));
  compare_column(table, "qu8", layer("linear", sim::kUint8));
  compare_column(
      table, "qs8_min_is_zp",
      [&](int64_t row) {
        return requantized(profile.rules_for("linear", sim::kInt8), table.integer("acc", row),
                           real_at(table, "scale", row), 1.0f,
                           activation_qparams(1.0f, table.integer("zp", row), sim::kInt8),
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
  compare_column(table, "qs8_fp32", requantize(x86.rules("requantize"), sim::kInt8));
  compare_column(table, "qu8_fp32", requantize(x86.rules("requantize"), sim::kUint8));
  compare_column(table, "qs8_rndnu", requantize(arm.rules("requantize"), sim::kInt8));
  compare_column(table, "qu8_rndnu", requantize(arm.rules("requantize"), sim::kUint8));
  compare_column(table, "qu8_rndnu16", requantize(arm.rules("requantize rndnu16"), sim::kUint8));
  // The layers with one weight scale use the same rule.
  compare_column(table, "qs8_rndnu", requantize(arm.rules("linear per_tensor"), sim::kInt8));
  compare_column(table, "qs8_fp32", requantize(arm.rules("linear"), sim::kInt8));
}

TEST_CASE("scalar tables: PyTorch's quantized linear on QNNPACK, from scales") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("pytorch_qnnpack_linear.npz");
  const Profile profile = shipped("qnnpack");
  const auto linear = [&](Activation activation) {
    return [&, activation](int64_t row) {
      const int64_t acc = static_cast<int32_t>(
          static_cast<uint32_t>(table.integer("real_acc", row) + table.integer("bias_q", row)));
      return requantized(profile.rules("linear"), acc, real_at(table, "in_scale", row),
                         real_at(table, "w_scale", row),
                         activation_qparams(real_at(table, "out_scale", row),
                                            table.integer("zp", row), sim::kUint8),
                         activation);
    };
  };
  compare_column(table, "quint8", linear(Activation::none));
  compare_column(table, "quint8_relu", linear(Activation::relu));
}

TEST_CASE("scalar tables: torch.quantize_per_tensor and fake_quantize") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("pytorch_quantize.npz");
  const Profile profile = shipped("qnnpack");
  const auto quantize = [&](int64_t row) {
    const quant::QParams qparams =
        activation_qparams(real_at(table, "scale", row), table.integer("zp", row), sim::kInt8);
    const Tensor x = Tensor::from<float>({1, 1}, std::vector<float>{real_at(table, "x", row)});
    Tensor y(DType::int8, {1, 1});
    const std::vector<const Tensor*> inputs = {&x};
    lower_quantize(profile, qparams)->run(inputs, y, {.isa = sim::Isa::scalar});
    return y.int_at(0);
  };
  compare_column(table, "quantize_per_tensor", quantize);
  compare_column(table, "fake_quantize_int", quantize);
}

quant::QParams table_qparams(int64_t set, size_t tensor, sim::IntType type) {
  const auto& values = ScalarTables::recorded().manifest()["param_sets"][static_cast<size_t>(set)];
  return activation_qparams(values[tensor * 2].get<float>(),
                            values[tensor * 2 + 1].get<int64_t>() + (type.is_signed ? 0 : 128),
                            type);
}

constexpr int64_t kTableSets = 6;

TEST_CASE("scalar tables: leaky_relu, sigmoid and tanh of XNNPACK and ONNX Runtime") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("op_unary_int8.npz");
  const Profile xnnpack = shipped("xnnpack-x86");
  const Profile ort = shipped("onnxruntime-cpu");
  /// By (set, row): results of one op over all rows of the set; codes are moved by `offset` for
  /// unsigned operators.
  const auto unary = [&](const OpRules& rules, const char* op, sim::IntType type,
                         const std::function<quant::QParams(int64_t)>& output) {
    const int64_t offset = type.is_signed ? 0 : 128;
    std::vector<int64_t> results(static_cast<size_t>(table.rows()));
    for (int64_t set = 0; set < kTableSets; ++set) {
      const auto lowered =
          lower_unary_real(rules, op, table_qparams(set, 0, type), output(set), 0.1f);
      Tensor codes(type.storage(), {1, table.rows()});
      for (int64_t row = 0; row < table.rows(); ++row) {
        codes.set_int(row, table.integer("x", row) + offset);
      }
      Tensor y(lowered->output_dtype(), codes.shape());
      const std::vector<const Tensor*> inputs = {&codes};
      lowered->run(inputs, y, {.isa = sim::Isa::scalar});
      for (int64_t row = 0; row < table.rows(); ++row) {
        if (table.integer("param_set", row) != set) continue;
        results[static_cast<size_t>(row)] = y.int_at(row) - offset;
      }
    }
    return [results](int64_t row) { return results[static_cast<size_t>(row)]; };
  };
  const auto set_output = [](sim::IntType type) {
    return [type](int64_t set) { return table_qparams(set, 2, type); };
  };
  const auto fixed = [](float scale, int64_t zero_point) {
    return [=](int64_t) { return activation_qparams(scale, zero_point, sim::kInt8); };
  };
  compare_column(table, "xnnpack_leaky_relu_qu8_minus128",
                 unary(xnnpack.rules("leaky_relu ae108ef"), "leaky_relu", sim::kUint8,
                       set_output(sim::kUint8)));
  compare_column(table, "ort_leaky_relu",
                 unary(ort.rules("leaky_relu"), "leaky_relu", sim::kInt8, set_output(sim::kInt8)));
  compare_column(table, "xnnpack_sigmoid",
                 unary(xnnpack.rules("sigmoid"), "sigmoid", sim::kInt8, fixed(0x1p-8f, -128)));
  compare_column(table, "xnnpack_tanh",
                 unary(xnnpack.rules("tanh"), "tanh", sim::kInt8, fixed(0x1p-7f, 0)));
  compare_column(table, "ort_sigmoid",
                 unary(ort.rules("sigmoid"), "sigmoid", sim::kInt8, set_output(sim::kInt8)));
}

TEST_CASE("scalar tables: MUL of XNNPACK and ONNX Runtime") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("op_mul_int8.npz");
  for (const auto& [column, name] :
       {std::pair{"xnnpack", "xnnpack-x86"}, std::pair{"onnxruntime", "onnxruntime-cpu"}}) {
    const Profile profile = shipped(name);
    const Shape all{1, table.rows()};
    Tensor lhs(DType::int8, all), rhs(DType::int8, all);
    for (int64_t row = 0; row < table.rows(); ++row) {
      lhs.set_int(row, table.integer("a", row));
      rhs.set_int(row, table.integer("b", row));
    }
    std::vector<Tensor> results;  // of every row, by set
    for (int64_t set = 0; set < kTableSets; ++set) {
      const sim::Mul op(lower_mul(profile, table_qparams(set, 0, sim::kInt8),
                                  table_qparams(set, 1, sim::kInt8),
                                  table_qparams(set, 2, sim::kInt8), Activation::none));
      results.emplace_back(DType::int8, all);
      const std::vector<const Tensor*> inputs = {&lhs, &rhs};
      op.run(inputs, results.back(), {.isa = sim::Isa::scalar});
    }
    compare_column(table, column, [&](int64_t row) {
      return results[static_cast<size_t>(table.integer("param_set", row))].int_at(row);
    });
  }
}

}  // namespace
}  // namespace facsim::backends
