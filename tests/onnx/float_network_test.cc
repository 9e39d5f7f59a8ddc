// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/float_network.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

using test::contains;
using test::error_text;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Values 1, 2, 3, … of a shape.
Tensor counting(const Shape& shape) {
  Tensor t(DType::float32, shape);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(i + 1);
  return t;
}

/// A model over an image "x", built node by node; each node feeds the next unless told otherwise.
class ModelMaker {
 public:
  explicit ModelMaker(std::vector<OnnxDim> dims = {OnnxDim("batch"), OnnxDim(int64_t{2}),
                                                   OnnxDim(int64_t{6}), OnnxDim(int64_t{5})},
                      int64_t opset = 14) {
    model.opsets = {{"", opset}};
    model.graph.name = "main graph";
    model.graph.inputs = {{"x", OnnxType::float32, std::move(dims)}};
  }

  ModelMaker& floats(const std::string& name, const Tensor& values) {
    model.graph.initializers.push_back({name, OnnxType::float32, values});
    return *this;
  }
  ModelMaker& integers(const std::string& name, std::vector<int64_t> values) {
    const Shape shape{static_cast<int64_t>(values.size())};
    model.graph.initializers.push_back(
        {name, OnnxType::int64, Tensor::from<int64_t>(shape, values)});
    return *this;
  }
  /// "op name" with inputs; the output is the name.
  ModelMaker& node(const std::string& op, const std::string& name, std::vector<std::string> inputs,
                   std::vector<OnnxAttribute> attributes = {}) {
    model.graph.nodes.push_back({op, "", name, std::move(inputs), {name}, std::move(attributes)});
    model.graph.outputs = {{name, OnnxType::float32, {}}};
    return *this;
  }
  ModelMaker& output(const std::string& name) {
    model.graph.outputs = {{name, OnnxType::float32, {}}};
    return *this;
  }
  FloatGraph read() const { return float_network(model); }
  std::string refused(ErrorCode code) const {
    return error_text(code, [&] { float_network(model); });
  }

  OnnxModel model;
};

using Integers = std::vector<int64_t>;

std::string ops_of(const FloatGraph& graph) {
  std::string text;
  for (const FloatNode& node : graph.nodes) text += (text.empty() ? "" : " ") + node.op;
  return text;
}

std::vector<float> values_of(const std::optional<Tensor>& t) {
  REQUIRE(t.has_value());
  return {t->values<float>().begin(), t->values<float>().end()};
}

const FloatParameters& parameters_of(const FloatGraph& graph, const std::string& node) {
  const auto found = graph.parameters.find(node);
  REQUIRE(found != graph.parameters.end());
  return found->second;
}

/// x -> Conv "c" with weights [4, 2, 3, 3].
ModelMaker conv_model(std::vector<OnnxAttribute> attributes = {}) {
  ModelMaker maker;
  maker.floats("w", counting({4, 2, 3, 3}));
  return maker.node("Conv", "c", {"x", "w"}, std::move(attributes));
}

TEST_CASE("float_network: a convolution's attributes and parameters") {
  ModelMaker maker = conv_model({{"strides", Integers{2, 1}},
                                 {"pads", Integers{1, 0, 1, 0}},
                                 {"dilations", Integers{1, 2}},
                                 {"kernel_shape", Integers{3, 3}}});
  const FloatGraph graph = maker.read();
  CHECK(graph.name == "main_graph");
  CHECK(graph.input_shape == std::array<int64_t, 3>{2, 6, 5});
  CHECK(graph.trained());
  REQUIRE(graph.nodes.size() == 1);
  const FloatNode& conv = graph.nodes[0];
  CHECK(conv.op == "Conv2d");
  CHECK(conv.inputs == std::vector<std::string>{"input"});
  CHECK(conv.in_channels == 2);
  CHECK(conv.out_channels == 4);
  CHECK(conv.stride == std::array<int64_t, 2>{2, 1});
  CHECK(conv.padding == std::array<int64_t, 2>{1, 0});
  CHECK(conv.dilation == std::array<int64_t, 2>{1, 2});
  CHECK_FALSE(conv.bias);
  CHECK(graph.outputs == std::vector<std::string>{"c"});
  const FloatParameters& parameters = parameters_of(graph, "c");
  CHECK(parameters.weight->shape() == Shape{4, 3, 3, 2});
  // Row 0, column 0 of both input channels, then column 1.
  const auto weights = values_of(parameters.weight);
  CHECK(std::vector<float>(weights.begin(), weights.begin() + 4) ==
        std::vector<float>{1, 10, 2, 11});
}

