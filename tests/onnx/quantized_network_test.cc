// SPDX-License-Identifier: Apache-2.0
// What quantized_network makes of small networks: layouts, names, groups, and every refusal.
#include "backends/onnx/quantized_network.h"

#include <doctest/doctest.h>

#include <functional>

#include "tests/formats/temp_folder.h"
#include "tests/onnx/network_maker.h"
#include "tests/onnx/run_network.h"

namespace facsim::backends {
namespace {

using test::CodeScale;
using test::contains;
using test::error_text;
using test::NetworkMaker;
using Integers = std::vector<int64_t>;

const CodeScale kScale{0.5f, 3, OnnxType::uint8};

/// A maker with one input of codes (3, C, H, W) and what reads it.
struct Small {
  NetworkMaker m{7};
  test::MadeCodes x;

  explicit Small(Integers shape = {0, 4, 5, 6}) : x(m.input_codes(std::move(shape), kScale)) {}
  std::string real() { return m.dequantize(x.name, kScale); }
  /// The network with `codes` as its output.
  OnnxModel with(const std::string& codes) {
    m.output(codes, OnnxType::uint8);
    return m.model();
  }
};

/// Ops of the IntGraph, in order.
std::string ops_of(const IntGraph& graph) {
  std::string out;
  for (const IntNode& node : graph.nodes) out += (out.empty() ? "" : " ") + node.op;
  return out;
}

std::string refused(const OnnxModel& model, ErrorCode code,
                    const QuantizedNetworkOptions& options = {}) {
  return error_text(code, [&] { quantized_network(model, options); });
}

/// The model after `change`.
OnnxModel changed(OnnxModel model, const std::function<void(OnnxModel&)>& change) {
  change(model);
  return model;
}

OnnxNode& node_of(OnnxModel& model, std::string_view op) {
  for (OnnxNode& node : model.graph.nodes) {
    if (node.op_type == op) return node;
  }
  FAIL("no node " << std::string(op));
  return model.graph.nodes.front();
}

OnnxTensor& initializer(OnnxModel& model, const std::string& name) {
  for (OnnxTensor& tensor : model.graph.initializers) {
    if (tensor.name == name) return tensor;
  }
  FAIL("no initializer " << name);
  return model.graph.initializers.front();
}

void set_attribute(OnnxNode& node, const std::string& name, Integers values) {
  for (OnnxAttribute& attribute : node.attributes) {
    if (attribute.name == name) attribute.value = values;
  }
  if (find_attribute(node, name) == nullptr) node.attributes.push_back({name, values});
}

/// QLinearConv on (N, 4, 5, 6) with 6 outputs of a 3x2 window.
OnnxModel qlinear_conv() {
  Small net;
  const auto layer = net.m.layer(OnnxType::int8, {6, 4, 3, 2}, 0, true, 0.5f, 0.2f);
  return net.with(net.m.node(
      "QLinearConv",
      {net.x.name, net.m.scale_name(kScale), net.m.zero_name(kScale), layer.codes, layer.scale,
       layer.zero_point, net.m.scale_name(kScale), net.m.zero_name(kScale), layer.bias},
      {{"kernel_shape", Integers{3, 2}}, {"pads", Integers{1, 0, 1, 1}}}));
}

/// QDQ Conv of the codes `x` in reals.
std::string conv(NetworkMaker& m, const std::string& real, OnnxType weights = OnnxType::int8) {
  const auto layer = m.layer(weights, {6, 4, 3, 2}, 0, false, 0.5f, 0.2f);
  return m.node("Conv",
                {real, m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point})});
}

TEST_CASE("quantized network: codes keep their names; images are NHWC inside, nchw outside") {
  const OnnxModel model = qlinear_conv();
  const IntGraph graph = quantized_network(model);
  CHECK(graph.layout == IntGraph::Layout::nchw);
  CHECK(ops_of(graph) == "conv2d");
  const IntTensor& x = graph.tensors[static_cast<size_t>(graph.inputs[0])];
  CHECK(x.name == model.graph.inputs[0].name);
  CHECK(x.shape == Shape{1, 5, 6, 4});
  CHECK(x.qparams->scale == std::vector<float>{0.5f});
  CHECK(x.qparams->zero_point == Integers{3});
  const IntTensor& y = graph.tensors[static_cast<size_t>(graph.outputs[0])];
  CHECK(y.name == model.graph.outputs[0].name);
  CHECK(y.shape == Shape{1, 5, 6, 6});
  const IntNode& node = graph.nodes[0];
  CHECK(node.name == node_of(const_cast<OnnxModel&>(model), "QLinearConv").name);
  const IntTensor& w = graph.tensors[static_cast<size_t>(node.inputs[1])];
  CHECK(w.shape == Shape{6, 3, 2, 4});
  const Tensor& oihw = model.graph.initializers[0].values;
  REQUIRE(oihw.shape() == Shape{6, 4, 3, 2});
  // w[o][h][w][i] is the file's [o][i][h][w].
  CHECK(w.data->int_at(((2 * 3 + 1) * 2 + 1) * 4 + 3) ==
        oihw.int_at(((2 * 4 + 3) * 3 + 1) * 2 + 1));
}

