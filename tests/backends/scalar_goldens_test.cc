// SPDX-License-Identifier: Apache-2.0
// Recorded tables of element-wise ops and pools: one-node networks under the profile of each
// column's platform.
#include <doctest/doctest.h>

#include "backends/lower/lower.h"
#include "tests/backends/lowering.h"
#include "tests/backends/scalar_tables.h"

namespace facsim::backends {
namespace {

using test::qparams_of;
using test::ScalarTable;
using test::ScalarTables;

constexpr const char* kTflm = "tflite-micro 90b983c2b";
constexpr const char* kXnnpack = "XNNPACK 0.0~git20220216.ae108ef-2";
constexpr const char* kOrt = "ONNX Runtime 1.30.0";

/// Parameters of tensor 0, 1 (inputs) or 2 (output) of one of the manifest's sets.
quant::QParams qparams_of_set(int64_t index, size_t tensor) {
  const nlohmann::json& values =
      ScalarTables::recorded().manifest()["param_sets"][static_cast<size_t>(index)];
  quant::QParams q;
  q.scale = {values[tensor * 2].get<float>()};
  q.zero_point = {values[tensor * 2 + 1].get<int64_t>()};
  return q;
}

/// Codes of the rows of one parameter set.
Tensor codes_of_set(const ScalarTable& table, const char* column, int64_t set) {
  std::vector<int8_t> codes;
  for (int64_t row = 0; row < table.rows(); ++row) {
    if (table.integer("param_set", row) == set) {
      codes.push_back(static_cast<int8_t>(table.integer(column, row)));
    }
  }
  return Tensor::from<int8_t>(Shape{1, static_cast<int64_t>(codes.size())}, codes);
}

struct Operand8 {
  Tensor codes;
  quant::QParams qparams;
};

/// The node as a network of its own, on the scalar path.
Tensor run_node(const Profile& profile, const std::string& op, const std::vector<Operand8>& inputs,
                const quant::QParams& output, const NodeAttributes& attributes = {}) {
  IntGraph graph;
  graph.name = op;
  IntNode node;
  node.name = node.op = op;
  node.attributes = attributes;
  std::vector<const Tensor*> tensors;
  std::vector<Shape> shapes;
  for (const Operand8& input : inputs) {
    node.inputs.push_back(static_cast<int>(graph.tensors.size()));
    graph.inputs.push_back(node.inputs.back());
    std::vector<int64_t> extents = input.codes.shape().extents();
    extents[0] = 1;
    graph.tensors.push_back({"x" + std::to_string(graph.tensors.size()), input.codes.dtype(),
                             Shape(extents), input.qparams, std::nullopt});
    tensors.push_back(&input.codes);
    shapes.push_back(input.codes.shape());
  }
  node.output = static_cast<int>(graph.tensors.size());
  graph.outputs = {node.output};
  graph.tensors.push_back(
      {"y", output.type.storage(), graph.tensors.front().shape, output, std::nullopt});
  graph.nodes.push_back(std::move(node));
  const sim::Graph lowered = lower(graph, profile);
  const sim::Op& lowered_op = *lowered.nodes.front().op;
  Tensor result(lowered_op.output_dtype(), lowered_op.output_shape(shapes));
  lowered_op.run(tensors, result, {.isa = sim::Isa::scalar});
  return result;
}

/// Values compared and differing in one column of a table.
struct ColumnCount {
  int64_t compared = 0, mismatches = 0;

