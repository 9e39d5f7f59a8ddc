// SPDX-License-Identifier: Apache-2.0
#include "tests/onnx/drawn_networks.h"

#include <cmath>

namespace facsim::test {
namespace {

using backends::OnnxType;
using Integers = std::vector<int64_t>;

constexpr const char* kMicrosoft = "com.microsoft";

OnnxType activation_type(NetworkMaker& m) { return m.one_of({OnnxType::uint8, OnnxType::int8}); }

/// int8 activations take int8 weights only.
OnnxType weight_type(NetworkMaker& m, OnnxType activation) {
  return activation == OnnxType::int8 ? OnnxType::int8
                                      : m.one_of({OnnxType::int8, OnnxType::uint8});
}

/// A scale for the sums of `taps` products of codes that fill their types.
CodeScale output_scale(NetworkMaker& m, OnnxType type, float step, int64_t taps,
                       bool lowest_is_zero) {
  return m.scale(type, step * 8000 * std::sqrt(static_cast<float>(taps)), lowest_is_zero);
}

std::string qdq_layer(NetworkMaker& m, const std::string& op, const std::string& x,
                      const CodeScale& scale, const NetworkMaker::Layer& layer, int axis,
                      NetworkMaker::Attributes attributes, bool has_bias) {
  const auto on_axis = [](int64_t at) { return NetworkMaker::Attributes{{"axis", at}}; };
  std::vector<std::string> inputs{
      m.dequantize(x, scale),
      m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point}, on_axis(axis))};
  if (has_bias) {
    inputs.push_back(m.node("DequantizeLinear",
                            {layer.bias, layer.bias_scale, layer.bias_zero_point}, on_axis(0)));
  }
  return m.node(op, inputs, std::move(attributes));
}

/// What may stand between a float result and QuantizeLinear with its lowest code at 0.
std::string with_redundant_clip(NetworkMaker& m, const std::string& y) {
  switch (m.pick(0, 3)) {
    case 0:
      return m.node("Relu", {y});
    case 1:
      return m.node("Clip", {y, m.scalar(0), m.scalar(1e9f)});
    default:
      return y;
  }
}

/// A convolution's attributes for an image of h x w.
NetworkMaker::Attributes conv_attributes(NetworkMaker& m, int64_t kh, int64_t kw, int64_t group) {
  NetworkMaker::Attributes out{{"kernel_shape", Integers{kh, kw}}, {"group", group}};
  if (m.coin()) out.push_back({"strides", Integers{m.pick(1, 2), m.pick(1, 3)}});
  const int64_t padding = m.pick(0, 3);
  if (padding == 0) {
    out.push_back({"auto_pad", std::string(m.coin() ? "SAME_UPPER" : "SAME_LOWER")});
  } else if (padding == 1) {
    out.push_back({"pads", Integers{m.pick(0, 1), m.pick(0, 2), m.pick(0, 2), m.pick(0, 1)}});
  }
  if (padding != 0 && m.coin()) out.push_back({"dilations", Integers{m.pick(1, 2), m.pick(1, 2)}});
  return out;
}

void conv(NetworkMaker& m, bool qdq) {
  const OnnxType type = activation_type(m);
  const int64_t group = m.one_of<int64_t>({1, 1, 2, 3});
  const bool depthwise = group > 1 && m.coin();
  const int64_t channels = depthwise ? group : group * m.pick(1, 4);
  const int64_t outputs = group * m.pick(1, 5);
  const int64_t kh = m.pick(1, 3), kw = m.pick(1, 4);
  const MadeCodes x =
      m.input_codes({0, channels, m.pick(6, 9), m.pick(8, 12)}, m.scale(type, m.real(0.5f, 4)));
  const bool per_channel = m.coin(), has_bias = m.coin(), clips = m.coin();
  const float range = m.real(0.1f, 1);
  const auto layer = m.layer(weight_type(m, type), {outputs, channels / group, kh, kw}, 0,
                             per_channel, x.scale.scale, range);
  const CodeScale y =
      output_scale(m, type, x.scale.scale * range / 127, channels / group * kh * kw, clips);
  const auto attributes = conv_attributes(m, kh, kw, group);
  if (qdq) {
    std::string real = qdq_layer(m, "Conv", x.name, x.scale, layer, 0, attributes, has_bias);
    if (clips) real = with_redundant_clip(m, real);
    m.output(m.quantize(real, y), type);
  } else {
    std::vector<std::string> inputs{x.name,          m.scale_name(x.scale), m.zero_name(x.scale),
                                    layer.codes,     layer.scale,           layer.zero_point,
                                    m.scale_name(y), m.zero_name(y)};
    if (has_bias) inputs.push_back(layer.bias);
    m.output(m.node("QLinearConv", inputs, attributes), type);
  }
}