TEST_CASE("quantized network: axes of moves, on extents that all differ") {
  // (N, 4, 5, 6) codes 0..119 a sample; the file's own order of elements is known by hand.
  const auto run = [](const std::function<std::string(Small&)>& op) {
    Small net;
    OnnxModel model = net.with(op(net));
    Tensor x(DType::uint8, {2, 4, 5, 6});
    for (int64_t i = 0; i < x.numel(); ++i) x.set_int(i, i % 120 + i / 120);
    const IntGraph graph = quantized_network(model);
    return test::run_network(graph, "onnxruntime-cpu", {x}).at(model.graph.outputs[0].name);
  };
  // Each reads the input through a table first, so that its scale is known.
  const auto read = [](Small& net) {
    return net.m.quantize(net.m.node("Relu", {net.real()}), kScale);
  };
  const auto code = [](int64_t n, int64_t c, int64_t h, int64_t w) {
    return std::max<int64_t>((c * 5 + h) * 6 + w + n, 3);
  };
  Tensor y = run([&](Small& net) {
    return net.m.node("Transpose", {read(net)}, {{"perm", Integers{0, 3, 1, 2}}});
  });
  REQUIRE(y.shape() == Shape{2, 6, 4, 5});
  CHECK(y.int_at(((1 * 6 + 5) * 4 + 2) * 5 + 3) == code(1, 2, 3, 5));
  y = run([&](Small& net) { return net.m.node("Flatten", {read(net)}); });
  REQUIRE(y.shape() == Shape{2, 120});
  CHECK(y.int_at(120 + (2 * 5 + 3) * 6 + 4) == code(1, 2, 3, 4));
  y = run([&](Small& net) {
    return net.m.node("Reshape", {read(net), net.m.int64s({0, 6, 2, -1})});
  });
  REQUIRE(y.shape() == Shape{2, 6, 2, 10});
  CHECK(y.int_at(120 + 77) == code(1, 77 / 30, 77 / 6 % 5, 77 % 6));
  y = run([&](Small& net) {
    return net.m.node("Slice", {read(net), net.m.int64s({1, -4}), net.m.int64s({3, 5}),
                                net.m.int64s({1, 3}), net.m.int64s({1, 2})});
  });
  REQUIRE(y.shape() == Shape{2, 2, 5, 2});
  CHECK(y.int_at((1 * 5 + 4) * 2 + 1) == code(0, 2, 4, 4));
  y = run([&](Small& net) {
    const std::string x = read(net);
    return net.m.node("Concat", {x, x}, {{"axis", int64_t{-3}}});
  });
  REQUIRE(y.shape() == Shape{2, 8, 5, 6});
  CHECK(y.int_at((7 * 5 + 4) * 6 + 1) == code(0, 3, 4, 1));
  y = run([&](Small& net) { return net.m.node("Unsqueeze", {read(net), net.m.int64s({2})}); });
  REQUIRE(y.shape() == Shape{2, 4, 1, 5, 6});
  CHECK(y.int_at(37) == code(0, 1, 1, 1));
  y = run([&](Small& net) {
    return net.m.node("Pad", {read(net), net.m.int64s({0, 1, 0, 2, 0, 0, 3, 0}),
                              net.m.scalar_code(OnnxType::uint8, 3)});
  });
  REQUIRE(y.shape() == Shape{2, 5, 8, 8});
  CHECK(y.int_at((3 * 8 + 4) * 8 + 7) == code(0, 2, 4, 5));
  CHECK(y.int_at((3 * 8 + 4) * 8 + 1) == 3);
}