  void add(const Tensor& got, const Tensor& expected, int64_t not_run = INT64_MIN) {
    REQUIRE(got.numel() == expected.numel());
    for (int64_t i = 0; i < got.numel(); ++i) {
      if (expected.int_at(i) == not_run) continue;
      ++compared;
      mismatches += got.int_at(i) != expected.int_at(i) ? 1 : 0;
    }
  }
  void report(const std::string& profile, const std::string& op, const std::string& table,
              const std::string& code) const {
    CAPTURE(profile);
    CAPTURE(op);
    CAPTURE(table);
    test::report_parity({{"profile", profile},
                         {"op", op},
                         {"recording", "codes of " + table},
                         {"code", code},
                         {"cases", 1},
                         {"compared", compared},
                         {"mismatches", mismatches}});
    CHECK(compared > 100);
    CHECK(mismatches == 0);
  }
};

/// Codes of a column in the rows of one parameter set.
Tensor expected_of_set(const ScalarTable& table, const char* column, int64_t set) {
  std::vector<int32_t> codes;
  for (int64_t row = 0; row < table.rows(); ++row) {
    if (table.integer("param_set", row) == set) {
      codes.push_back(static_cast<int32_t>(table.integer(column, row)));
    }
  }
  return Tensor::from<int32_t>(Shape{1, static_cast<int64_t>(codes.size())}, codes);
}

TEST_CASE("scalar tables: ADD and MUL of TFLite (both builds), XNNPACK and ONNX Runtime") {
  REQUIRE_SCALAR_TABLES();
  struct Column {
    const char* column;
    const char* profile;
    const char* code;
  };
  for (const char* op : {"add", "mul"}) {
    const std::string name = std::string("op_") + op + "_int8";
    const ScalarTable table(name + ".npz");
    for (const Column& c : {Column{"tflm_double", "tflite-micro", kTflm},
                            Column{"tflm_double", "cmsis-nn", "CMSIS-NN 99f736a6"},
                            Column{"tflm_single", "tflite-single-rounding", kTflm},
                            Column{"xnnpack", "xnnpack-x86", kXnnpack},
                            Column{"onnxruntime", "onnxruntime-cpu", kOrt}}) {
      const Profile profile = load_profile(c.profile, ProfileSearch::standard());
      ColumnCount count;
      for (int64_t set = 0; set < 6; ++set) {
        const Tensor got = run_node(profile, op,
                                    {{codes_of_set(table, "a", set), qparams_of_set(set, 0)},
                                     {codes_of_set(table, "b", set), qparams_of_set(set, 1)}},
                                    qparams_of_set(set, 2));
        count.add(got, expected_of_set(table, c.column, set));
      }
      count.report(c.profile, op, name, c.code);
    }
  }
}

TEST_CASE("scalar tables: functions of one code, TFLite, XNNPACK and ONNX Runtime") {
  REQUIRE_SCALAR_TABLES();
  enum class Output { of_set, sigmoid, tanh };
  struct Column {
    const char* column;
    const char* op;
    const char* profile;
    const char* code;
    Output output = Output::of_set;
    std::vector<ProfileOverride> overrides = {};
  };
  const Column columns[] = {
      {"tflm_leaky_relu_double", "leaky_relu", "tflite-micro", kTflm},
      {"tflm_leaky_relu_single", "leaky_relu", "tflite-single-rounding", kTflm},
      // The recorded version's operator, which the profile keeps as a variant.
      {"xnnpack_leaky_relu_qu8_minus128",
       "leaky_relu",
       "xnnpack-x86",
       kXnnpack,
       Output::of_set,
       {{"/ops/leaky_relu/algorithm", "xnnpack.lookup_table"}}},
      {"ort_leaky_relu", "leaky_relu", "onnxruntime-cpu", kOrt},
      {"tflm_logistic", "sigmoid", "tflite-micro", kTflm, Output::sigmoid},
      {"xnnpack_sigmoid", "sigmoid", "xnnpack-x86", kXnnpack, Output::sigmoid},
      {"ort_sigmoid", "sigmoid", "onnxruntime-cpu", kOrt},
      {"tflm_tanh", "tanh", "tflite-micro", kTflm, Output::tanh},
      {"xnnpack_tanh", "tanh", "xnnpack-x86", kXnnpack, Output::tanh},
      {"tflm_hard_swish", "hard_swish", "tflite-micro", kTflm},
  };
  const ScalarTable table("op_unary_int8.npz");
  NodeAttributes attributes;
  attributes.alpha = 0.1f;
  for (const Column& c : columns) {
    const Profile profile = load_profile(c.profile, ProfileSearch::standard(), c.overrides);
    ColumnCount count;
    for (int64_t set = 0; set < 6; ++set) {
      quant::QParams output = qparams_of_set(set, 2);
      if (c.output == Output::sigmoid) output = qparams_of(0x1p-8f, -128);
      if (c.output == Output::tanh) output = qparams_of(0x1p-7f, 0);
      const Tensor expected = expected_of_set(table, c.column, set);
      count.add(run_node(profile, c.op, {{codes_of_set(table, "x", set), qparams_of_set(set, 0)}},
                         output, attributes),
                expected, 9999);
    }
    count.report(c.profile, c.op, "op_unary_int8", c.code);
  }
}

/// An image of `count` taps whose codes sum to `sum`.
Tensor image_with_sum(int64_t sum, int64_t count) {
  Tensor image(DType::int8, Shape{1, 1, count, 1});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t code = sum / (count - i);
    image.set_int(i, code);
    sum -= code;
  }
  return image;
}

TEST_CASE("scalar tables: average pools of TFLite, XNNPACK, ONNX Runtime and oneDNN") {
  REQUIRE_SCALAR_TABLES();
  struct Case {
    const char* table;
    const char* profile;
    bool global;  ///< of a whole image, with a parameter set; else input and output share theirs
    const char* code;
  };
  for (const Case& c : {Case{"op_avgpool_int8_tflm_cmsis", "tflite-micro", false, kTflm},
                        Case{"op_avgpool_int8_tflm_cmsis", "cmsis-nn", false, "CMSIS-NN 99f736a6"},
                        Case{"op_global_avgpool_xnnpack_qs8", "xnnpack-x86", true, kXnnpack},
                        Case{"op_global_avgpool_ort", "onnxruntime-cpu", true, kOrt},
                        Case{"onednn_avgpool_s8", "onednn", false, "oneDNN 2.6.3-1"}}) {
    const ScalarTable table(std::string(c.table) + ".npz");
    const Profile profile = load_profile(c.profile, ProfileSearch::standard());
    ColumnCount count;
    for (int64_t row = 0; row < table.rows(); ++row) {
      const int64_t taps = table.integer("count", row);
      const int64_t set = c.global ? table.integer("param_set", row) : 0;
      const quant::QParams input = c.global ? qparams_of_set(set, 0) : qparams_of(0.5f, 0);
      sim::Window2d window;
      window.kernel = {1, taps};
      const auto op =
          lower_avg_pool2d(profile, window, c.global, false, input,
                           c.global ? qparams_of_set(set, 2) : input, Activation::none, 1, taps);
      const Tensor image = image_with_sum(table.integer("sum", row), taps);
      Tensor output(op->output_dtype(), op->output_shape(std::vector<Shape>{image.shape()}));
      op->run(std::vector<const Tensor*>{&image}, output, {.isa = sim::Isa::scalar});
      ++count.compared;
      count.mismatches += output.int_at(0) != table.integer("out", row) ? 1 : 0;
    }
    count.report(c.profile, c.global ? "global_avg_pool" : "avg_pool2d", c.table, c.code);
  }
}

}  // namespace
}  // namespace facsim::backends
