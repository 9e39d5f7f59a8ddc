// SPDX-License-Identifier: Apache-2.0
#include "tests/deployed/int_graph_maker.h"

#include <cmath>

#include "backends/graph/int_shape.h"

namespace facsim::test {

namespace {

using backends::Activation;
using backends::IntGraph;
using backends::NodeAttributes;
using M = IntGraphMaker;

quant::QParams with_type(sim::IntType type, float scale, int64_t zero_point) {
  return {{scale}, {zero_point}, -1, type, type.min(), type.max()};
}

Activation any_activation(M& m) {
  return m.coin() ? Activation::none : m.coin() ? Activation::relu : Activation::relu6;
}

sim::Window2d any_window(M& m, const Shape& x, bool is_pool) {
  sim::Window2d w;
  w.kernel = {m.pick(1, 3), m.pick(1, 3)};
  w.stride = {m.pick(1, 2), m.pick(1, 2)};
  if (!is_pool && m.pick(0, 3) == 0) w.dilation = {m.pick(1, 2), m.pick(1, 2)};
  switch (m.pick(0, 2)) {
    case 0:
      break;
    case 1:
      w.padding = sim::resolve_padding(sim::PaddingKind::same, w, x[1], x[2]);
      break;
    default:
      // Less than the kernel, as pools demand.
      w.padding = {m.pick(0, w.kernel[0] - 1), m.pick(0, w.kernel[1] - 1),
                   m.pick(0, w.kernel[0] - 1), m.pick(0, w.kernel[1] - 1)};
  }
  return w;
}

Shape image(M& m) { return {1, m.pick(5, 8), m.pick(5, 9), m.pick(1, 6)}; }

IntGraph conv2d(M& m) {
  const int x = m.input(image(m), m.any(2));
  const Shape s = m.tensor(x).shape;
  NodeAttributes a;
  a.window = any_window(m, s, false);
  a.activation = any_activation(m);
  const Shape w{m.pick(1, 9), a.window.kernel[0], a.window.kernel[1], s[3]};
  return m.take({m.layer("conv2d", x, w, a, m.coin())});
}

IntGraph depthwise(M& m) {
  const int x = m.input({1, m.pick(5, 8), m.pick(5, 9), m.pick(2, 6)}, m.any(2));
  const Shape s = m.tensor(x).shape;
  NodeAttributes a;
  a.window = any_window(m, s, false);
  a.window.dilation = {1, 1};
  a.groups = s[3];
  a.activation = any_activation(m);
  const Shape w{s[3] * m.pick(1, 2), a.window.kernel[0], a.window.kernel[1], 1};
  return m.take({m.layer("conv2d", x, w, a, true)});
}

IntGraph linear(M& m) {
  const int x = m.input({1, m.pick(1, 200)}, m.any(2));
  NodeAttributes a;
  a.activation = any_activation(m);
  return m.take({m.layer("linear", x, {m.pick(1, 300), m.tensor(x).shape[1]}, a, m.coin())});
}

/// `linear` over rows, of rank 3 or 4.
IntGraph linear_rows(M& m) {
  const int64_t taps = m.pick(1, 40), rows = m.pick(2, 7);
  const Shape shape = m.coin() ? Shape{1, rows, taps} : Shape{1, rows, m.pick(1, 5), taps};
  const int x = m.input(shape, m.any(2));
  NodeAttributes a;
  a.activation = any_activation(m);
  return m.take({m.layer("linear", x, {m.pick(2, 40), taps}, a, m.coin())});
}

template <int kOp>
IntGraph two_operands(M& m) {
  constexpr const char* kOps[] = {"add", "sub", "mul", "minimum", "maximum"};
  const Shape s = image(m);
  const int a = m.input(s, m.any(2));
  const bool equal = kOp >= 3;
  const int b = m.input(s, equal ? m.qparams(a) : m.any(1.5f));
  NodeAttributes attributes;
  if (!equal) attributes.activation = any_activation(m);
  return m.take({m.node(kOps[kOp], {a, b}, attributes, equal ? m.qparams(a) : m.any(3))});
}

IntGraph max_pool(M& m) {
  const int x = m.input(image(m), m.any(2));
  NodeAttributes a;
  a.window = any_window(m, m.tensor(x).shape, true);
  return m.take({m.node("max_pool2d", {x}, a, m.qparams(x))});
}

IntGraph avg_pool(M& m) {
  const int x = m.input(image(m), m.any(2));
  NodeAttributes a;
  a.window = any_window(m, m.tensor(x).shape, true);
  const sim::Padding2d none{};
  const Shape& s = m.tensor(x).shape;
  const bool named =
      a.window.padding == none ||
      a.window.padding == sim::resolve_padding(sim::PaddingKind::same, a.window, s[1], s[2]);
  a.count_include_pad = !(a.window.padding == none) && (!named || m.coin());
  return m.take({m.node("avg_pool2d", {x}, a, m.qparams(x))});
}

IntGraph global_pool(M& m) {
  const int x = m.input(image(m), m.any(2));
  return m.take({m.node("global_avg_pool", {x}, {}, m.coin() ? m.qparams(x) : m.any(1))});
}

IntGraph mean(M& m) {
  const int x = m.input(image(m), m.any(2));
  NodeAttributes a;
  a.axes = m.coin() ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{m.pick(1, 3)};
  a.keep_dims = m.coin();
  return m.take({m.node("mean", {x}, a, m.any(1))});
}

IntGraph pad(M& m, bool with_value) {
  const int x = m.input(image(m), m.any(2));
  NodeAttributes a;
  if (with_value) a.pad_value = m.qparams(x).type.min() + m.pick(0, 3);
  a.pad_before = {0, m.pick(0, 2), m.pick(0, 2), m.pick(0, 1)};
  a.pad_after = {0, m.pick(0, 2), m.pick(0, 2), m.pick(0, 1)};
  return m.take({m.node("pad", {x}, a, m.qparams(x))});
}

IntGraph concat(M& m) {
  const Shape s = image(m);
  const quant::QParams q = m.any(2);
  const int a = m.input(s, q), b = m.input(s, q), c = m.input(s, q);
  NodeAttributes attributes;
  attributes.axis = m.pick(1, 3);
  return m.take({m.node("concat", {a, b, c}, attributes, q)});
}

IntGraph slice(M& m) {
  const int x = m.input({1, 6, 7, 4}, m.any(2));
  NodeAttributes a;
  a.begin = {0, m.pick(0, 2), m.pick(0, 2), m.pick(0, 1)};
  a.end = {1, m.pick(3, 6), m.pick(3, 7), m.pick(2, 4)};
  a.strides = {1, m.pick(1, 2), m.pick(1, 3), 1};
  return m.take({m.node("slice", {x}, a, m.qparams(x))});
}

IntGraph transpose(M& m) {
  const int x = m.input(image(m), m.any(2));
  static const std::vector<std::vector<int64_t>> perms{
      {0, 2, 1, 3}, {0, 3, 1, 2}, {0, 1, 3, 2}, {0, 2, 3, 1}, {0, 3, 2, 1}};
  NodeAttributes a;
  a.permutation = perms[static_cast<size_t>(m.pick(0, 4))];
  return m.take({m.node("transpose", {x}, a, m.qparams(x))});
}

IntGraph reshape(M& m) {
  const int x = m.input({1, 4, 6, m.pick(1, 3)}, m.any(2));
  const int64_t channels = m.tensor(x).shape[3];
  NodeAttributes a;
  switch (m.pick(0, 4)) {
    case 0:
      a.order = sim::ReshapeParams::Order::nchw;
      return m.take({m.node("flatten", {x}, a, m.qparams(x))});
    case 1:
      return m.take({m.node("flatten", {x}, a, m.qparams(x))});
    case 2:
      a.extents = {6, 4, channels};
      break;
    case 3:
      a.extents = {24, channels};
      break;
    default:
      a.extents = {2, 3, 4 * channels};
  }
  return m.take({m.node("reshape", {x}, a, m.qparams(x))});
}

IntGraph requantize(M& m) {
  const int x = m.input(image(m), m.any(2));
  return m.take({m.node("requantize", {x}, {}, m.any(3))});
}

IntGraph leaky_relu(M& m) {
  const int x = m.input(image(m), m.centred(2));
  NodeAttributes a;
  a.alpha = m.real(0.01f, 0.5f);
  return m.take({m.node("leaky_relu", {x}, a, m.centred(2))});
}

IntGraph sigmoid(M& m) {
  const int x = m.input(image(m), m.centred(4));
  return m.take({m.node("sigmoid", {x}, {}, with_type(m.type(), 1.0f / 256, m.type().min()))});
}

IntGraph tanh(M& m) {
  const int x = m.input(image(m), m.centred(4));
  const int64_t middle = (m.type().min() + m.type().max() + 1) / 2;
  return m.take({m.node("tanh", {x}, {}, with_type(m.type(), 1.0f / 128, middle))});
}

IntGraph lut(M& m) {
  const int x = m.input(image(m), m.centred(4));
  NodeAttributes a;
  a.table.clear();
  for (int i = 0; i < 256; ++i) a.table.push_back(m.pick(m.type().min(), m.type().max()));
  return m.take({m.node("lut", {x}, a, m.any(1))});
}

IntGraph clamp(M& m) {
  const int x = m.input(image(m), m.centred(8));
  NodeAttributes a;
  a.activation = m.coin() ? Activation::relu : Activation::relu6;
  return m.take({m.node("clamp", {x}, a, m.qparams(x))});
}

IntGraph relu(M& m) {
  const int x = m.input(image(m), m.centred(4));
  return m.take({m.node("relu", {x}, {}, m.any(4))});
}

IntGraph border(M& m) {
  M& maker = m;
  const int real = maker.input(image(m), quant::QParams{{0.0f}, {0}, -1, {}, 0, 0});
  const int codes = maker.node("quantize", {real}, {}, maker.any(1));
  NodeAttributes pool;
  pool.window.kernel = {2, 2};
  const int pooled = maker.node("max_pool2d", {codes}, pool, maker.qparams(codes));
  return maker.take(
      {maker.node("dequantize", {pooled}, {}, quant::QParams{{0.0f}, {0}, -1, {}, 0, 0})});
}

/// conv with relu, depthwise, residual add with relu, pool, flatten, classifier.
IntGraph residual(M& m) {
  const int x = m.input({1, 9, 7, 3}, m.centred(2));
  NodeAttributes conv;
  conv.window.kernel = {3, 3};
  conv.window.padding = {1, 1, 1, 1};
  conv.activation = Activation::relu;
  const int first = m.layer("conv2d", x, {6, 3, 3, 3}, conv, true);
  NodeAttributes depthwise = conv;
  depthwise.groups = 6;
  depthwise.activation = m.coin() ? Activation::relu6 : Activation::none;
  const int second = m.layer("conv2d", first, {6, 3, 3, 1}, depthwise, true);
  NodeAttributes add;
  add.activation = Activation::relu;
  const int sum = m.node("add", {first, second}, add, m.positive(3));
  NodeAttributes pool;
  pool.window.kernel = {3, 3};
  pool.window.stride = {2, 2};
  pool.window.padding = {1, 1, 1, 1};
  const int pooled = m.node("max_pool2d", {sum}, pool, m.qparams(sum));
  NodeAttributes flat;
  flat.order = sim::ReshapeParams::Order::nchw;
  const int flattened = m.node("flatten", {pooled}, flat, m.qparams(pooled));
  return m.take({m.layer("linear", flattened, {10, m.tensor(flattened).shape[1]}, {}, true)});
}

}  // namespace

int64_t IntGraphMaker::pick(int64_t low, int64_t high) {
  const auto span = static_cast<uint64_t>(high - low) + 1;
  return low + static_cast<int64_t>(random_() % span);
}

float IntGraphMaker::real(float low, float high) {
  return low + (high - low) * static_cast<float>(pick(0, 1 << 20)) / static_cast<float>(1 << 20);
}

quant::QParams IntGraphMaker::centred(float range) {
  const auto codes = static_cast<float>(type_.max() - type_.min());
  return with_type(type_, real(1, 1.9f) * range / codes, pick(type_.min(), type_.max()));
}

quant::QParams IntGraphMaker::positive(float range) {
  const auto codes = static_cast<float>(type_.max() - type_.min());
  return with_type(type_, real(0.6f, 1) * range / codes, type_.min());
}

int IntGraphMaker::input(Shape shape, const quant::QParams& qparams) {
  backends::IntTensor t;
  t.name = fresh("x");
  t.shape = std::move(shape);
  if (qparams.scale.front() == 0) {
    t.dtype = DType::float32;
  } else {
    t.dtype = qparams.type.storage();
    t.qparams = qparams;
  }
  graph_.tensors.push_back(std::move(t));
  graph_.inputs.push_back(static_cast<int>(graph_.tensors.size()) - 1);
  return graph_.inputs.back();
}

int IntGraphMaker::constant(Tensor data, std::optional<quant::QParams> qparams) {
  graph_.tensors.push_back(
      {fresh("c"), data.dtype(), data.shape(), std::move(qparams), std::move(data)});
  return static_cast<int>(graph_.tensors.size()) - 1;
}

Tensor IntGraphMaker::codes(sim::IntType type, Shape shape) {
  Tensor out(type.storage(), std::move(shape));
  for (int64_t i = 0; i < out.numel(); ++i) out.set_int(i, pick(type.min(), type.max()));
  return out;
}

int IntGraphMaker::node(const std::string& op, std::vector<int> inputs,
                        const NodeAttributes& attributes, const quant::QParams& output) {
  backends::IntNode node{fresh(op), op, std::move(inputs), -1, attributes, ""};
  backends::IntTensor y;
  y.name = fresh("y");
  y.shape = backends::int_output_shape(graph_, node);
  if (output.scale.front() == 0) {
    y.dtype = DType::float32;
  } else {
    y.dtype = output.type.storage();
    y.qparams = output;
  }
  graph_.tensors.push_back(std::move(y));
  node.output = static_cast<int>(graph_.tensors.size()) - 1;
  graph_.nodes.push_back(std::move(node));
  return graph_.nodes.back().output;
}

int IntGraphMaker::layer(const std::string& op, int x, Shape shape, NodeAttributes attributes,
                         bool per_channel) {
  const int64_t channels = shape[0], taps = shape.numel() / channels;
  quant::QParams w{{}, {}, per_channel ? 0 : -1, sim::kInt8, -127, 127}, b;
  for (int64_t c = 0; c < (per_channel ? channels : 1); ++c) {
    w.scale.push_back(real(0.1f, 0.5f) / 127);
    w.zero_point.push_back(0);
  }
  b = w;
  b.type = sim::kInt32;
  b.quant_min = INT32_MIN;
  b.quant_max = INT32_MAX;
  const float s_x = qparams(x).scale.front();
  for (float& scale : b.scale) scale = s_x * scale;
  Tensor weights = codes(sim::kInt8, shape), bias(DType::int32, Shape{channels});
  for (int64_t i = 0; i < weights.numel(); ++i) {
    if (weights.int_at(i) == -128) weights.set_int(i, -127);
  }
  for (int64_t c = 0; c < channels; ++c) bias.set_int(c, pick(-20000, 20000));
  // About the spread of the sums, so that some saturate.
  const float range = s_x * w.scale.front() * 6000 * std::sqrt(static_cast<float>(taps));
  const int weight_number = constant(std::move(weights), w);
  const int bias_number = constant(std::move(bias), b);
  quant::QParams y = any(range);
  if (attributes.activation == Activation::relu6 && coin()) {
    y = with_type(type_, 6.0f / 255, type_.min());
  }
  return node(op, {x, weight_number, bias_number}, attributes, y);
}

IntGraph IntGraphMaker::take(std::vector<int> outputs) {
  graph_.name = "drawn";
  graph_.outputs = std::move(outputs);
  return std::move(graph_);
}

const std::vector<IntGraphFamily>& int_graph_families() {
  static const std::vector<IntGraphFamily> all{
      {"conv2d", conv2d},
      {"depthwise", depthwise},
      {"linear", linear},
      {"linear_rows", linear_rows},
      {"add", two_operands<0>},
      {"sub", two_operands<1>},
      {"mul", two_operands<2>},
      {"minimum", two_operands<3>},
      {"maximum", two_operands<4>},
      {"max_pool2d", max_pool},
      {"avg_pool2d", avg_pool},
      {"global_avg_pool", global_pool},
      {"mean", mean},
      {"pad", [](M& m) { return pad(m, false); }},
      {"pad_value", [](M& m) { return pad(m, true); }},
      {"concat", concat},
      {"slice", slice},
      {"transpose", transpose},
      {"reshape", reshape},
      {"requantize", requantize},
      {"leaky_relu", leaky_relu},
      {"sigmoid", sigmoid},
      {"tanh", tanh},
      {"lut", lut},
      {"clamp", clamp},
      {"relu", relu},
      {"border", border},
      {"residual", residual},
  };
  return all;
}

std::vector<Tensor> random_inputs(const IntGraph& graph, int64_t images, uint64_t seed) {
  IntGraphMaker maker(seed, sim::kInt8);
  std::vector<Tensor> out;
  for (const int number : graph.inputs) {
    const backends::IntTensor& t = graph.tensors[static_cast<size_t>(number)];
    std::vector<int64_t> extents = t.shape.extents();
    extents[0] = images;
    if (t.dtype == DType::float32) {
      Tensor reals(DType::float32, Shape(extents));
      for (float& value : reals.values<float>()) value = maker.real(-1.5f, 1.5f);
      out.push_back(std::move(reals));
    } else {
      out.push_back(maker.codes(t.qparams->type, Shape(extents)));
    }
  }
  return out;
}

}  // namespace facsim::test