TEST_CASE("quantized network: groups that are one op, and what stays at the border") {
  NetworkMaker m(5);
  const test::MadeValue x = m.input_reals({0, 4, 5, 6}, 2);
  const CodeScale y{0.25f, 0, OnnxType::uint8};
  const std::string codes = m.quantize(x.name, kScale);
  const std::string real = m.node("Relu", {conv(m, m.dequantize(codes, kScale))});
  m.output(m.dequantize(m.quantize(real, y), y), OnnxType::float32);
  const IntGraph graph = quantized_network(m.model());
  CHECK(ops_of(graph) == "quantize conv2d dequantize");
  CHECK(graph.nodes[1].attributes.activation == Activation::none);
  CHECK(graph.tensors[static_cast<size_t>(graph.inputs[0])].dtype == DType::float32);
  CHECK(graph.tensors[static_cast<size_t>(graph.outputs[0])].dtype == DType::float32);
}

TEST_CASE("quantized network: what ONNX Runtime leaves in float is refused, all of it at once") {
  const auto reason = [](const std::function<std::string(NetworkMaker&, const std::string&)>& op,
                         CodeScale y = kScale) {
    Small net;
    OnnxModel model = net.with(net.m.quantize(op(net.m, net.real()), y));
    return refused(model, ErrorCode::unsupported);
  };
  // Relu whose 0 is not the lowest code.
  std::string text =
      reason([](NetworkMaker& m, const std::string& x) { return m.node("Relu", {conv(m, x)}); });
  CHECK(contains(text, "(Relu): stays in float in ONNX Runtime: the range of QuantizeLinear"));
  CHECK(contains(text, "(Conv): stays in float in ONNX Runtime: no QuantizeLinear reads"));
  // Two float ops and a layer before them: three findings.
  text = reason([](NetworkMaker& m, const std::string& x) {
    return m.node("Sqrt", {m.node("HardSwish", {conv(m, x)})});
  });
  CHECK(contains(text, "(Sqrt): float op Sqrt has no rule on codes"));
  CHECK(contains(text, "(HardSwish): float op"));
  CHECK(contains(text, "(Conv): stays in float"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(contains(
      reason([](NetworkMaker& m, const std::string& x) { return m.node("Flatten", {conv(m, x)}); }),
      "(Flatten): stays in float in ONNX Runtime: ONNX Runtime does not move"));
  CHECK(contains(reason([](NetworkMaker& m, const std::string& x) { return conv(m, x); },
                        {0.5f, 3, OnnxType::int8}),
                 "(Conv): stays in float in ONNX Runtime: uint8 codes in, int8 out"));
  CHECK(contains(
      reason([](NetworkMaker& m, const std::string& x) { return conv(m, x, OnnxType::int4); }),
      "weights of int4"));
  CHECK(contains(reason([](NetworkMaker& m, const std::string& x) {
                   return m.node("Add", {x, m.scalar(1)});
                 }),
                 "comes from no DequantizeLinear"));
  // A float result that nobody quantizes.
  Small net;
  net.m.output(conv(net.m, net.real()), OnnxType::float32);
  CHECK(contains(refused(net.m.model(), ErrorCode::unsupported),
                 "(Conv): stays in float in ONNX Runtime: no QuantizeLinear reads its result"));
}

TEST_CASE("quantized network: groups of every kind, for accelerators") {
  QuantizedNetworkOptions every;
  every.groups = QdqGroups::every;
  Small net;
  const OnnxModel model =
      net.with(net.m.quantize(net.m.node("Clip", {conv(net.m, net.real(), OnnxType::int4),
                                                  net.m.scalar(0), net.m.scalar(6)}),
                              {0.5f, 3, OnnxType::uint8}));
  refused(model, ErrorCode::unsupported);
  const IntGraph graph = quantized_network(model, every);
  CHECK(ops_of(graph) == "conv2d");
  CHECK(graph.nodes[0].attributes.activation == Activation::relu6);
  CHECK(graph.tensors[static_cast<size_t>(graph.nodes[0].inputs[1])].qparams->type ==
        sim::IntType{4, true});
}

TEST_CASE("quantized network: codes read with two scales are one tensor and a table") {
  Small net;
  const CodeScale other{0.125f, 9, OnnxType::uint8};
  const std::string a = net.m.node("Add", {net.real(), net.m.dequantize(net.x.name, other)});
  const IntGraph graph = quantized_network(net.with(net.m.quantize(a, kScale)));
  CHECK(ops_of(graph) == "lut add");
}

TEST_CASE("quantized network: row 51: a constant of strings") {
  const OnnxModel model = changed(qlinear_conv(), [](OnnxModel& m) {
    OnnxTensor& w = initializer(m, node_of(m, "QLinearConv").inputs[3]);
    w.type = OnnxType::string;
    w.values = {};
  });
  CHECK(contains(refused(model, ErrorCode::unsupported), "of string"));
}

TEST_CASE("quantized network: row 54: scales and zero points") {
  const OnnxModel good = qlinear_conv();
  quantized_network(good);
  const auto with_scale = [&](std::vector<float> values, size_t input = 4) {
    return changed(good, [&](OnnxModel& m) {
      initializer(m, node_of(m, "QLinearConv").inputs[input]).values =
          Tensor::from<float>({static_cast<int64_t>(values.size())}, values);
    });
  };
  for (const float bad :
       {0.0f, -0.5f, std::nanf(""), std::numeric_limits<float>::infinity(), 1e-42f}) {
    CAPTURE(bad);
    const std::string text = refused(with_scale({1, 1, bad, 1, 1, 1}), ErrorCode::bad_value);
    CHECK(contains(text, "(QLinearConv)"));
    CHECK(contains(text, "scale"));
    CHECK(contains(refused(with_scale({bad}, 1), ErrorCode::bad_value), "scale"));
  }
  CHECK(contains(refused(with_scale({1, 1, 1, 1, 1}), ErrorCode::shape_mismatch),
                 "; expected 1 or 6"));
  CHECK(contains(refused(with_scale({1, 1}, 1), ErrorCode::shape_mismatch), "expected one"));
  CHECK(contains(refused(with_scale({}, 6), ErrorCode::shape_mismatch), "0 scales"));
  const auto with_zero = [&](size_t input, OnnxType type, int64_t count) {
    return changed(good, [&](OnnxModel& m) {
      OnnxTensor& zero = initializer(m, node_of(m, "QLinearConv").inputs[input]);
      zero.type = type;
      zero.values = Tensor(*storage_of(type), {count});
    });
  };
  CHECK(contains(refused(with_zero(2, OnnxType::int8, 1), ErrorCode::bad_value),
                 "of int8; expected uint8"));
  CHECK(contains(refused(with_zero(5, OnnxType::int8, 5), ErrorCode::shape_mismatch),
                 "5 zero points; expected 6"));
  CHECK(contains(refused(with_zero(7, OnnxType::float32, 1), ErrorCode::bad_value), "integers"));
  const OnnxModel missing =
      changed(good, [](OnnxModel& m) { node_of(m, "QLinearConv").inputs[4] = ""; });
  CHECK(contains(refused(missing, ErrorCode::missing_key), "(QLinearConv): no input 4"));
  const OnnxModel short_of_inputs =
      changed(good, [](OnnxModel& m) { node_of(m, "QLinearConv").inputs.resize(6); });
  CHECK(contains(refused(short_of_inputs, ErrorCode::missing_key), "no input 7"));
  // An axis of DequantizeLinear.
  Small net;
  const auto layer = net.m.layer(OnnxType::int8, {6, 4, 3, 2}, 0, true, 0.5f, 0.2f);
  const std::string w = net.m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point},
                                   {{"axis", int64_t{4}}});
  const OnnxModel axis = net.with(net.m.quantize(net.m.node("Conv", {net.real(), w}), kScale));
  CHECK(contains(refused(axis, ErrorCode::bad_value), "axis 4; expected an axis of (6, 4, 3, 2)"));
}

