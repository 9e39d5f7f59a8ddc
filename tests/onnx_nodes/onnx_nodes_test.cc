// SPDX-License-Identifier: Apache-2.0
// ONNX's own backend node tests of the quantized operators (Debian: libonnx-testdata), run under
// the profile onnx-reference: each folder becomes a case of a vector suite, which check_vectors
// runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "backends/io/npy.h"
#include "backends/onnx/onnx_model.h"
#include "backends/parity/vectors.h"
#include "tests/backends/report_parity.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using backends::OnnxModel;
using backends::OnnxNode;
using backends::OnnxTensor;

/// FACSIM_ONNX_NODES_DIR, or where Debian's package puts the tests.
fs::path nodes_folder() {
  const char* folder = std::getenv("FACSIM_ONNX_NODES_DIR");
  return folder != nullptr ? folder : "/usr/share/libonnx-testdata/data/node";
}

#define REQUIRE_ONNX_NODES()                                                         \
  if (!fs::is_directory(nodes_folder())) {                                           \
    std::cout << "SKIPPED: no folder " << nodes_folder() << " (libonnx-testdata)\n"; \
    return;                                                                          \
  }

/// The operators that quantize or take codes, with the names of their inputs in the specification.
const std::map<std::string, std::vector<std::string>>& quantized_operators() {
  static const std::map<std::string, std::vector<std::string>> operators = {
      {"QuantizeLinear", {"x", "y_scale", "y_zero_point"}},
      {"DequantizeLinear", {"x", "x_scale", "x_zero_point"}},
      {"DynamicQuantizeLinear", {"x"}},
      {"QLinearConv",
       {"x", "x_scale", "x_zero_point", "w", "w_scale", "w_zero_point", "y_scale", "y_zero_point",
        "B"}},
      {"QLinearMatMul",
       {"a", "a_scale", "a_zero_point", "b", "b_scale", "b_zero_point", "y_scale", "y_zero_point"}},
      {"ConvInteger", {"x", "w", "x_zero_point", "w_zero_point"}},
      {"MatMulInteger", {"a", "b", "a_zero_point", "b_zero_point"}},
  };
  return operators;
}

/// The op of a profile whose rules compute an operator.
std::string profile_op(const std::string& op) {
  if (op == "QuantizeLinear") return "quantize";
  if (op == "DequantizeLinear") return "dequantize";
  if (op == "DynamicQuantizeLinear") return "dynamic_quantize";
  return op.find("Conv") != std::string::npos ? "conv2d" : "linear";
}

bool names_quantization(const std::string& op) {
  return op.starts_with("QLinear") || op.ends_with("Integer") ||
         op.find("QuantizeLinear") != std::string::npos ||
         op.find("quantizeLinear") != std::string::npos;
}

/// The node a test is about. The "_expanded" tests hold the body of a function as a graph of float
/// operators; what they expect is what the function itself gives.
OnnxNode tested_node(const std::string& name, const OnnxModel& model) {
  if (name.starts_with("test_dynamicquantizelinear") && name.ends_with("_expanded")) {
    OnnxNode node;
    node.op_type = "DynamicQuantizeLinear";
    for (const auto& input : model.graph.inputs) node.inputs.push_back(input.name);
    for (const auto& output : model.graph.outputs) node.outputs.push_back(output.name);
    return node;
  }
  for (const OnnxNode& node : model.graph.nodes) {
    if (names_quantization(node.op_type)) return node;
  }
  return {};
}