void qdq_conv(NetworkMaker& m) { conv(m, true); }
void qlinear_conv(NetworkMaker& m) { conv(m, false); }

/// One axis of pixels.
void conv_1d(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const int64_t group = m.pick(1, 2), kernel = m.pick(1, 5), outputs = group * m.pick(1, 4);
  const MadeCodes x = m.input_codes({0, group * 3, m.pick(9, 20)}, m.scale(type, 2));
  const auto layer =
      m.layer(weight_type(m, type), {outputs, 3, kernel}, 0, m.coin(), x.scale.scale, 0.5f);
  NetworkMaker::Attributes attributes{{"group", group}, {"strides", Integers{m.pick(1, 3)}}};
  if (m.coin()) {
    attributes.push_back({"auto_pad", std::string("SAME_UPPER")});
  } else {
    attributes.push_back({"pads", Integers{m.pick(0, 2), m.pick(0, 2)}});
    attributes.push_back({"dilations", Integers{m.pick(1, 2)}});
  }
  const CodeScale y = output_scale(m, type, x.scale.scale * 0.5f / 127, 3 * kernel, false);
  m.output(m.quantize(qdq_layer(m, "Conv", x.name, x.scale, layer, 0, attributes, true), y), type);
}

/// The bias is a float constant: ONNX Runtime makes int32 codes of it.
void qdq_conv_float_bias(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const int64_t outputs = m.pick(2, 7);
  const MadeCodes x = m.input_codes({0, 3, 7, 9}, m.scale(type, 2));
  const bool per_channel = m.coin();
  const auto layer =
      m.layer(weight_type(m, type), {outputs, 3, 3, 2}, 0, per_channel, x.scale.scale, 0.5f);
  std::vector<float> bias;
  for (int64_t c = 0; c < outputs; ++c) bias.push_back(m.real(-3, 3));
  const std::string w = m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point},
                               {{"axis", int64_t{0}}});
  const std::string y = m.node("Conv", {m.dequantize(x.name, x.scale), w, m.reals(bias)}, {});
  m.output(m.quantize(y, output_scale(m, type, x.scale.scale * 0.5f / 127, 18, false)), type);
}

void gemm(NetworkMaker& m, bool qdq) {
  const OnnxType type = activation_type(m);
  const int64_t inputs = m.pick(3, 40), outputs = m.pick(2, 17);
  const MadeCodes x = m.input_codes({0, inputs}, m.scale(type, m.real(0.5f, 4)));
  const bool transposed = m.coin(), has_bias = m.coin(), clips = m.coin(), per_channel = m.coin();
  const float range = m.real(0.1f, 1);
  const int axis = transposed ? 0 : 1;
  const Integers shape = transposed ? Integers{outputs, inputs} : Integers{inputs, outputs};
  const auto layer = m.layer(weight_type(m, type), shape, axis, per_channel, x.scale.scale, range);
  const CodeScale y = output_scale(m, type, x.scale.scale * range / 127, inputs, clips);
  const NetworkMaker::Attributes attributes{{"transB", int64_t{transposed}}};
  if (qdq) {
    std::string real = qdq_layer(m, "Gemm", x.name, x.scale, layer, axis, attributes, has_bias);
    if (clips) real = with_redundant_clip(m, real);
    m.output(m.quantize(real, y), type);
  } else {
    m.output(m.node("QGemm",
                    {x.name, m.scale_name(x.scale), m.zero_name(x.scale), layer.codes, layer.scale,
                     layer.zero_point, has_bias ? layer.bias : "", m.scale_name(y), m.zero_name(y)},
                    attributes, kMicrosoft),
             type);
  }
}

void qdq_gemm(NetworkMaker& m) { gemm(m, true); }
void qgemm(NetworkMaker& m) { gemm(m, false); }