TEST_CASE("quantized network: nodes without their inputs") {
  for (const char* op : {"QuantizeLinear", "DequantizeLinear", "Relu", "Conv", "Concat", "Reshape",
                         "Split", "Identity", "MatMul", "Sqrt"}) {
    CAPTURE(std::string(op));
    for (const std::vector<std::string>& inputs : {std::vector<std::string>{}, {""}, {"", ""}}) {
      Small net;
      CHECK(contains(refused(net.with(net.m.node(op, inputs)), ErrorCode::missing_key),
                     "no input 0"));
    }
  }
}

TEST_CASE("quantized network: row 55: convolutions") {
  const OnnxModel good = qlinear_conv();
  const auto with = [&](const std::string& name, Integers values) {
    return refused(
        changed(good,
                [&](OnnxModel& m) { set_attribute(node_of(m, "QLinearConv"), name, values); }),
        ErrorCode::bad_value);
  };
  for (const int64_t bad : {int64_t{0}, int64_t{-1}, int64_t{1} << 31}) {
    CAPTURE(bad);
    CHECK(contains(with("strides", {1, bad}), "(QLinearConv): strides " + std::to_string(bad)));
    CHECK(contains(with("dilations", {bad, 1}), "dilations " + std::to_string(bad)));
  }
  CHECK(contains(with("pads", {0, 0, -1, 0}), "pads -1"));
  CHECK(contains(with("pads", {0, int64_t{1} << 31, 0, 0}), "pads 2147483648"));
  const auto mismatch = [&](const std::function<void(OnnxModel&)>& change) {
    return refused(changed(good, change), ErrorCode::shape_mismatch);
  };
  const auto attribute = [&](const std::string& name, Integers values) {
    return mismatch([&](OnnxModel& m) { set_attribute(node_of(m, "QLinearConv"), name, values); });
  };
  CHECK(contains(attribute("pads", {0, 0}), "2 pads; expected 4"));
  CHECK(contains(attribute("kernel_shape", {3, 3}), "kernel_shape other than the weights'"));
  CHECK(contains(attribute("dilations", {9, 1}), "(QLinearConv)"));  // wider than the image
  const auto group = [&](int64_t value) {
    return mismatch([&](OnnxModel& m) {
      node_of(m, "QLinearConv").attributes.push_back({"group", value});
    });
  };
  for (const int64_t bad : {int64_t{0}, int64_t{-1}, int64_t{3}, int64_t{1} << 40}) {
    CHECK(contains(group(bad), "group " + std::to_string(bad)));
  }
  const auto weights = [&](Integers shape, ErrorCode code) {
    return refused(changed(good,
                           [&](OnnxModel& m) {
                             initializer(m, node_of(m, "QLinearConv").inputs[3]).values =
                                 Tensor(DType::int8, Shape(shape));
                           }),
                   code);
  };
  CHECK(contains(weights({6, 4, 3}, ErrorCode::unsupported), "weights (6, 4, 3) and input"));
  CHECK(contains(weights({6, 5, 3, 2}, ErrorCode::shape_mismatch), "on 4 channels"));
  CHECK(contains(weights({6, 4, 0, 2}, ErrorCode::bad_value), "no empty axis"));
  CHECK(contains(mismatch([](OnnxModel& m) {
                   initializer(m, node_of(m, "QLinearConv").inputs[8]).values =
                       Tensor(DType::int32, {5});
                 }),
                 "5 biases; expected 6"));
}

