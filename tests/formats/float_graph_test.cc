// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/float_graph.h"

#include <doctest/doctest.h>

#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

using test::contains;
using test::error_text;
using test::TempFolder;

std::string network(std::string_view nodes, std::string_view rest = "") {
  return "{\"format\": \"facsim-float-network\", \"version\": 1, \"name\": \"n\",\n"
         "\"input\": {\"shape\": [2, 8, 8]}" +
         std::string(rest) + ",\n\"nodes\": [\n" + std::string(nodes) + "]}\n";
}

TEST_CASE("float_graph: the shipped networks read") {
  const std::filesystem::path folder =
      std::filesystem::path(FACSIM_SOURCE_DIR) / "configs/networks";
  const FloatGraph cnn = read_float_graph(folder / "fashion_cnn.json");
  CHECK(cnn.nodes.size() == 11);
  CHECK(cnn.input_shape == std::array<int64_t, 3>{1, 28, 28});
  CHECK(cnn.preprocessing.mean == std::vector<float>{0.2860f});
  CHECK(cnn.nodes[3].stride == std::array<int64_t, 2>{2, 2});
  CHECK_FALSE(cnn.nodes[0].bias);
  CHECK(cnn.nodes[10].bias);
  CHECK(cnn.nodes[10].in_channels == 3136);
  const FloatGraph residual = read_float_graph(folder / "fashion_residual.json");
  CHECK(residual.nodes[5].inputs == std::vector<std::string>{"block_bn", "stem_relu"});
  CHECK(residual.nodes[8].groups == 8);
  CHECK(residual.outputs == std::vector<std::string>{"fc"});
}