void matmul(NetworkMaker& m, bool qdq) {
  const OnnxType type = activation_type(m);
  const int64_t inputs = m.pick(3, 20), outputs = m.pick(2, 9);
  Integers shape{0};
  for (int64_t i = m.pick(0, 2); i > 0; --i) shape.push_back(m.pick(2, 5));
  shape.push_back(inputs);
  const MadeCodes x = m.input_codes(shape, m.scale(type, m.real(0.5f, 4)));
  const float range = m.real(0.1f, 1);
  // Per-channel zero points must be equal for QLinearMatMul only if signed ones are 0: they are.
  const bool per_channel = m.coin();
  const auto layer =
      m.layer(weight_type(m, type), {inputs, outputs}, 1, per_channel, x.scale.scale, range);
  const CodeScale y = output_scale(m, type, x.scale.scale * range / 127, inputs, false);
  if (qdq) {
    m.output(m.quantize(qdq_layer(m, "MatMul", x.name, x.scale, layer, 1, {}, false), y), type);
  } else {
    m.output(
        m.node("QLinearMatMul", {x.name, m.scale_name(x.scale), m.zero_name(x.scale), layer.codes,
                                 layer.scale, layer.zero_point, m.scale_name(y), m.zero_name(y)}),
        type);
  }
}

void qdq_matmul(NetworkMaker& m) { matmul(m, true); }
void qlinear_matmul(NetworkMaker& m) { matmul(m, false); }

/// Both operands are computed.
void matmul_of_activations(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const int64_t inner = m.pick(2, 12);
  const bool is_image = m.coin();
  Integers lhs{0}, rhs{0};
  if (is_image) {
    const int64_t heads = m.pick(2, 3);
    lhs.push_back(heads);
    rhs.push_back(heads);
  }
  for (const int64_t extent : {m.pick(2, 6), inner}) lhs.push_back(extent);
  for (const int64_t extent : {inner, m.pick(2, 6)}) rhs.push_back(extent);
  const MadeCodes a = m.input_codes(lhs, m.scale(type, 2));
  const MadeCodes b = m.input_codes(rhs, m.scale(weight_type(m, type), 1));
  const CodeScale y = output_scale(m, type, a.scale.scale * b.scale.scale, inner, false);
  m.output(m.quantize(
               m.node("MatMul", {m.dequantize(a.name, a.scale), m.dequantize(b.name, b.scale)}), y),
           type);
}

void binary(NetworkMaker& m, bool qdq) {
  const OnnxType type = activation_type(m);
  const bool add = m.coin();
  const Integers shape =
      m.coin() ? Integers{0, m.pick(2, 5), m.pick(2, 6), m.pick(2, 7)} : Integers{0, m.pick(3, 40)};
  const MadeCodes a = m.input_codes(shape, m.scale(type, m.real(0.5f, 4)));
  MadeCodes b{"", shape, m.scale(type, m.real(0.5f, 4))};
  switch (m.pick(0, 3)) {
    case 0:
      b.name = m.constant(type, m.codes(type, {}));
      break;
    case 1:  // one value a channel
      b.name = m.constant(
          type, m.codes(type, shape.size() == 4 ? Integers{shape[1], 1, 1} : Integers{shape[1]}));
      break;
    case 2:  // along the last axis
      b.name = m.constant(type, m.codes(type, {shape.back()}));
      break;
    default:
      b = m.input_codes(shape, b.scale);
  }
  const float range =
      add ? 128 * (a.scale.scale + b.scale.scale) : 128 * a.scale.scale * 128 * b.scale.scale;
  const CodeScale y = m.scale(type, range);
  if (qdq) {
    const std::string lhs = m.dequantize(a.name, a.scale), rhs = m.dequantize(b.name, b.scale);
    const std::string real = m.coin() ? m.node(add ? "Add" : "Mul", {lhs, rhs})
                                      : m.node(add ? "Add" : "Mul", {rhs, lhs});
    m.output(m.quantize(real, y), type);
  } else {
    m.output(m.node(add ? "QLinearAdd" : "QLinearMul",
                    {a.name, m.scale_name(a.scale), m.zero_name(a.scale), b.name,
                     m.scale_name(b.scale), m.zero_name(b.scale), m.scale_name(y), m.zero_name(y)},
                    {}, kMicrosoft),
             type);
  }
}

void qdq_binary(NetworkMaker& m) { binary(m, true); }
void qlinear_binary(NetworkMaker& m) { binary(m, false); }

