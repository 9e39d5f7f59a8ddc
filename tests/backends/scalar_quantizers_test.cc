// SPDX-License-Identifier: Apache-2.0
// Recorded tables of quantizers and casts, which the manifest describes by columns alone: each
// column through the rules of a profile, with the settings that its name says.
#include <doctest/doctest.h>

#include <cmath>

#include "backends/lower/given_arguments.h"
#include "backends/lower/lower.h"
#include "tests/backends/scalar_tables.h"

namespace facsim::backends {
namespace {

using test::ScalarTable;
using test::ScalarTables;

/// The columns of one table that one op of one profile reproduces.
class CastCount {
 public:
  CastCount(std::string profile, std::string op, std::string table)
      : profile_(std::move(profile)), op_(std::move(op)), table_(std::move(table)) {}

  void add(const std::string& column, int64_t row, int64_t got, int64_t expected) {
    ++compared_;
    if (got == expected) return;
    if (mismatches_++ == 0) {
      MESSAGE(table_, " ", column, " row ", row, ": expected ", expected, ", got ", got);
    }
  }
  void report(int64_t at_least = 1000) const {
    CAPTURE(table_);
    CAPTURE(profile_);
    test::report_parity({{"profile", profile_},
                         {"op", op_},
                         {"recording", "values of " + table_},
                         {"code", test::recorded_code(table_ + ".npz")},
                         {"cases", 1},
                         {"compared", compared_},
                         {"mismatches", mismatches_}});
    CHECK(compared_ >= at_least);
    CHECK(mismatches_ == 0);
  }