/// Why a test cannot be a case: an element type that is no integer and not float32.
class NotInteger : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One data set of a test as a case of the suite; its arrays are added to `arrays`.
Json make_case(const std::string& case_name, const fs::path& data_set, const OnnxModel& model,
               const OnnxNode& node, backends::NamedTensors& arrays) {
  Json described = {{"name", case_name},          {"part", "onnxnode"}, {"family", "onnx_node"},
                    {"op", node.op_type},         {"npz", "nodes.npz"}, {"golden", "golden"},
                    {"profile", "onnx-reference"}};
  Json& attributes = described["attrs"] = Json::object();
  for (const backends::OnnxAttribute& attribute : node.attributes) {
    if (const auto* one = std::get_if<int64_t>(&attribute.value)) attributes[attribute.name] = *one;
    if (const auto* list = std::get_if<std::vector<int64_t>>(&attribute.value)) {
      attributes[attribute.name] = *list;
    }
  }
  const auto add = [&](const std::string& role, const fs::path& file) {
    OnnxTensor tensor = backends::read_onnx_tensor(file);
    if (tensor.values.empty() || tensor.type == backends::OnnxType::float16) {
      throw NotInteger(to_string(tensor.type));
    }
    // Our suites hold scalars as one element.
    if (tensor.values.shape().rank() == 0) tensor.values = tensor.values.reshaped({1});
    const std::string key = case_name + "/" + role;
    described["arrays"][role] = {{"key", key},
                                 {"dtype", to_string(tensor.values.dtype())},
                                 {"shape", tensor.values.shape().extents()}};
    if (role.starts_with("in_"))
      attributes["logical_dtypes"][role.substr(3)] = to_string(tensor.type);
    arrays.emplace_back(key, tensor.values);
  };
  const std::vector<std::string>& formal = quantized_operators().at(node.op_type);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i].empty()) continue;
    const auto& inputs = model.graph.inputs;
    const auto at = std::find_if(inputs.begin(), inputs.end(),
                                 [&](const auto& input) { return input.name == node.inputs[i]; });
    REQUIRE(at != inputs.end());
    REQUIRE(i < formal.size());
    add("in_" + formal[i], data_set / ("input_" + std::to_string(at - inputs.begin()) + ".pb"));
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    add(i == 0 ? "golden" : "golden_" + std::to_string(i),
        data_set / ("output_" + std::to_string(i) + ".pb"));
  }
  return described;
}

/// Everything the folder has about quantized operators.
struct NodeSuite {
  Json manifest = {{"format", "facsim-vectors-1"}, {"cases", Json::array()}};
  backends::NamedTensors arrays;
  std::set<std::string> tests;
  std::map<std::string, std::string> left_out;  ///< test -> cause
};

NodeSuite read_node_suite() {
  NodeSuite suite;
  for (const fs::directory_entry& entry : fs::directory_iterator(nodes_folder())) {
    const std::string name = entry.path().filename().string();
    if (!fs::exists(entry.path() / "model.onnx")) continue;
    const OnnxModel model = backends::read_onnx_model(entry.path() / "model.onnx");
    const OnnxNode node = tested_node(name, model);
    if (node.op_type.empty()) continue;
    suite.tests.insert(name);
    if (!quantized_operators().contains(node.op_type)) {
      suite.left_out[name] = "operator " + node.op_type;
      continue;
    }
    for (int set = 0; fs::exists(entry.path() / ("test_data_set_" + std::to_string(set))); ++set) {
      const std::string data_set = "test_data_set_" + std::to_string(set);
      try {
        backends::NamedTensors arrays;
        suite.manifest["cases"].push_back(make_case(name + "_" + std::to_string(set),
                                                    entry.path() / data_set, model, node, arrays));
        suite.arrays.insert(suite.arrays.end(), arrays.begin(), arrays.end());
      } catch (const NotInteger& type) {
        suite.left_out[name] = std::string("element type ") + type.what();
      }
    }
  }
  return suite;
}