void concat(NetworkMaker& m, bool qdq) {
  const OnnxType type = activation_type(m);
  const Integers shape{0, m.pick(2, 4), m.pick(2, 5), m.pick(2, 6)};
  const int64_t axis = m.pick(1, 3);
  const CodeScale y = m.scale(type, m.real(0.5f, 4));
  std::vector<std::string> inputs;
  if (!qdq) inputs = {m.scale_name(y), m.zero_name(y)};
  for (int64_t i = m.pick(2, 4); i > 0; --i) {
    Integers own = shape;
    own[static_cast<size_t>(axis)] = m.pick(1, 5);
    const MadeCodes x = m.input_codes(own, m.pick(0, 2) == 0 ? y : m.scale(type, m.real(0.5f, 4)));
    if (qdq) {
      inputs.push_back(m.dequantize(x.name, x.scale));
    } else {
      for (const std::string& name : {x.name, m.scale_name(x.scale), m.zero_name(x.scale)}) {
        inputs.push_back(name);
      }
    }
  }
  const NetworkMaker::Attributes attributes{{"axis", m.coin() ? axis : axis - 4}};
  m.output(qdq ? m.quantize(m.node("Concat", inputs, attributes), y)
               : m.node("QLinearConcat", inputs, attributes, kMicrosoft),
           type);
}

void qdq_concat(NetworkMaker& m) { concat(m, true); }
void qlinear_concat(NetworkMaker& m) { concat(m, false); }

void unary(NetworkMaker& m, const std::string& op, NetworkMaker::Attributes attributes,
           const Integers& shape, bool qdq) {
  const OnnxType type = activation_type(m);
  const MadeCodes x = m.input_codes(shape, m.scale(type, m.real(0.5f, 8)));
  CodeScale y = m.scale(type, m.real(0.5f, 8));
  if (op == "Sigmoid" || op == "Softmax") {
    y.scale = 1.0f / 256 * (m.coin() ? 1 : m.real(0.8f, 1.2f));
    if (m.pick(0, 3) != 0) y.zero_point = type == OnnxType::int8 ? -128 : 0;
  }
  if (qdq) {
    m.output(m.quantize(m.node(op, {m.dequantize(x.name, x.scale)}, attributes), y), type);
  } else {
    if (op == "Softmax") attributes.push_back({"opset", int64_t{13}});
    m.output(m.node("QLinear" + op,
                    {x.name, m.scale_name(x.scale), m.zero_name(x.scale), m.scale_name(y),
                     m.zero_name(y)},
                    attributes, kMicrosoft),
             type);
  }
}

void pool(NetworkMaker& m, bool qdq) {
  const Integers shape{0, m.pick(1, 9), m.pick(5, 8), m.pick(6, 11)};
  if (m.coin()) return unary(m, "GlobalAveragePool", {}, shape, qdq);
  NetworkMaker::Attributes attributes{{"kernel_shape", Integers{m.pick(2, 3), m.pick(1, 4)}}};
  if (m.coin()) attributes.push_back({"strides", Integers{m.pick(1, 2), m.pick(1, 3)}});
  if (m.coin()) {
    attributes.push_back({"pads", Integers{m.pick(0, 1), 0, m.pick(0, 1), 0}});
    attributes.push_back({"count_include_pad", m.pick(0, 1)});
  }
  unary(m, "AveragePool", attributes, shape, qdq);
}

void qdq_pool(NetworkMaker& m) { pool(m, true); }
void qlinear_pool(NetworkMaker& m) { pool(m, false); }

void leaky_relu(NetworkMaker& m, bool qdq) {
  unary(m, "LeakyRelu", {{"alpha", m.real(0.01f, 0.5f)}}, {0, 5, 64}, qdq);
}
void qdq_leaky_relu(NetworkMaker& m) { leaky_relu(m, true); }
void qlinear_leaky_relu(NetworkMaker& m) { leaky_relu(m, false); }
void qdq_sigmoid(NetworkMaker& m) { unary(m, "Sigmoid", {}, {0, 5, 64}, true); }

void softmax(NetworkMaker& m, bool qdq) {
  // Over two codes and fine output scales ONNX Runtime's products overflow.
  if (m.coin()) return unary(m, "Softmax", {{"axis", int64_t{1}}}, {0, m.pick(3, 12), 3, 4}, qdq);
  unary(m, "Softmax", {{"axis", int64_t{-1}}}, {0, m.pick(2, 3), m.pick(3, 30)}, qdq);
}
void qdq_softmax(NetworkMaker& m) { softmax(m, true); }
void qlinear_softmax(NetworkMaker& m) { softmax(m, false); }
void qlinear_sigmoid(NetworkMaker& m) { unary(m, "Sigmoid", {}, {0, 5, 64}, false); }