 private:
  std::string profile_, op_, table_;
  int64_t compared_ = 0, mismatches_ = 0;
};

/// One real number through the profile's `quantize`.
int64_t quantize_one(const Profile& profile, float real, const quant::QParams& qparams) {
  const auto op = lower_quantize(profile, qparams);
  const Tensor input = Tensor::from<float>(Shape{1, 1}, std::vector<float>{real});
  Tensor output(op->output_dtype(), Shape{1, 1});
  op->run(std::vector<const Tensor*>{&input}, output, {.isa = sim::Isa::scalar});
  return output.int_at(0);
}

/// Column of float64 as float32; every recorded value must be one.
std::vector<float> exact_float32(const std::string& table, const std::string& column) {
  const NpzFile file(ScalarTables::recorded().path(table + ".npz"));
  std::vector<float> values;
  for (const double value : file.read_float64(column)) {
    values.push_back(static_cast<float>(value));
    REQUIRE(static_cast<double>(values.back()) == value);
  }
  return values;
}

TEST_CASE("scalar tables: PyTorch's quantizers under fake-quant") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("pytorch_quantize.npz");
  const Profile profile = load_profile("fake-quant", ProfileSearch::standard());
  CastCount count("fake-quant", "quantize", "pytorch_quantize");
  const auto x = table.column("x").values<float>();
  const auto scale = table.column("scale").values<float>();
  for (int64_t row = 0; row < table.rows(); ++row) {
    const auto i = static_cast<size_t>(row);
    quant::QParams qparams;
    qparams.scale = {scale[i]};
    qparams.zero_point = {table.integer("zp", row)};
    const int64_t got = quantize_one(profile, x[i], qparams);
    for (const char* column : {"quantize_per_tensor", "fake_quantize_int"}) {
      count.add(column, row, got, table.integer(column, row));
    }
  }
  count.report();
}

TEST_CASE("scalar tables: Vitis AI's activation quantizer (method 2) under vitis-ai") {
  REQUIRE_SCALAR_TABLES();
  const NpzFile table(ScalarTables::recorded().path("vitis_ai_round.npz"));
  const Profile profile = load_profile("vitis-ai", ProfileSearch::standard());
  CastCount count("vitis-ai", "quantize", "vitis_ai_round");
  const std::vector<double> x = table.read_float64("x");
  const Tensor expected = table.read("fix8_m2");
  quant::QParams qparams;
  qparams.scale = {0.25f};
  int64_t not_float32 = 0;
  for (size_t row = 0; row < x.size(); ++row) {
    const auto real = static_cast<float>(x[row]);
    if (static_cast<double>(real) != x[row]) {  // the table was made in float64
      ++not_float32;
      continue;
    }
    const auto index = static_cast<int64_t>(row);
    count.add("fix8_m2", index, quantize_one(profile, real / 4, qparams), expected.int_at(index));
  }
  CHECK(not_float32 < 100);
  count.report();
}

TEST_CASE("scalar tables: qonnx Quant in its eight roundings under qonnx") {
  REQUIRE_SCALAR_TABLES();
  const std::pair<const char*, const char*> roundings[] = {{"ROUND", "half_even"},
                                                           {"CEIL", "ceil"},
                                                           {"FLOOR", "floor"},
                                                           {"UP", "away_from_zero"},
                                                           {"DOWN", "toward_zero"},
                                                           {"HALF_UP", "half_away_from_zero"},
                                                           {"HALF_DOWN", "half_toward_zero"},
                                                           {"HALF_EVEN", "half_even"}};
  const ScalarTable table("qonnx_intquant.npz");
  const std::vector<float> x = exact_float32("qonnx_intquant", "x");
  CastCount count("qonnx", "quantize", "qonnx_intquant");
  for (const bool narrow : {false, true}) {
    quant::QParams qparams;
    qparams.quant_min = narrow ? -127 : -128;
    for (const auto& [word, rounding] : roundings) {
      const std::string column = std::string(narrow ? "q8_narrow_" : "q8_") + word;
      const Profile profile = load_profile("qonnx", ProfileSearch::standard(),
                                           {{"/tensors/activation/rounding", rounding}});
      for (int64_t row = 0; row < table.rows(); ++row) {
        count.add(column, row, quantize_one(profile, x[static_cast<size_t>(row)], qparams),
                  table.integer(column, row));
      }
    }
  }
  count.report();
}

/// Integers shifted right by `shift` through the profile's `requantize`, into `output`.
std::vector<int64_t> shift_all(const Profile& profile, const std::vector<int64_t>& values,
                               int64_t shift, sim::IntType output) {
  GivenMultiplier given;
  given.multiplier = {1};
  given.shift = {shift};
  given.output = output;
  given.clamp = {output.min(), output.max()};
  const sim::Requantizer requantizer = make_requantizer(profile.rules("requantize"), given);
  std::vector<int64_t> results;
  for (const int64_t value : values) {
    sim::Events events;
    results.push_back(requantizer.apply(value, 0, events));
  }
  return results;
}

TEST_CASE("scalar tables: qonnx Trunc (12 to 8 bits) in its eight roundings under qonnx") {
  REQUIRE_SCALAR_TABLES();
  const std::pair<const char*, const char*> roundings[] = {{"t_ROUND", "half_even"},
                                                           {"t_CEIL", "ceil"},
                                                           {"t_FLOOR", "floor"},
                                                           {"t_UP", "away_from_zero"},
                                                           {"t_DOWN", "toward_zero"},
                                                           {"t_HALF_UP", "half_away_from_zero"},
                                                           {"t_HALF_DOWN", "half_toward_zero"},
                                                           {"t_HALF_EVEN", "half_even"}};
  const ScalarTable table("qonnx_trunc_v1.npz");
  std::vector<int64_t> x;
  for (int64_t row = 0; row < table.rows(); ++row) x.push_back(table.integer("x_int", row));
  CastCount count("qonnx", "requantize", "qonnx_trunc_v1");
  for (const auto& [column, rounding] : roundings) {
    const Profile profile =
        load_profile("qonnx", ProfileSearch::standard(), {{"/requantize/rounding", rounding}});
    const std::vector<int64_t> got = shift_all(profile, x, 4, sim::kInt16);
    for (int64_t row = 0; row < table.rows(); ++row) {
      count.add(column, row, got[static_cast<size_t>(row)], table.integer(column, row));
    }
  }
  count.report();
}

TEST_CASE("scalar tables: casts from ap_fixed<32,20> to ap_fixed<8,5> in all modes under hls4ml") {
  REQUIRE_SCALAR_TABLES();
  const std::pair<const char*, const char*> roundings[] = {
      {"RND", "half_up"},           {"RND_ZERO", "half_toward_zero"},
      {"RND_MIN_INF", "half_down"}, {"RND_INF", "half_away_from_zero"},
      {"RND_CONV", "half_even"},    {"TRN", "floor"},
      {"TRN_ZERO", "toward_zero"}};
  const std::pair<const char*, const char*> overflows[] = {{"SAT", "saturate"},
                                                           {"SAT_ZERO", "saturate_zero"},
                                                           {"SAT_SYM", "saturate_symmetric"},
                                                           {"WRAP", "wrap"}};
  const ScalarTable table("vivado_ap_fixed.npz");
  std::vector<int64_t> raw;  // 12 fraction bits
  for (const float x : exact_float32("vivado_ap_fixed", "x")) {
    raw.push_back(static_cast<int64_t>(std::ldexp(x, 12)));
    REQUIRE(std::ldexp(static_cast<float>(raw.back()), -12) == x);
  }
  CastCount count("hls4ml", "requantize", "vivado_ap_fixed");
  int modes = 0;
  for (const auto& [quantization, rounding] : roundings) {
    for (const auto& [cut, overflow] : overflows) {
      const std::string column = std::string(quantization) + "_" + cut;
      const Profile profile =
          load_profile("hls4ml", ProfileSearch::standard(),
                       {{"/requantize/rounding", rounding}, {"/output/overflow", overflow}});
      const std::vector<int64_t> got = shift_all(profile, raw, 12 - 3, sim::kInt8);
      for (int64_t row = 0; row < table.rows(); ++row) {
        count.add(column, row, got[static_cast<size_t>(row)], table.integer(column, row));
      }
      ++modes;
    }
  }
  CHECK(modes == 28);
  count.report();
}

TEST_CASE("scalar tables: oneDNN's int32 results pass through float32") {
  REQUIRE_SCALAR_TABLES();
  const ScalarTable table("onednn_s32_via_float.npz");
  const Profile profile = load_profile("onednn", ProfileSearch::standard());
  GivenArguments given;
  given.scale = {1.0f};
  given.output = sim::kInt32;
  std::vector<int64_t> acc;
  for (int64_t row = 0; row < table.rows(); ++row) acc.push_back(table.integer("acc", row));
  CastCount count("onednn", "linear", "onednn_s32_via_float");
  for (const char* column : {"s32_no_bias", "s32_with_bias"}) {
    given.reals["bias"].clear();
    for (int64_t row = 0; row < table.rows(); ++row) {
      const bool has_bias = std::string(column) == "s32_with_bias";
      given.reals["bias"].push_back(has_bias ? static_cast<float>(table.integer("bias", row))
                                             : 0.0f);
    }
    const sim::Requantizer requantizer = make_requantizer(profile.rules("linear"), given);
    for (int64_t row = 0; row < table.rows(); ++row) {
      sim::Events events;
      count.add(column, row, requantizer.apply(acc[static_cast<size_t>(row)], row, events),
                table.integer(column, row));
    }
  }
  count.report(96);
}

}  // namespace
}  // namespace facsim::backends