TEST_CASE("float_graph: defaults are PyTorch's, nodes come out in topological order") {
  const TempFolder folder;
  const FloatGraph graph = read_float_graph(folder.write("n.json", network(R"(
      {"name": "sum", "op": "Add", "inputs": ["a", "b"]},
      {"name": "b", "op": "acme.Swish", "inputs": ["a"]},
      {"name": "a", "op": "BatchNorm2d", "inputs": ["p"], "num_features": 2, "momentum": null},
      {"name": "p", "op": "MaxPool2d", "inputs": ["input"], "kernel_size": [2, 1]})",
                                                                           R"(,
      "outputs": ["sum"])")));
  REQUIRE(graph.nodes.size() == 4);
  CHECK(graph.nodes[0].name == "p");
  CHECK(graph.nodes[0].stride == std::array<int64_t, 2>{2, 1});
  CHECK(graph.nodes[1].name == "a");
  CHECK_FALSE(graph.nodes[1].momentum.has_value());
  CHECK(graph.nodes[1].eps == 1e-5f);
  CHECK(graph.nodes[3].name == "sum");
  CHECK(contains(graph.nodes[0].place, " /nodes/3"));
  CHECK(graph.preprocessing.std == std::vector<float>{1, 1});
}

TEST_CASE("float_graph: bad networks") {
  const TempFolder folder;
  struct Row {
    std::string what;
    std::string nodes;
    ErrorCode code;
    std::string message;
  };
  const std::string conv =
      R"({"name": "c", "op": "Conv2d", "in_channels": 2, "out_channels": 4, "kernel_size": 3)";
  const Row rows[] = {
      {"unknown key", conv + R"(, "strid": 2})", ErrorCode::unknown_key,
       ":4:86 /nodes/0/strid: unknown key \"strid\"; expected one of name, op, inputs, profile, "
       "in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias; did you "
       "mean \"stride\"?"},
      {"duplicate key", conv + R"(, "stride": 2, "stride": 1})", ErrorCode::duplicate_key,
       "/nodes/0/stride"},
      {"not JSON", conv, ErrorCode::bad_json, "n.json:"},
      {"missing key", R"({"name": "c", "op": "Conv2d", "in_channels": 2, "kernel_size": 3})",
       ErrorCode::missing_key, "missing \"out_channels\""},
      {"zero channels", R"({"name": "c", "op": "Linear", "in_features": 0, "out_features": 4})",
       ErrorCode::bad_value, "/nodes/0/in_features: 0; expected an integer in 1.."},
      {"zero stride", conv + R"(, "stride": 0})", ErrorCode::bad_value, "/nodes/0/stride: 0"},
      {"fraction", conv + R"(, "stride": 1.5})", ErrorCode::bad_value, "/nodes/0/stride: 1.5"},
      {"three strides", conv + R"(, "stride": [1, 2, 3]})", ErrorCode::bad_value,
       "[height, width]"},
      {"negative padding", conv + R"(, "padding": -1})", ErrorCode::bad_value, "/padding: -1"},
      {"groups", conv + R"(, "groups": 3})", ErrorCode::shape_mismatch, "3 groups for 2 to 4"},
      {"word for bias", conv + R"(, "bias": "no"})", ErrorCode::bad_value, "true or false"},
      {"layer", R"({"name": "c", "op": "Conv2D", "in_channels": 2})", ErrorCode::bad_value,
       "did you mean \"Conv2d\"?"},
      {"missing input", conv + R"(, "inputs": ["inptu"]})", ErrorCode::bad_value,
       "/nodes/0/inputs/0: no node \"inptu\"; did you mean \"input\"?"},
      {"no inputs", conv + R"(, "inputs": []})", ErrorCode::bad_value, "/nodes/0/inputs"},
      {"one input of Add", R"({"name": "s", "op": "Add", "inputs": ["input"]})",
       ErrorCode::bad_value, "1 inputs of Add; expected 2"},
      {"cycle",
       R"({"name": "a", "op": "ReLU", "inputs": ["b"]}, {"name": "b", "op": "ReLU", "inputs": ["a"]})",
       ErrorCode::bad_value, "cycle: "},
      {"self", R"({"name": "a", "op": "ReLU", "inputs": ["a"]})", ErrorCode::bad_value,
       "cycle: a -> a"},
      {"name twice", conv + "},\n" + R"({"name": "c", "op": "ReLU"})", ErrorCode::duplicate_key,
       ":5:10 /nodes/1/name: a second node \"c\""},
      {"bad name", R"({"name": "a.b", "op": "ReLU"})", ErrorCode::bad_value, "/nodes/0/name"},
      {"reserved name", R"({"name": "input", "op": "ReLU"})", ErrorCode::bad_value,
       "/nodes/0/name"},
      {"channels", conv + "},\n" + R"({"name": "b", "op": "BatchNorm2d", "num_features": 8})",
       ErrorCode::shape_mismatch,
       ":5:1 /nodes/1: num_features 8 of \"b\", but its input is 4 x 6 x 6; expected 4"},
      {"unequal Add", conv + "},\n" + R"({"name": "s", "op": "Add", "inputs": ["c", "input"]})",
       ErrorCode::shape_mismatch, "4 x 6 x 6 and 2 x 8 x 8"},
      {"window",
       R"({"name": "c", "op": "Conv2d", "in_channels": 2, "out_channels": 1, "kernel_size": 9})",
       ErrorCode::shape_mismatch, "does not fit into 2 x 8 x 8"},
      {"pool padding", R"({"name": "p", "op": "MaxPool2d", "kernel_size": 3, "padding": 2})",
       ErrorCode::shape_mismatch, "at most half"},
      {"linear on an image",
       R"({"name": "l", "op": "Linear", "in_features": 128, "out_features": 1})",
       ErrorCode::shape_mismatch, "put a Flatten before it"},
      {"features", R"({"name": "f", "op": "Flatten"},
       {"name": "l", "op": "Linear", "in_features": 100, "out_features": 1})",
       ErrorCode::shape_mismatch, "in_features 100 of \"l\", but its input is 128 features"},
      {"conv after flatten", R"({"name": "f", "op": "Flatten"}, )" + conv + "}",
       ErrorCode::shape_mismatch, "expected an image"},
      {"adaptive pool", R"({"name": "p", "op": "AdaptiveAvgPool2d", "output_size": 2})",
       ErrorCode::unsupported, "2 x 2"},
      {"momentum", R"({"name": "b", "op": "BatchNorm2d", "num_features": 2, "momentum": 2})",
       ErrorCode::bad_value, "a number in 0..1"},
      {"eps", R"({"name": "b", "op": "BatchNorm2d", "num_features": 2, "eps": 0})",
       ErrorCode::bad_value, "/eps: 0"},
      {"huge number", R"({"name": "b", "op": "BatchNorm2d", "num_features": 2, "eps": 1e300})",
       ErrorCode::bad_value, "finite in float32"},
      {"unused node",
       R"({"name": "a", "op": "ReLU"}, {"name": "b", "op": "ReLU", "inputs": ["input"]})",
       ErrorCode::bad_value, "\"a\" reaches no output"},
      {"no nodes", "", ErrorCode::bad_value, "no nodes"},
      {"node is a word", "\"conv\"", ErrorCode::bad_value,
       "/nodes/0: \"conv\"; expected an object"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto file = folder.write("n.json", network(row.nodes));
    const std::string text = error_text(row.code, [&] { read_float_graph(file); });
    CHECK_MESSAGE(contains(text, row.message), text);
  }
}

TEST_CASE("float_graph: bad frames around the nodes") {
  const TempFolder folder;
  const std::string node = R"({"name": "a", "op": "ReLU"})";
  struct Row {
    std::string what;
    std::string text;
    std::string message;
  };
  const Row rows[] = {
      {"empty", "", "n.json"},
      {"list", "[]", "expected an object"},
      {"format", R"({"format": "facsim-network", "version": 1})",
       "expected \"facsim-float-network\""},
      {"version", R"({"format": "facsim-float-network", "version": 2})", "1..1"},
      {"mean", network(node, R"(, "inputs": 1)"), "unknown key \"inputs\""},
      {"outputs", network(node, R"(, "outputs": ["b"])"), "/outputs/0: no node \"b\""},
      {"two means for one channel",
       R"({"format": "facsim-float-network", "version": 1, "name": "n", "input": {"shape": [1, 4, 4], "mean": [0, 0]}, "nodes": [)" +
           node + "]}",
       "a list of 1 finite numbers"},
      {"std 0",
       R"({"format": "facsim-float-network", "version": 1, "name": "n", "input": {"shape": [1, 4, 4], "std": [0]}, "nodes": [)" +
           node + "]}",
       "numbers > 0"},
      {"0-sized input",
       R"({"format": "facsim-float-network", "version": 1, "name": "n", "input": {"shape": [1, 0, 4]}, "nodes": [)" +
           node + "]}",
       "/input/shape/1: 0"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto file = folder.write("n.json", row.text);
    std::string text;
    try {
      read_float_graph(file);
    } catch (const Error& error) {
      text = error.what();
    }
    CHECK_MESSAGE(contains(text, row.message), text);
  }
}

TEST_CASE("float_graph: all findings come at once") {
  const TempFolder folder;
  const auto file = folder.write("n.json", network(R"(
      {"name": "c", "op": "Conv2d", "in_channels": 0, "out_channels": 4, "kernel": 3},
      {"name": "d", "op": "Relu"},
      {"name": "e", "op": "ReLU", "inputs": ["x"]})"));
  try {
    read_float_graph(file);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.infos().size() == 5);  // in_channels, kernel_size missing, kernel unknown, Relu, x
  }
}

}  // namespace
}  // namespace facsim::backends