/// An op that moves codes, by name, with its further inputs; opset 13.
std::string moved(NetworkMaker& m, const std::string& op, const std::string& x,
                  const Integers& shape) {
  const bool is_image = shape.size() == 4;
  if (op == "Reshape") {
    if (!is_image) return m.node(op, {x, m.int64s({0, 2, shape[1] / 2, -1})});
    switch (m.pick(0, 2)) {
      case 0:
        return m.node(op, {x, m.int64s({-1, shape[1] * shape[2] * shape[3]})});
      case 1:
        return m.node(op, {x, m.int64s({0, shape[3], shape[1], shape[2]})});
      default:
        return m.node(op, {x, m.int64s({0, 0, -1})});
    }
  }
  if (op == "Flatten") return m.node(op, {x}, {{"axis", int64_t{1}}});
  if (op == "Transpose") {
    static const std::vector<Integers> perms = {
        {0, 1, 3, 2}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1}};
    return m.node(op, {x},
                  {{"perm", is_image ? perms[static_cast<size_t>(m.pick(0, 4))] : Integers{0, 1}}});
  }
  if (op == "Unsqueeze") return m.node(op, {x, m.int64s({is_image ? m.pick(1, 4) : m.pick(1, 2)})});
  if (op == "Squeeze") {
    return m.node(op, {m.node("Unsqueeze", {x, m.int64s({1})}), m.int64s({1})});
  }
  if (op == "Slice") {
    const int64_t axis = is_image ? m.pick(1, 3) : 1;
    return m.node(op, {x, m.int64s({1}),
                       m.int64s({shape[static_cast<size_t>(axis)] > 2 && m.coin() ? -1 : 1 << 30}),
                       m.int64s({axis}), m.int64s({m.pick(1, 2)})});
  }
  if (op == "MaxPool") {
    NetworkMaker::Attributes attributes{{"kernel_shape", Integers{2, 3}},
                                        {"strides", Integers{m.pick(1, 2), 2}}};
    if (m.coin()) attributes.push_back({"pads", Integers{1, 1, 0, 1}});
    return m.node(op, {x}, attributes);
  }
  // Resize
  const std::string coordinates = m.one_of({"half_pixel", "asymmetric", "tf_half_pixel_for_nn"});
  const bool rounds = coordinates == "half_pixel";
  return m.node("Resize", {x, "", m.reals({1, 1, 2, 3})},
                {{"mode", std::string("nearest")},
                 {"coordinate_transformation_mode", coordinates},
                 {"nearest_mode", std::string(rounds ? "round_prefer_floor" : "floor")}});
}

constexpr std::initializer_list<const char*> kImageMoves = {
    "Reshape", "Flatten", "Transpose", "Unsqueeze", "Squeeze", "Slice", "MaxPool", "Resize"};

/// DequantizeLinear, the move, QuantizeLinear with the same or another scale; or codes directly.
void moves(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const MadeCodes x =
      m.input_codes({0, m.pick(2, 4), m.pick(5, 6), m.pick(7, 8)}, m.scale(type, 2));
  const std::string op = m.one_of(kImageMoves);
  const CodeScale y = m.coin() ? x.scale : m.scale(type, 2);
  m.output(m.quantize(moved(m, op, m.dequantize(x.name, x.scale), x.shape), y), type);
}

/// A quantized layer before and behind the move, which is on reals, on codes, or has its own
/// DequantizeLinear and QuantizeLinear.
void moves_between_layers(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const MadeCodes x = m.input_codes({0, 3, 8, 10}, m.scale(type, 2));
  const auto layer = m.layer(OnnxType::int8, {4, 3, 1, 1}, 0, true, x.scale.scale, 0.5f);
  const CodeScale y = output_scale(m, type, x.scale.scale * 0.5f / 127, 3, false);
  const std::string real = qdq_layer(m, "Conv", x.name, x.scale, layer, 0, {}, true);
  const Integers shape{0, 4, 8, 10};
  const std::string op = m.one_of({"Reshape", "Transpose", "Slice", "MaxPool"});
  std::string codes;
  switch (m.pick(0, 2)) {
    case 0:
      codes = m.quantize(moved(m, op, real, shape), y);
      break;
    case 1:
      codes = moved(m, op, m.quantize(real, y), shape);
      break;
    default:
      codes = m.quantize(moved(m, op, m.dequantize(m.quantize(real, y), y), shape), y);
  }
  // Something that reads it as integers whatever its shape.
  const CodeScale z = m.scale(type, 2);
  m.output(m.quantize(m.node("Sigmoid", {m.dequantize(codes, y)}), z), type);
}