TEST_CASE("quantized network: row 57: a bias that is no number") {
  Small net;
  const auto layer = net.m.layer(OnnxType::int8, {2, 4, 1, 1}, 0, false, 0.5f, 0.2f);
  const std::string w =
      net.m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point});
  const OnnxModel model = net.with(
      net.m.quantize(net.m.node("Conv", {net.real(), w, net.m.reals({1, std::nanf("")})}), kScale));
  CHECK(contains(refused(model, ErrorCode::bad_value), "(Conv): bias nan of channel 1"));
}

TEST_CASE("quantized network: row 58: symbolic dimensions need an extent") {
  OnnxModel model = qlinear_conv();
  (*model.graph.inputs[0].dims)[2] = std::string("height");
  CHECK(contains(refused(model, ErrorCode::bad_value),
                 "symbolic dimension \"height\"; expected an extent; give --dim height=N"));
  QuantizedNetworkOptions options;
  options.dims["height"] = 7;
  IntGraph graph = quantized_network(model, options);
  CHECK(graph.tensors[static_cast<size_t>(graph.inputs[0])].shape == Shape{1, 7, 6, 4});
  options.shapes[model.graph.inputs[0].name] = {1, 4, 9, 6};
  graph = quantized_network(model, options);
  CHECK(graph.tensors[static_cast<size_t>(graph.inputs[0])].shape == Shape{1, 9, 6, 4});
  options.shapes[model.graph.inputs[0].name] = {1, 4, 9};
  CHECK(contains(refused(model, ErrorCode::shape_mismatch, options), "3 extents given"));
  options = {};
  options.dims["height"] = 0;
  CHECK(contains(refused(model, ErrorCode::bad_value, options), "extent 0"));
  (*model.graph.inputs[0].dims)[2] = std::string();
  CHECK(contains(refused(model, ErrorCode::bad_value), "axis 2 without an extent"));
  model.graph.inputs[0].dims.reset();
  CHECK(contains(refused(model, ErrorCode::bad_value), "no shape"));
}