/// Tests that no integer simulator can run, by the cause that the reader must find. Of Debian's
/// libonnx-testdata 1.12.0 there is none; later releases have these.
const std::map<std::string, std::string>& known_exceptions() {
  static const std::map<std::string, std::string> exceptions = {
      {"test_dequantizelinear_e4m3fn", "element type float8e4m3fn"},
      {"test_dequantizelinear_e4m3fn_float16", "element type float8e4m3fn"},
      {"test_dequantizelinear_e4m3fn_zero_point", "element type float8e4m3fn"},
      {"test_dequantizelinear_e5m2", "element type float8e5m2"},
      {"test_dequantizelinear_float4e2m1", "element type float4e2m1"},
      {"test_quantizelinear_e4m3fn", "element type float8e4m3fn"},
      {"test_quantizelinear_e5m2", "element type float8e5m2"},
      {"test_quantizelinear_float4e2m1", "element type float4e2m1"},
      {"test_qlinearmatmul_2D_int8_float16", "element type float16"},
      {"test_qlinearmatmul_2D_uint8_float16", "element type float16"},
      {"test_qlinearmatmul_3D_int8_float16", "element type float16"},
      {"test_qlinearmatmul_3D_uint8_float16", "element type float16"},
  };
  return exceptions;
}

TEST_CASE("onnx nodes: every quantized node test passes under onnx-reference") {
  REQUIRE_ONNX_NODES();
  const NodeSuite suite = read_node_suite();
  for (const auto& left_out : suite.left_out) {
    const std::string name = left_out.first, cause = left_out.second;
    CAPTURE(name);
    CAPTURE(cause);
    REQUIRE(known_exceptions().contains(name));
    CHECK(known_exceptions().at(name) == cause);
  }
  const backends::TemporaryFolder folder;
  folder.write("manifest.json", suite.manifest.dump());
  backends::write_npz(folder / "nodes.npz", suite.arrays);
  backends::VectorOptions options;
  options.search = {{std::string(FACSIM_SOURCE_DIR) + "/configs/profiles"}};
  const backends::VectorReport report = backends::check_vectors(folder / "", options);
  struct Passed {
    int64_t data_sets = 0, compared = 0;
  };
  std::map<std::string, Passed> passed;
  for (const backends::VectorResult& result : report.cases) {
    CAPTURE(result.name);
    CAPTURE(result.op);
    CAPTURE(result.message);
    CHECK(result.status == backends::VectorResult::Status::passed);
    CHECK(result.mismatches == 0);
    CHECK(result.compared > 0);
    ++passed[result.op].data_sets;
    passed[result.op].compared += result.compared;
  }
  for (const auto& [op, count] : passed) {
    report_parity({{"profile", "onnx-reference"},
                   {"op", profile_op(op)},
                   {"recording", op + ", backend node tests"},
                   {"code", "onnx 1.12.0 (libonnx-testdata)"},
                   {"cases", count.data_sets},
                   {"compared", count.compared},
                   {"mismatches", 0}});
  }
  MESSAGE(suite.tests.size(), " tests of quantized operators, ", report.cases.size(),
          " data sets run, ", suite.left_out.size(), " tests left out");
  // No operator went missing unnoticed.
  for (const auto& known : quantized_operators()) {
    CHECK_MESSAGE(passed[known.first].data_sets > 0, known.first);
  }
}

TEST_CASE("onnx nodes: the tests of Debian's package are all there") {
  REQUIRE_ONNX_NODES();
  if (std::getenv("FACSIM_ONNX_NODES_DIR") != nullptr) return;  // another collection
  const NodeSuite suite = read_node_suite();
  for (const char* name :
       {"test_basic_convinteger", "test_convinteger_with_padding",
        "test_convinteger_without_padding", "test_dequantizelinear", "test_dequantizelinear_axis",
        "test_dynamicquantizelinear", "test_dynamicquantizelinear_expanded",
        "test_dynamicquantizelinear_max_adjusted",
        "test_dynamicquantizelinear_max_adjusted_expanded",
        "test_dynamicquantizelinear_min_adjusted",
        "test_dynamicquantizelinear_min_adjusted_expanded", "test_matmulinteger",
        "test_qlinearconv", "test_quantizelinear", "test_quantizelinear_axis"}) {
    CAPTURE(name);
    CHECK(suite.tests.contains(name));
  }
}

}  // namespace
}  // namespace facsim::test