/// Pad in front of a convolution.
void padded_conv(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const MadeCodes x = m.input_codes({0, 3, 6, 5}, m.scale(type, 2));
  const std::string real = m.node(
      "Pad", {m.dequantize(x.name, x.scale),
              m.int64s({0, 0, m.pick(0, 2), m.pick(0, 2), 0, 0, m.pick(0, 2), m.pick(0, 2)})});
  const auto layer = m.layer(OnnxType::int8, {4, 3, 3, 2}, 0, false, x.scale.scale, 0.5f);
  const std::string w = m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point});
  const std::string y = m.node("Conv", {real, w}, {{"pads", Integers{0, 1, 1, 0}}});
  m.output(m.quantize(y, output_scale(m, type, x.scale.scale * 0.5f / 127, 18, false)), type);
}

/// Parts of a tensor, of codes or of reals, with one scale or several.
void splits(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const int64_t axis = m.pick(1, 3);
  Integers shape{0, 3, 4, 5}, sizes{m.pick(1, 3), m.pick(1, 4)};
  shape[static_cast<size_t>(axis)] = sizes[0] + sizes[1];
  const MadeCodes x = m.input_codes(shape, m.scale(type, 2));
  const NetworkMaker::Attributes attributes{{"axis", m.coin() ? axis : axis - 4}};
  const auto parts =
      m.parts("Split", {m.dequantize(x.name, x.scale), m.int64s(sizes)}, attributes, 2);
  m.output(m.quantize(parts[0], x.scale), type);
  m.output(m.quantize(parts[1], m.coin() ? x.scale : m.scale(type, 2)), type);
}

/// One DequantizeLinear with several readers, some behind a move; Identity and Dropout on the way.
void shared_reals(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const MadeCodes x = m.input_codes({0, 3, 6, 5}, m.scale(type, 2));
  const std::string real = m.dequantize(x.name, x.scale);
  const auto layer = m.layer(OnnxType::int8, {5, 4}, 1, true, x.scale.scale, 0.5f);
  const std::string w = m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point},
                               {{"axis", int64_t{1}}});
  const CodeScale y = output_scale(m, type, x.scale.scale * 0.5f / 127, 5, false);
  const std::string turned = m.node("Transpose", {real}, {{"perm", Integers{0, 2, 1, 3}}});
  const std::string product =
      m.node("Identity", {m.node("MatMul", {m.node("Dropout", {turned}), w})});
  m.output(m.quantize(product, y), type);
  const CodeScale z = m.scale(type, 1);
  m.output(m.quantize(m.node("LeakyRelu", {m.coin() ? real : turned}), z), type);
  if (m.coin()) m.output(real, OnnxType::float32);
}

/// A float op that is a table of codes: its DequantizeLinear and QuantizeLinear stay.
void clips(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const MadeCodes x = m.input_codes({0, 2, 5, 7}, m.scale(type, m.real(0.5f, 8)));
  const std::string real = m.dequantize(x.name, x.scale);
  const std::string y =
      m.coin()
          ? m.node("Relu", {real})
          : m.node("Clip", {real, m.scalar(m.real(-3, 0)), m.coin() ? m.scalar(m.real(0, 6)) : ""});
  const OnnxType out = activation_type(m);
  m.output(m.quantize(y, m.scale(out, m.real(0.5f, 8))), out);
}

/// The border: real inputs, real outputs, and a change of scale between.
void border(NetworkMaker& m) {
  const MadeValue x = m.input_reals({0, 2, 4, 5}, 3);
  const OnnxType type = activation_type(m), other = activation_type(m);
  const CodeScale first = m.scale(type, m.real(0.5f, 4)), second = m.scale(other, 2);
  const std::string codes =
      m.quantize(m.coin() ? moved(m, "Transpose", x.name, x.shape) : x.name, first);
  const std::string again = m.quantize(m.dequantize(codes, first), second);
  m.output(again, other);
  m.output(m.dequantize(again, second), OnnxType::float32);
}