TEST_CASE("float_network: auto_pad; sides of unequal padding become a ZeroPad2d") {
  // Stride 2 over 6 x 5 with kernel 3: one row of padding at the bottom, columns on both sides.
  FloatGraph upper =
      conv_model({{"auto_pad", std::string("SAME_UPPER")}, {"strides", Integers{2, 2}}}).read();
  REQUIRE(ops_of(upper) == "ZeroPad2d Conv2d");
  CHECK(upper.nodes[0].pad == std::array<int64_t, 4>{1, 1, 0, 1});
  CHECK(upper.nodes[0].name == "c_pad");
  CHECK(upper.nodes[1].padding == std::array<int64_t, 2>{0, 0});
  CHECK(upper.nodes[1].inputs == std::vector<std::string>{"c_pad"});
  FloatGraph lower =
      conv_model({{"auto_pad", std::string("SAME_LOWER")}, {"strides", Integers{2, 2}}}).read();
  CHECK(lower.nodes[0].pad == std::array<int64_t, 4>{1, 1, 1, 0});
  CHECK(ops_of(conv_model({{"auto_pad", std::string("SAME_UPPER")}}).read()) == "Conv2d");
  CHECK(conv_model({{"auto_pad", std::string("SAME_UPPER")}}).read().nodes[0].padding ==
        std::array<int64_t, 2>{1, 1});
  CHECK(conv_model({{"auto_pad", std::string("VALID")}}).read().nodes[0].padding ==
        std::array<int64_t, 2>{0, 0});
  const FloatGraph explicit_pads = conv_model({{"pads", Integers{0, 1, 2, 3}}}).read();
  CHECK(explicit_pads.nodes[0].pad == std::array<int64_t, 4>{1, 3, 0, 2});
}