/// Nearest Resize of the codes x, (N, 4, 5, 6), to twice the height and width.
OnnxModel resize_codes(const NetworkMaker::Attributes& attributes,
                       const Integers& sizes = {1, 4, 10, 12}) {
  Small net;
  const std::string codes = net.m.quantize(net.m.node("Relu", {net.real()}), kScale);
  OnnxModel model =
      net.with(net.m.node("Resize", {codes, "", "", net.m.int64s(sizes)}, attributes));
  model.opsets[0].version = 19;
  return model;
}

TEST_CASE("quantized network: attributes of Resize are known or refused by name") {
  const auto refuse = [](const std::string& name, const auto& value) {
    return refused(resize_codes({{name, value}}), ErrorCode::unsupported);
  };
  CHECK(contains(refuse("keep_aspect_ratio_policy", std::string("not_larger")),
                 "keep_aspect_ratio_policy not_larger; expected stretch"));
  CHECK(contains(refuse("coordinate_transformation_mode", std::string("tf_crop_and_resize")),
                 "coordinate_transformation_mode tf_crop_and_resize"));
  CHECK(contains(refuse("nearest_mode", std::string("simple")), "nearest_mode simple"));
  CHECK(contains(refuse("mode", std::string("cubic")), "mode cubic"));
  CHECK(contains(refuse("mode", std::string("linear")), "float in ONNX Runtime"));
  CHECK(contains(refuse("foo", int64_t{0}), "attribute \"foo\""));
  CHECK(contains(refuse("axes", Integers{1, 2}), "axes of another kind"));
}

TEST_CASE("quantized network: Resize with axes 2, 3 has sizes of height and width") {
  const NetworkMaker::Attributes tf{
      {"coordinate_transformation_mode", std::string("tf_half_pixel_for_nn")},
      {"nearest_mode", std::string("floor")},
      {"axes", Integers{2, 3}}};
  const IntGraph graph = quantized_network(resize_codes(tf, {10, 18}));
  CHECK(ops_of(graph).ends_with("resize"));
  CHECK(graph.nodes.back().attributes.resize.size == std::array<int64_t, 2>{10, 18});
  CHECK(contains(refused(resize_codes(tf), ErrorCode::bad_value), "sizes; expected 2 of them"));
  CHECK(contains(refused(resize_codes({}, {10, 12}), ErrorCode::bad_value),
                 "sizes; expected 4 of them"));
}

TEST_CASE("quantized network: a Pad of codes whose scale a later node gives") {
  const auto padded = [](int64_t code) {
    Small net;
    const std::string pad = net.m.node("Pad", {net.x.name, net.m.int64s({0, 0, 1, 1, 0, 0, 1, 1}),
                                               net.m.scalar_code(OnnxType::uint8, code)});
    const auto layer = net.m.layer(OnnxType::int8, {6, 4, 3, 2}, 0, true, 0.5f, 0.2f);
    const std::string scale = net.m.scale_name(kScale), zero = net.m.zero_name(kScale);
    return net.with(net.m.node("QLinearConv", {pad, scale, zero, layer.codes, layer.scale,
                                               layer.zero_point, scale, zero, layer.bias}));
  };
  const IntGraph graph = quantized_network(padded(kScale.zero_point));
  CHECK(ops_of(graph) == "pad conv2d");
  CHECK(graph.tensors[static_cast<size_t>(graph.inputs[0])].qparams->zero_point.front() == 3);
  CHECK(contains(refused(padded(4), ErrorCode::unsupported), "(Pad): padding with another value"));
}

TEST_CASE("quantized network: lists of integers are short") {
  Small net;
  const std::string codes = net.m.quantize(net.m.node("Relu", {net.real()}), kScale);
  CHECK(contains(refused(net.with(net.m.node("Reshape", {codes, net.m.int64s(Integers(1025, 1))})),
                         ErrorCode::unsupported),
                 "1025 integers"));
}