/// Residual block with pool and classifier.
void residual(NetworkMaker& m) {
  const OnnxType type = activation_type(m);
  const CodeScale sx = m.scale(type, 2);
  const MadeValue image = m.input_reals({0, 3, 9, 7}, 2);
  const std::string x = m.quantize(image.name, sx);
  const auto first = m.layer(OnnxType::int8, {6, 3, 3, 3}, 0, true, sx.scale, 0.4f);
  const CodeScale s1 = output_scale(m, type, sx.scale * 0.4f / 127, 27, true);
  const NetworkMaker::Attributes same{{"pads", Integers{1, 1, 1, 1}}};
  const std::string y1 =
      m.quantize(m.node("Relu", {qdq_layer(m, "Conv", x, sx, first, 0, same, true)}), s1);
  const auto second = m.layer(OnnxType::int8, {6, 1, 3, 3}, 0, true, s1.scale, 0.4f);
  const CodeScale s2 = output_scale(m, type, s1.scale * 0.4f / 127, 9, false);
  NetworkMaker::Attributes depthwise = same;
  depthwise.push_back({"group", int64_t{6}});
  const std::string y2 = m.quantize(qdq_layer(m, "Conv", y1, s1, second, 0, depthwise, true), s2);
  const CodeScale s3 = m.scale(type, 100 * (s1.scale + s2.scale), true);
  const std::string sum =
      m.node("Relu", {m.node("Add", {m.dequantize(y1, s1), m.dequantize(y2, s2)})});
  const std::string y3 = m.quantize(sum, s3);
  const CodeScale s4 = m.scale(type, 60 * s3.scale);
  const std::string pooled = m.quantize(m.node("GlobalAveragePool", {m.dequantize(y3, s3)}), s4);
  const std::string flat = m.node("Flatten", {pooled});
  const auto last = m.layer(OnnxType::int8, {10, 6}, 0, true, s4.scale, 0.4f);
  const CodeScale s5 = output_scale(m, type, s4.scale * 0.4f / 127, 6, false);
  const std::string logits =
      m.quantize(qdq_layer(m, "Gemm", flat, s4, last, 0, {{"transB", int64_t{1}}}, true), s5);
  m.output(y3, type);
  m.output(m.dequantize(logits, s5), OnnxType::float32);
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"QDQ Conv", "conv2d", qdq_conv, 60},
      {"QLinearConv", "conv2d", qlinear_conv, 60},
      {"QDQ Conv with a float bias", "conv2d", qdq_conv_float_bias, 20},
      {"QDQ Conv of one axis", "conv2d", conv_1d, 40},
      {"QDQ Gemm", "linear", qdq_gemm, 40},
      {"QGemm", "linear", qgemm, 40},
      {"QDQ MatMul", "linear", qdq_matmul, 40},
      {"QLinearMatMul", "linear", qlinear_matmul, 40},
      {"QDQ MatMul of activations", "batch_matmul", matmul_of_activations, 30},
      {"QDQ Add and Mul", "add", qdq_binary, 60},
      {"QLinearAdd and QLinearMul", "add", qlinear_binary, 60},
      {"QDQ Concat", "concat", qdq_concat, 40},
      {"QLinearConcat", "concat", qlinear_concat, 40},
      {"QDQ average pools", "avg_pool2d", qdq_pool, 40},
      {"QLinear average pools", "avg_pool2d", qlinear_pool, 40},
      {"QDQ LeakyRelu", "leaky_relu", qdq_leaky_relu, 20},
      {"QLinearLeakyRelu", "leaky_relu", qlinear_leaky_relu, 20},
      {"QDQ Sigmoid", "sigmoid", qdq_sigmoid, 20},
      {"QLinearSigmoid", "sigmoid", qlinear_sigmoid, 20},
      {"QDQ Softmax", "softmax", qdq_softmax, 40},
      {"QLinearSoftmax", "softmax", qlinear_softmax, 40},
      {"moves", "transpose", moves, 60},
      {"moves between layers", "transpose", moves_between_layers, 40},
      {"QDQ Conv behind Pad", "conv2d", padded_conv, 30},
      {"splits", "slice", splits, 30},
      {"QDQ with shared reals", "linear", shared_reals, 30},
      {"Relu and Clip of codes", "lut", clips, 40},
      {"borders", "quantize", border, 20},
      {"residual networks", "conv2d", residual, 20},
  };
  return all;
}

}  // namespace facsim::test