TEST_CASE("float_network: a transposed convolution's weights come output channel first") {
  ModelMaker maker;
  maker.floats("w", counting({2, 3, 1, 2}));
  maker.node(
      "ConvTranspose", "up", {"x", "w"},
      {{"group", int64_t{2}}, {"strides", Integers{2, 2}}, {"output_padding", Integers{1, 0}}});
  const FloatGraph graph = maker.read();
  const FloatNode& up = graph.nodes[0];
  CHECK(up.op == "ConvTranspose2d");
  CHECK(up.in_channels == 2);
  CHECK(up.out_channels == 6);
  CHECK(up.groups == 2);
  CHECK(up.output_padding == std::array<int64_t, 2>{1, 0});
  CHECK(parameters_of(graph, "up").weight->shape() == Shape{6, 1, 2, 1});
  CHECK(values_of(parameters_of(graph, "up").weight) ==
        std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  ModelMaker dense;
  dense.floats("w", counting({2, 3, 1, 1})).node("ConvTranspose", "up", {"x", "w"});
  CHECK(values_of(parameters_of(dense.read(), "up").weight) ==
        std::vector<float>{1, 4, 2, 5, 3, 6});
}

TEST_CASE("float_network: batch norm after images and after features") {
  ModelMaker maker;
  for (const char* name : {"g", "b", "m", "v"}) maker.floats(name, counting({2}));
  maker.node("BatchNormalization", "n", {"x", "g", "b", "m", "v"},
             {{"epsilon", 0.01f}, {"momentum", 0.9f}});
  const FloatGraph graph = maker.read();
  CHECK(graph.nodes[0].op == "BatchNorm2d");
  CHECK(graph.nodes[0].eps == 0.01f);
  CHECK(graph.nodes[0].momentum == 0.1f);
  CHECK(values_of(parameters_of(graph, "n").running_var) == std::vector<float>{1, 2});
  ModelMaker flat;
  for (const char* name : {"g", "b", "m", "v"}) flat.floats(name, counting({60}));
  flat.node("Flatten", "f", {"x"}).node("BatchNormalization", "n", {"f", "g", "b", "m", "v"});
  CHECK(ops_of(flat.read()) == "Flatten BatchNorm1d");
}

TEST_CASE("float_network: bad values of a batch norm are named with node and channel") {
  const auto text = [](std::vector<float> variance, float eps, ErrorCode code) {
    ModelMaker maker(
        {OnnxDim(int64_t{1}), OnnxDim(int64_t{4}), OnnxDim(int64_t{3}), OnnxDim(int64_t{3})});
    for (const char* name : {"g", "b", "m"}) maker.floats(name, counting({4}));
    maker.floats("v", Tensor::from<float>({static_cast<int64_t>(variance.size())}, variance));
    maker.node("BatchNormalization", "n", {"x", "g", "b", "m", "v"}, {{"epsilon", eps}});
    return maker.refused(code);
  };
  CHECK(contains(text({1, 1, 1, -0.25f}, 1e-5f, ErrorCode::bad_value),
                 "node \"n\" (BatchNormalization): variance -0.25 < 0 at channel 3"));
  CHECK(contains(text({1, 0, 1, 1}, 0, ErrorCode::bad_value), "variance 0 and eps 0 at channel 1"));
  CHECK(
      contains(text({1, 1, kNan, 1}, 1e-5f, ErrorCode::bad_value), "running_var nan at channel 2"));
  CHECK(contains(text({1, 1, 1}, 1e-5f, ErrorCode::shape_mismatch), "running_var float32 (3,)"));
  CHECK(contains(text({1, 1, 1, 1}, -1, ErrorCode::bad_value), "epsilon -1"));
  CHECK(contains(text({1, 1, 1, 1}, 0, ErrorCode::unsupported), "epsilon 0"));
}

TEST_CASE("float_network: biases that are subnormal pass, NaN and infinite ones are named") {
  const auto conv_with_bias = [](std::vector<float> bias) {
    ModelMaker maker;
    maker.floats("w", counting({2, 2, 1, 1}));
    maker.floats("b", Tensor::from<float>({2}, bias));
    maker.node("Conv", "c", {"x", "w", "b"});
    return maker;
  };
  CHECK(values_of(parameters_of(conv_with_bias({1e-41f, 1}).read(), "c").bias) ==
        std::vector<float>{1e-41f, 1});
  CHECK(contains(conv_with_bias({1, kNan}).refused(ErrorCode::bad_value),
                 "node \"c\" (Conv): bias nan at channel 1"));
  CHECK(contains(conv_with_bias({INFINITY, 1}).refused(ErrorCode::bad_value),
                 "bias inf at channel 0"));
}

TEST_CASE("float_network: Gemm and MatMul are Linear layers, an Add after one is its bias") {
  ModelMaker gemm;
  gemm.floats("w", counting({3, 60})).floats("c", counting({3}));
  gemm.node("Flatten", "f", {"x"});
  gemm.node("Gemm", "g", {"f", "w", "c"}, {{"transB", int64_t{1}}, {"beta", 0.5f}});
  FloatGraph graph = gemm.read();
  CHECK(ops_of(graph) == "Flatten Linear");
  CHECK(graph.nodes[1].in_channels == 60);
  CHECK(graph.nodes[1].out_channels == 3);
  CHECK(values_of(parameters_of(graph, "g").bias) == std::vector<float>{0.5f, 1, 1.5f});
  CHECK(values_of(parameters_of(graph, "g").weight)[60] == 61);

  ModelMaker matmul;
  matmul.floats("w", counting({60, 3})).floats("c", counting({1, 3}));
  matmul.node("Flatten", "f", {"x"}).node("MatMul", "m", {"f", "w"}).node("Add", "a", {"c", "m"});
  graph = matmul.read();
  CHECK(ops_of(graph) == "Flatten Linear");
  CHECK(graph.outputs == std::vector<std::string>{"m"});
  CHECK(graph.nodes[1].bias);
  CHECK(values_of(parameters_of(graph, "m").bias) == std::vector<float>{1, 2, 3});
  CHECK(values_of(parameters_of(graph, "m").weight)[1] == 4);

  ModelMaker plain;  // not transposed, scaled, one bias for all
  plain.floats("w", counting({60, 3})).floats("c", counting({1}));
  plain.node("Flatten", "f", {"x"}).node("Gemm", "g", {"f", "w", "c"}, {{"alpha", 2.0f}});
  graph = plain.read();
  CHECK(values_of(parameters_of(graph, "g").weight)[1] == 8);
  CHECK(values_of(parameters_of(graph, "g").bias) == std::vector<float>{1, 1, 1});
}

TEST_CASE("float_network: activations and their old forms") {
  ModelMaker maker = conv_model();
  maker.floats("zero", Tensor(DType::float32, Shape{}));
  maker.floats("six", Tensor::from<float>(Shape{}, std::array{6.0f}));
  maker.node("Relu", "r", {"c"});
  maker.node("Clip", "r6", {"r", "zero", "six"});
  maker.node("Clip", "r7", {"r6", "zero"});
  maker.node("LeakyRelu", "l", {"r7"}, {{"alpha", 0.2f}});
  maker.node("HardSigmoid", "gate", {"l"}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
  maker.node("Mul", "swish", {"gate", "l"});
  maker.node("HardSwish", "swish2", {"swish"});
  maker.node("Sigmoid", "s", {"swish2"});
  maker.node("Dropout", "d", {"s"}).node("Identity", "i", {"d"});
  const FloatGraph graph = maker.read();
  CHECK(ops_of(graph) == "Conv2d ReLU ReLU6 ReLU LeakyReLU Hardswish Hardswish Sigmoid");
  CHECK(graph.nodes[4].negative_slope == 0.2f);
  CHECK(graph.outputs == std::vector<std::string>{"s"});
  ModelMaker old = conv_model();
  old.node("Clip", "r6", {"c"}, {{"min", 0.0f}, {"max", 6.0f}});
  CHECK(ops_of(old.read()) == "Conv2d ReLU6");
}

TEST_CASE("float_network: pools") {
  ModelMaker maker;
  maker.node("MaxPool", "m", {"x"},
             {{"kernel_shape", Integers{3, 2}},
              {"strides", Integers{1, 1}},
              {"pads", Integers{1, 1, 1, 1}}});
  maker.node("AveragePool", "a", {"m"},
             {{"kernel_shape", Integers{2, 2}},
              {"strides", Integers{2, 2}},
              {"pads", Integers{0, 0, 0, 1}},
              {"count_include_pad", int64_t{1}}});
  maker.node("ReduceMean", "mean", {"a"}, {{"axes", Integers{-1, 2}}, {"keepdims", int64_t{0}}});
  FloatGraph graph = maker.read();
  CHECK(ops_of(graph) == "MaxPool2d ZeroPad2d AvgPool2d AdaptiveAvgPool2d Flatten");
  CHECK(graph.nodes[0].padding == std::array<int64_t, 2>{1, 1});
  ModelMaker global;
  global.node("GlobalAveragePool", "g", {"x"}).node("Flatten", "f", {"g"});
  CHECK(ops_of(global.read()) == "AdaptiveAvgPool2d Flatten");
  ModelMaker whole;  // ceil_mode where every window fits
  whole.node(
      "MaxPool", "m", {"x"},
      {{"kernel_shape", Integers{2, 3}}, {"strides", Integers{2, 2}}, {"ceil_mode", int64_t{1}}});
  CHECK(ops_of(whole.read()) == "MaxPool2d");
}

TEST_CASE("float_network: reshapes to features, by any arithmetic on shapes") {
  const auto flattens = [](const ModelMaker& maker) { CHECK(ops_of(maker.read()) == "Flatten"); };
  for (const Integers& target : {Integers{0, -1}, Integers{-1, 60}, Integers{1, 60}}) {
    ModelMaker maker;
    flattens(maker.integers("s", target).node("Reshape", "r", {"x", "s"}));
  }
  ModelMaker chain;  // view(x.size(0), -1) as PyTorch writes it
  chain.integers("zero", {0}).integers("rest", {-1});
  chain.node("Shape", "shape", {"x"}).node("Gather", "n", {"shape", "zero"});
  chain.node("Concat", "target", {"n", "rest"}, {{"axis", int64_t{0}}});
  flattens(chain.node("Reshape", "r", {"x", "target"}));
  ModelMaker product;  // [-1, C * H * W]
  product.integers("zero", {0}).integers("one", {1}).integers("four", {4}).integers("free", {-1});
  product.node("Shape", "shape", {"x"});
  product.node("Slice", "chw", {"shape", "one", "four"});
  product.integers("i1", {1}).integers("i2", {2});
  product.node("Gather", "c", {"chw", "zero"}).node("Gather", "h", {"chw", "i1"});
  product.node("Gather", "w", {"chw", "i2"});
  product.node("Mul", "ch", {"c", "h"}).node("Mul", "all", {"ch", "w"});
  product.node("Concat", "target", {"free", "all"}, {{"axis", int64_t{0}}});
  flattens(product.node("Reshape", "r", {"x", "target"}));
  ModelMaker squeeze;
  squeeze.node("GlobalAveragePool", "g", {"x"});
  squeeze.node("Squeeze", "s", {"g"}, {{"axes", Integers{2, 3}}});
  CHECK(ops_of(squeeze.read()) == "AdaptiveAvgPool2d Flatten");
}

TEST_CASE("float_network: Concat, Resize, Upsample and Pad") {
  ModelMaker maker;
  maker.floats("scales", Tensor::from<float>({4}, std::array{1.0f, 1.0f, 2.0f, 3.0f}));
  maker.integers("sizes", {1, 4, 12, 15});
  maker.node("Concat", "cat", {"x", "x"}, {{"axis", int64_t{-3}}});
  maker.node("Resize", "up", {"cat", "", "scales"},
             {{"mode", std::string("nearest")},
              {"coordinate_transformation_mode", std::string("asymmetric")},
              {"nearest_mode", std::string("floor")}});
  CHECK(ops_of(maker.read()) == "Concat Upsample");
  CHECK(maker.read().nodes[1].scale_factor == std::array<int64_t, 2>{2, 3});
  // ONNX's default, half pixels rounded, repeats each pixel too.
  ModelMaker plain;
  plain.floats("scales", Tensor::from<float>({4}, std::array{1.0f, 1.0f, 2.0f, 3.0f}));
  plain.node("Resize", "up", {"x", "", "scales"});
  CHECK(ops_of(plain.read()) == "Upsample");
  ModelMaker sizes;
  sizes.integers("sizes", {1, 2, 12, 15});
  sizes.node("Resize", "up", {"x", "", "", "sizes"}, {{"mode", std::string("linear")}});
  CHECK(sizes.read().nodes[0].mode == ResizeAttributes::Mode::bilinear);
  CHECK(sizes.read().nodes[0].scale_factor == std::array<int64_t, 2>{2, 3});
  ModelMaker corners;
  corners.integers("sizes", {1, 2, 12, 15});
  corners.node("Resize", "up", {"x", "", "", "sizes"},
               {{"mode", std::string("linear")},
                {"coordinate_transformation_mode", std::string("align_corners")}});
  CHECK(corners.read().nodes[0].align_corners);
  ModelMaker pad;
  pad.integers("pads", {0, 0, 1, 2, 0, 0, 3, 4}).node("Pad", "p", {"x", "pads"});
  CHECK(pad.read().nodes[0].pad == std::array<int64_t, 4>{2, 4, 1, 3});
  ModelMaker none;
  none.integers("pads", Integers(8, 0));
  none.node("Pad", "p", {"x", "pads"}).node("Relu", "r", {"p"});
  CHECK(ops_of(none.read()) == "ReLU");
}

TEST_CASE("float_network: names are identifiers, one each; what reaches no output is left out") {
  ModelMaker maker;
  maker.node("Relu", "/a/b.0/Relu", {"x"});
  maker.node("Relu", "", {"/a/b.0/Relu"});
  maker.model.graph.nodes[1].outputs = {"1"};
  maker.node("Relu", "a_b_0_Relu", {"1"});
  maker.model.graph.nodes[2].outputs = {"2"};
  maker.node("Relu", "unused", {"x"}).node("Relu", "input", {"2"});
  maker.model.graph.nodes[4].outputs = {"y"};
  maker.output("y");
  const FloatGraph graph = maker.read();
  REQUIRE(graph.nodes.size() == 4);
  CHECK(graph.nodes[0].name == "a_b_0_Relu");
  CHECK(graph.nodes[1].name == "Relu_1");
  CHECK(graph.nodes[2].name == "a_b_0_Relu_1");
  CHECK(graph.nodes[3].name == "inputnode");
}

TEST_CASE("float_network: preprocessing from the metadata") {
  ModelMaker maker = conv_model();
  maker.model.metadata = {{"facsim.mean", "0.25, -1"}, {"facsim.std", "0.5,2"}, {"other", "x"}};
  CHECK(maker.read().preprocessing.mean == std::vector<float>{0.25f, -1});
  CHECK(maker.read().preprocessing.std == std::vector<float>{0.5f, 2});
  CHECK(conv_model().read().preprocessing.mean.empty());
  for (const char* text : {"0.5", "0.5, 1, 2", "0.5, x", "0.5, 0", "0.5, -1", ""}) {
    CAPTURE(text);
    maker.model.metadata = {{"facsim.std", text}};
    CHECK(contains(maker.refused(ErrorCode::bad_value), "metadata facsim.std"));
  }
}

TEST_CASE("float_network: refused attributes of convolutions") {
  struct Row {
    std::vector<OnnxAttribute> attributes;
    ErrorCode code;
    std::string message;
  };
  const int64_t huge = int64_t{1} << 31;
  const Row rows[] = {
      {{{"strides", Integers{0, 1}}}, ErrorCode::bad_value, "strides 0; expected 1.."},
      {{{"strides", Integers{-1, 1}}}, ErrorCode::bad_value, "strides -1"},
      {{{"strides", Integers{huge, 1}}}, ErrorCode::bad_value, "strides 2147483648"},
      {{{"strides", Integers{1}}}, ErrorCode::unsupported, "strides of 1 numbers"},
      {{{"dilations", Integers{0, 1}}}, ErrorCode::bad_value, "dilations 0"},
      {{{"pads", Integers{-1, 0, 0, 0}}}, ErrorCode::bad_value, "pads -1"},
      {{{"pads", Integers{0, 0, 0, huge}}}, ErrorCode::bad_value, "pads 2147483648"},
      {{{"pads", Integers{0, 0}}}, ErrorCode::unsupported, "pads of 2 numbers"},
      {{{"group", int64_t{0}}}, ErrorCode::bad_value, "group 0"},
      {{{"group", int64_t{3}}}, ErrorCode::bad_value, "group 3 of 4 weight channels"},
      {{{"group", int64_t{2}}}, ErrorCode::shape_mismatch, "in_channels 4"},
      {{{"kernel_shape", Integers{3, 1}}}, ErrorCode::bad_value, "kernel_shape 3 x 1"},
      {{{"dilations", Integers{3, 1}}}, ErrorCode::shape_mismatch, "does not fit"},
      {{{"auto_pad", std::string("SAME")}}, ErrorCode::bad_value, "auto_pad \"SAME\""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.message);
    const std::string text = conv_model(row.attributes).refused(row.code);
    CHECK_MESSAGE(contains(text, row.message), text);
    CHECK_MESSAGE(contains(text, "node \"c\" (Conv)"), text);
  }
  ModelMaker line;
  line.floats("w", counting({4, 2, 3})).node("Conv", "c", {"x", "w"});
  CHECK(contains(line.refused(ErrorCode::unsupported), "weights of shape (4, 2, 3)"));
  ModelMaker computed;
  computed.node("Relu", "r", {"x"}).node("Conv", "c", {"x", "r"});
  CHECK(contains(computed.refused(ErrorCode::unsupported), "input \"r\" computed at run time"));
}

TEST_CASE("float_network: every op that is no layer is named, all at once") {
  ModelMaker maker = conv_model();
  maker.node("Gelu", "g", {"c"}).node("Relu", "r", {"g"}).node("LayerNormalization", "n", {"r"});
  maker.node("Softmax", "s", {"n"});
  const std::string text = maker.refused(ErrorCode::unsupported);
  CHECK(contains(text, "node \"g\" (Gelu): op Gelu"));
  CHECK(contains(text, "node \"n\" (LayerNormalization): op LayerNormalization"));
  CHECK(contains(text, "node \"s\" (Softmax): op Softmax"));
  CHECK(contains(text, "up to its logits"));
  CHECK_FALSE(contains(text, "Relu)"));
  ModelMaker quantized = conv_model();
  quantized.node("QuantizeLinear", "q", {"c", "w"});
  CHECK(contains(quantized.refused(ErrorCode::unsupported), "a quantized network runs as it is"));
  ModelMaker foreign = conv_model();
  foreign.node("Relu", "r", {"c"});
  foreign.model.graph.nodes[1].domain = "com.acme";
  CHECK(contains(foreign.refused(ErrorCode::unsupported), "op com.acme.Relu"));
}

TEST_CASE("float_network: reasons of single layers") {
  struct Row {
    std::string what;
    ModelMaker maker;
    ErrorCode code;
    std::string message;
  };
  const auto over_x = [](const std::string& op, std::vector<OnnxAttribute> attributes) {
    ModelMaker maker;
    return maker.node(op, "n", {"x"}, std::move(attributes));
  };
  const Integers two{2, 2}, three{3, 3};
  std::vector<Row> rows = {
      {"ceil",
       over_x("MaxPool", {{"kernel_shape", two}, {"strides", two}, {"ceil_mode", int64_t{1}}}),
       ErrorCode::unsupported, "ceil_mode 1"},
      {"sides", over_x("MaxPool", {{"kernel_shape", two}, {"pads", Integers{0, 0, 1, 1}}}),
       ErrorCode::unsupported, "pads that differ"},
      {"no kernel", over_x("MaxPool", {}), ErrorCode::bad_value, "no kernel_shape"},
      {"exclude pad",
       over_x("AveragePool", {{"kernel_shape", three}, {"pads", Integers{1, 1, 1, 1}}}),
       ErrorCode::unsupported, "count_include_pad 0"},
      {"mean", over_x("ReduceMean", {{"axes", Integers{1}}}), ErrorCode::unsupported, "other axes"},
      {"flatten", over_x("Flatten", {{"axis", int64_t{2}}}), ErrorCode::unsupported, "axis 2"},
      {"clip", over_x("Clip", {{"min", -1.0f}, {"max", 1.0f}}), ErrorCode::unsupported,
       "bounds -1 and 1"},
      {"gate", over_x("HardSigmoid", {}), ErrorCode::unsupported, "alpha 0.2"},
      {"cast", over_x("Cast", {{"to", int64_t{10}}}), ErrorCode::unsupported, "a cast"},
      {"wrong kind", over_x("LeakyRelu", {{"alpha", int64_t{1}}}), ErrorCode::bad_value, "alpha"},
  };
  ModelMaker product;
  product.node("Mul", "n", {"x", "x"});
  rows.push_back({"product", product, ErrorCode::unsupported, "a product"});
  ModelMaker gate;
  gate.node("HardSigmoid", "h", {"x"}, {{"alpha", 1.0f / 6}}).node("Relu", "n", {"h"});
  rows.push_back({"gate alone", gate, ErrorCode::unsupported, "HardSigmoid \"h\" as an input"});
  ModelMaker constant;
  constant.floats("k", counting({2, 1, 1})).node("Add", "n", {"x", "k"});
  rows.push_back({"constant", constant, ErrorCode::unsupported, "a constant added to 2 x 6 x 5"});
  ModelMaker shared = conv_model();  // the bias would reach the other reader too
  shared.floats("k", counting({4, 1, 1})).node("Add", "n", {"c", "k"}).node("Add", "s", {"n", "c"});
  rows.push_back({"shared", shared, ErrorCode::unsupported, "a constant added"});
  ModelMaker image;
  image.floats("w", counting({5, 3})).node("MatMul", "n", {"x", "w"});
  rows.push_back({"image", image, ErrorCode::unsupported, "an input of 2 x 6 x 5"});
  ModelMaker half;
  half.floats("k", Tensor::from<float>({4}, std::array{1.0f, 1.0f, 1.5f, 2.0f}));
  half.node("Resize", "n", {"x", "", "k"});
  rows.push_back({"half", half, ErrorCode::unsupported, "scales 1, 1, 1.5, 2"});
  ModelMaker shifted;
  shifted.floats("k", Tensor::from<float>({4}, std::array{1.0f, 1.0f, 2.0f, 2.0f}));
  shifted.node("Resize", "n", {"x", "", "k"}, {{"nearest_mode", std::string("floor")}});
  rows.push_back({"shifted", shifted, ErrorCode::unsupported, "half_pixel with floor"});
  ModelMaker rank3;
  rank3.integers("s", {1, 2, 30}).node("Reshape", "n", {"x", "s"});
  rows.push_back({"rank", rank3, ErrorCode::unsupported, "a shape of rank 3"});
  for (const Integers& shape : {Integers{1, 59}, Integers{-1, -1}, Integers{-1, 0, 0, 0, 0},
                                Integers{1, INT64_MAX}, Integers{-2, 30}}) {
    ModelMaker wrong;
    wrong.integers("s", shape).node("Reshape", "n", {"x", "s"});
    rows.push_back({"elements", wrong, ErrorCode::bad_value, "a shape that does not hold 60"});
  }
  ModelMaker crop;
  crop.integers("p", {0, 0, -1, 0, 0, 0, 0, 0}).node("Pad", "n", {"x", "p"});
  rows.push_back({"crop", crop, ErrorCode::unsupported, "pads -1 on axis 2"});
  ModelMaker mask;
  mask.node("Dropout", "n", {"x"}).node("Relu", "r", {"mask"});
  mask.model.graph.nodes[0].outputs = {"n", "mask"};
  rows.push_back({"mask", mask, ErrorCode::unsupported, "output 1 \"mask\" in use"});
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const std::string text = row.maker.refused(row.code);
    CHECK_MESSAGE(contains(text, row.message), text);
  }
}

/// x, 2 x 6 x 5, twice as high and wide.
ModelMaker resize_model(std::vector<OnnxAttribute> attributes,
                        std::vector<int64_t> sizes = {1, 2, 12, 10}) {
  ModelMaker maker;
  maker.integers("sizes", std::move(sizes));
  return maker.node("Resize", "up", {"x", "", "", "sizes"}, std::move(attributes));
}

TEST_CASE("float_network: attributes of Resize are known or refused by name") {
  const auto refused = [](std::vector<OnnxAttribute> attributes) {
    return resize_model(std::move(attributes)).refused(ErrorCode::unsupported);
  };
  const std::string coordinates = "coordinate_transformation_mode";
  CHECK(contains(refused({{coordinates, std::string("tf_crop_and_resize")}}),
                 "(Resize): coordinate_transformation_mode tf_crop_and_resize"));
  CHECK(contains(refused({{"nearest_mode", std::string("simple")}}), "nearest_mode simple"));
  CHECK(contains(refused({{"keep_aspect_ratio_policy", std::string("not_larger")}}),
                 "keep_aspect_ratio_policy not_larger; expected stretch"));
  CHECK(contains(refused({{"mode", std::string("cubic")}}), "mode cubic"));
  CHECK(contains(refused({{"antialias", int64_t{1}}}), "antialias 1"));
  CHECK(contains(refused({{"exclude_outside", int64_t{1}}}), "exclude_outside 1"));
  CHECK(contains(refused({{"axes", Integers{1, 2}}}), "axes of another kind"));
  CHECK(contains(refused({{"foo", int64_t{0}}}), "attribute \"foo\""));
  CHECK(ops_of(resize_model({{"keep_aspect_ratio_policy", std::string("stretch")},
                             {"nearest_mode", std::string("floor")},
                             {coordinates, std::string("tf_half_pixel_for_nn")}})
                   .read()) == "Upsample");
}

TEST_CASE("float_network: Resize with axes 2, 3 has sizes or scales of height and width") {
  for (const Integers& axes : {Integers{2, 3}, Integers{-2, -1}}) {
    CHECK(resize_model({{"axes", axes}}, {12, 15}).read().nodes[0].scale_factor ==
          std::array<int64_t, 2>{2, 3});
  }
  CHECK(resize_model({{"axes", Integers{0, 1, 2, 3}}}).read().nodes[0].scale_factor ==
        std::array<int64_t, 2>{2, 2});
  ModelMaker scales;
  scales.floats("scales", Tensor::from<float>({2}, std::array{2.0f, 3.0f}));
  scales.node("Resize", "up", {"x", "", "scales"}, {{"axes", Integers{2, 3}}});
  CHECK(scales.read().nodes[0].scale_factor == std::array<int64_t, 2>{2, 3});
  CHECK(contains(resize_model({{"axes", Integers{2, 3}}}).refused(ErrorCode::bad_value),
                 "4 scales or sizes; expected 2"));
  CHECK(contains(resize_model({}, {12, 10}).refused(ErrorCode::bad_value),
                 "2 scales or sizes; expected 4"));
}

TEST_CASE("float_network: a small file cannot ask for much memory or work") {
  // 1 GiB in all: constants that grow from a few bytes, each of 8 MiB.
  ModelMaker grown;
  grown.integers("extents", {1 << 20});
  OnnxTensor one{"", OnnxType::int64, Tensor::from<int64_t>({1}, std::array{int64_t{1}})};
  for (int i = 0; i < 200; ++i) {
    const std::string name = "k" + std::to_string(i);
    grown.node("ConstantOfShape", name, {"extents"}, {{"value", one}});
  }
  CHECK(contains(grown.node("Relu", "r", {"x"}).refused(ErrorCode::unsupported),
                 "node \"k128\" (ConstantOfShape): constants computed of more than 1 GiB"));
  // Long lists that many nodes read.
  ModelMaker listed;
  listed.integers("s", Integers(1025, 1)).node("Reshape", "n", {"x", "s"});
  CHECK(contains(listed.refused(ErrorCode::unsupported),
                 "1025 integers \"s\"; expected at most 1024"));
  ModelMaker attribute;
  attribute.node("Squeeze", "n", {"x"}, {{"axes", Integers(1025, 2)}});
  CHECK(contains(attribute.refused(ErrorCode::unsupported), "1025 integers \"axes\""));
  // Pixels of a Resize.
  CHECK(contains(resize_model({}, {1, 2, 6 * 65536, 5}).refused(ErrorCode::unsupported),
                 "6 pixels times 65536; expected at most 65536"));
  // Findings.
  ModelMaker many;
  for (int i = 0; i < 250; ++i) many.node("TopK", "t" + std::to_string(i), {"x"});
  const std::string text = many.refused(ErrorCode::unsupported);
  CHECK(contains(text, "\"t99\""));
  CHECK_FALSE(contains(text, "\"t100\""));
  CHECK(contains(text, "150 more nodes that cannot be run"));
}

TEST_CASE("float_network: symbolic dimensions take the extents given") {
  const OnnxDim one{int64_t{1}};
  ModelMaker maker({one, one, OnnxDim("height"), OnnxDim("width")});
  maker.node("Relu", "r", {"x"});
  CHECK(contains(maker.refused(ErrorCode::bad_value), "give --dim height=N"));
  CHECK(float_network(maker.model, {{{"height", 6}, {"width", 7}}}).input_shape ==
        std::array<int64_t, 3>{1, 6, 7});
  CHECK(contains(error_text(ErrorCode::bad_value,
                            [&] {
                              float_network(maker.model, {{{"height", 6}, {"width", 65537}}});
                            }),
                 "dimension 65537"));
}

TEST_CASE("float_network: inputs and outputs that are no image classifier's") {
  const auto refused = [](std::vector<OnnxDim> dims) {
    ModelMaker maker(std::move(dims));
    return maker.node("Relu", "r", {"x"}).refused(ErrorCode::unsupported);
  };
  const OnnxDim one{int64_t{1}};
  CHECK(contains(refused({one, OnnxDim(int64_t{784})}), "2 dimensions"));
  ModelMaker zero({one, one, OnnxDim(int64_t{0}), one});
  CHECK(contains(zero.node("Relu", "r", {"x"}).refused(ErrorCode::bad_value), "dimension 0"));
  ModelMaker twice;
  twice.node("Relu", "r", {"x"}).model.graph.inputs.push_back(twice.model.graph.inputs[0]);
  twice.model.graph.inputs[1].name = "other";
  CHECK(contains(twice.refused(ErrorCode::unsupported), "2 inputs"));
  ModelMaker bytes;
  bytes.node("Relu", "r", {"x"}).model.graph.inputs[0].type = OnnxType::uint8;
  CHECK(contains(bytes.refused(ErrorCode::unsupported), "input \"x\": uint8"));
  ModelMaker outputs;
  outputs.node("Relu", "r", {"x"}).model.graph.outputs.push_back({"x", OnnxType::float32, {}});
  CHECK(contains(outputs.refused(ErrorCode::unsupported), "2 outputs"));
  ModelMaker itself;
  CHECK(contains(itself.node("Identity", "r", {"x"}).refused(ErrorCode::unsupported),
                 "the input itself"));
  ModelMaker listed = conv_model();  // older files list initializers among the inputs
  listed.model.graph.inputs.push_back({"w", OnnxType::float32, {}});
  CHECK(ops_of(listed.read()) == "Conv2d");
}

}  // namespace
}  // namespace facsim::backends