TEST_CASE("quantized network: ops, types and operands it does not know") {
  const auto refuse = [](const std::function<std::string(Small&)>& op) {
    Small net;
    return refused(net.with(op(net)), ErrorCode::unsupported);
  };
  CHECK(contains(refuse([](Small& net) { return net.m.node("TopK", {net.x.name}); }), "op TopK"));
  CHECK(contains(
      refuse([](Small& net) { return net.m.node("Fancy", {net.x.name}, {}, "org.example"); }),
      "op Fancy of domain \"org.example\""));
  CHECK(contains(refuse([](Small& net) { return net.m.node("Sigmoid", {net.x.name}); }),
                 "codes where the op takes reals"));
  CHECK(contains(refuse([](Small& net) {
                   return net.m.node("Transpose", {net.x.name}, {{"perm", Integers{1, 0, 2, 3}}});
                 }),
                 "moves the batch"));
  CHECK(contains(refuse([](Small& net) {
                   const std::string padded =
                       net.m.node("Pad", {net.real(), net.m.int64s({0, 0, 1, 1, 0, 0, 1, 1})});
                   return net.m.quantize(
                       net.m.node("MaxPool", {padded}, {{"kernel_shape", Integers{2, 2}}}), kScale);
                 }),
                 "(MaxPool): Pad in front"));
  CHECK(contains(refuse([](Small& net) {
                   const std::string y = net.m.node(
                       "Conv", {net.real(), net.m.constant(OnnxType::float32,
                                                           Tensor(DType::float32, {2, 4, 1, 1}))});
                   return net.m.quantize(y, kScale);
                 }),
                 "(Conv): real weights"));
  CHECK(contains(refuse([](Small& net) {
                   const auto both = net.m.parts("Relu", {net.real()}, {}, 2);
                   net.m.output(net.m.quantize(both[0], kScale), OnnxType::uint8);
                   return net.m.quantize(both[1], kScale);
                 }),
                 "the op's first output only"));
  // Nothing reads the codes with a scale.
  CHECK(contains(refuse([](Small& net) { return net.m.node("Flatten", {net.x.name}); }),
                 "codes that no op reads with a scale"));
  OnnxModel model = qlinear_conv();
  model.graph.inputs[0].type = OnnxType::int64;
  CHECK(contains(refused(model, ErrorCode::unsupported), "int64; expected float32, or codes"));
  model = qlinear_conv();
  model.graph.inputs[0].dims->clear();
  CHECK(contains(refused(model, ErrorCode::unsupported), "a scalar"));
  model = qlinear_conv();
  model.graph.outputs.clear();
  CHECK(contains(refused(model, ErrorCode::bad_value), "no outputs"));
}

TEST_CASE("quantized network: long chains and many nodes cost no more than their number") {
  constexpr int kMany = 20'000;
  const auto chain = [&](Small& net, const std::string& op, std::string value,
                         const NetworkMaker::Attributes& attributes) {
    for (int i = 0; i < kMany; ++i) value = net.m.node(op, {value}, attributes);
    return value;
  };
  // Of reals: no recursion follows it.
  for (const char* op : {"Relu", "Sqrt", "Transpose"}) {
    CAPTURE(std::string(op));
    Small net;
    const std::string real = chain(net, op, conv(net.m, net.real()), {});
    const std::string text =
        refused(net.with(net.m.quantize(real, {0.5f, 0, OnnxType::uint8})), ErrorCode::unsupported);
    CHECK(text.size() < 100'000);
  }
  // Of codes, all nodes and values with one name behind another.
  Small net;
  const std::string codes = net.m.quantize(net.m.node("Relu", {net.real()}), kScale);
  OnnxModel model = net.with(chain(net, "Transpose", codes, {{"perm", Integers{0, 2, 1, 3}}}));
  for (OnnxNode& node : model.graph.nodes) node.name = "same";
  CHECK(quantized_network(model).nodes.size() == kMany + 1);
  // Weights that every node reads are one constant.
  Small shared;
  const auto layer = shared.m.layer(OnnxType::int8, {4, 4, 1, 1}, 0, false, 0.5f, 0.2f);
  std::string y = shared.x.name;
  const std::string scale = shared.m.scale_name(kScale), zero = shared.m.zero_name(kScale);
  for (int i = 0; i < 1000; ++i) {
    y = shared.m.node("QLinearConv", {y, scale, zero, layer.codes, layer.scale, layer.zero_point,
                                      scale, zero, layer.bias});
  }
  const IntGraph graph = quantized_network(shared.with(y));
  CHECK(graph.tensors.size() == 1 + 2 + 1000);
}

}  // namespace
}  // namespace facsim::backends
