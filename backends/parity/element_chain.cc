// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "backends/lower/lower.h"
#include "backends/parity/compare.h"
#include "backends/parity/element_steps-internal.h"
#include "sim/core/error.h"
#include "sim/ops/accumulate.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/conv2d_shape.h"
#include "sim/ops/linear.h"
#include "sim/ops/map.h"
#include "sim/ops/transpose_conv2d.h"

namespace facsim::backends {

namespace {

using detail::per_channel;
using sim::int128;

const sim::Conv2d* as_convolution(const sim::Op& op) {
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) return &linear->conv();
  return dynamic_cast<const sim::Conv2d*>(&op);
}

/// The one program that takes the op's accumulator to its codes, or null.
const sim::Requantizer* program_of(const sim::Op& op) {
  if (const sim::Conv2d* conv = as_convolution(op)) return &conv->params().requantize;
  if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
    return &transposed->params().layer.requantize;
  }
  return nullptr;
}

/// A linear layer's input as the 1x1 convolution sees it.
Tensor as_images(const Tensor& input, const sim::Op& op, const sim::Conv2dParams& params) {
  if (op.kind() != "linear") return input;
  const int64_t in = params.weights.shape()[3];
  const int64_t n = input.shape()[0];
  return input.reshaped({n, 1, n == 0 || in == 0 ? 0 : input.numel() / n / in, in});
}

/// Output element (n, oh, ow, oc)'s products in the order of the norm (Conv2dNorm).
std::vector<ElementTap> taps_of(const sim::Conv2dParams& p, const sim::Conv2dShape& s,
                                const Tensor& input, int64_t flat_index) {
  const int64_t oc = flat_index % s.oc;
  const int64_t ow = flat_index / s.oc % s.ow;
  const int64_t oh = flat_index / (s.oc * s.ow) % s.oh;
  const int64_t n = flat_index / (s.oc * s.ow * s.oh);
  const int64_t first_channel = oc / s.group_oc * s.group_ic;
  const int64_t weight_zero_point = per_channel(p.weight_zero_point, oc);
  std::vector<ElementTap> taps;
  for (int64_t kh = 0; kh < s.kh; ++kh) {
    const int64_t ih = oh * s.window.stride[0] - s.window.padding.top + kh * s.window.dilation[0];
    for (int64_t kw = 0; kw < s.kw; ++kw) {
      const int64_t iw =
          ow * s.window.stride[1] - s.window.padding.left + kw * s.window.dilation[1];
      const bool inside = ih >= 0 && ih < s.ih && iw >= 0 && iw < s.iw;
      for (int64_t ic = 0; ic < s.group_ic; ++ic) {
        ElementTap tap;
        tap.weight_index = ((oc * s.kh + kh) * s.kw + kw) * s.group_ic + ic;
        if (inside) tap.input_index = ((n * s.ih + ih) * s.iw + iw) * s.ic + first_channel + ic;
        tap.input = inside ? input.int_at(tap.input_index) : p.padding_value;
        tap.weight = p.weights.int_at(tap.weight_index);
        tap.product = (tap.input - p.input_zero_point) * (tap.weight - weight_zero_point);
        taps.push_back(tap);
      }
    }
  }
  return taps;
}

ElementAccumulator accumulator_of(const sim::Conv2dParams& p, const sim::Conv2dShape& shape,
                                  const Tensor& input, int64_t flat_index, size_t wanted) {
  const int64_t oc = flat_index % shape.oc;
  std::vector<ElementTap> taps = taps_of(p, shape, input, flat_index);
  ElementAccumulator out;
  out.rule = p.accumulator;
  out.bias = p.bias.empty() ? 0 : p.bias.int_at(oc);
  out.taps = static_cast<int64_t>(taps.size());
  out.exact = out.bias;
  std::vector<int32_t> x, w;
  for (const ElementTap& tap : taps) {
    out.exact += tap.product;
    x.push_back(static_cast<int32_t>(tap.input - p.input_zero_point));
    w.push_back(static_cast<int32_t>(tap.weight - per_channel(p.weight_zero_point, oc)));
  }
  sim::TapLayout layout;
  layout.per_position = p.weights.shape()[3];
  layout.x_offset = sim::input_operand_offset(p);
  if (p.accumulator.operands != sim::Accumulator::Operands::centred) {
    layout.w_offset = per_channel(p.weight_zero_point, oc);
  }
  const sim::Accumulated sum =
      sim::accumulate<true>(x.data(), w.data(), out.taps, out.bias, p.accumulator, layout);
  out.value = sum.value;
  out.left_width = sum.left_width;
  out.bits_used = signed_bits(sum.value);
  const auto larger = [](const ElementTap& a, const ElementTap& b) {
    return std::abs(a.product) > std::abs(b.product);
  };
  std::stable_sort(taps.begin(), taps.end(), larger);
  taps.resize(std::min(taps.size(), wanted));
  out.largest = std::move(taps);
  return out;
}

/// The node's inputs as an IntGraph counts them, constants among them.
std::vector<const Tensor*> all_inputs(const IntGraph& graph, const IntNode& node,
                                      std::span<const Tensor* const> computed) {
  std::vector<const Tensor*> inputs;
  size_t next = 0;
  for (const int t : node.inputs) {
    const IntTensor& tensor = graph.tensors[static_cast<size_t>(t)];
    inputs.push_back(tensor.data              ? &*tensor.data
                     : next < computed.size() ? computed[next++]
                                              : nullptr);
  }
  return inputs;
}

/// Elements of an op's inputs as those of the graph's tensors. Only ops without constants among
/// their inputs, or with all of them, say where their elements come from.
std::vector<ElementSource> named_sources(const IntNode& node,
                                         const std::vector<const Tensor*>& inputs,
                                         const std::vector<sim::SourceElement>& sources) {
  std::vector<ElementSource> named;
  for (const auto& [input, flat_index] : sources) {
    const auto i = static_cast<size_t>(input);
    if (i >= inputs.size() || inputs[i] == nullptr) continue;
    const Tensor& values = *inputs[i];
    named.push_back({node.inputs[i], flat_index,
                     values.dtype() == DType::float32
                         ? fmt::format("{}", values.data<float>()[flat_index])
                         : fmt::format("{}", values.int_at(flat_index))});
  }
  return named;
}

/// The element that broadcasting to `output` gives at `flat_index`.
int64_t broadcast_index(const Shape& output, int64_t flat_index, const Shape& operand) {
  const std::vector<int64_t> index = unflatten(flat_index, output);
  int64_t flat = 0;
  for (int axis = 0; axis < operand.rank(); ++axis) {
    const int at = axis + output.rank() - operand.rank();
    const int64_t i = at < 0 || operand[axis] == 1 ? 0 : index[static_cast<size_t>(at)];
    flat = flat * operand[axis] + i;
  }
  return flat;
}

/// The real value of a code of a per-tensor quantized operand.
std::optional<long double> real_operand(const IntTensor& info, const Tensor* codes,
                                        const Shape& output, int64_t flat_index) {
  if (codes == nullptr || !info.qparams || info.qparams->per_channel()) return std::nullopt;
  if (codes->dtype() == DType::float32 || codes->shape().rank() > output.rank()) {
    return std::nullopt;
  }
  const int64_t code = codes->int_at(broadcast_index(output, flat_index, codes->shape()));
  return static_cast<long double>(info.qparams->scale.front()) *
         static_cast<long double>(code - info.qparams->zero_point.front());
}

/// The real result of an elementwise op on its codes.
std::optional<long double> elementwise(const IntGraph& graph, const IntNode& node,
                                       const std::vector<const Tensor*>& inputs,
                                       const Shape& output, int64_t flat_index) {
  const auto operand = [&](size_t i) -> std::optional<long double> {
    if (i >= inputs.size()) return std::nullopt;
    return real_operand(graph.tensors[static_cast<size_t>(node.inputs[i])], inputs[i], output,
                        flat_index);
  };
  if (node.op == "requantize") return operand(0);
  // The operands of other ops (concat) do not broadcast.
  if (node.op != "add" && node.op != "sub" && node.op != "mul") return std::nullopt;
  const auto a = operand(0), b = operand(1);
  if (!a || !b) return std::nullopt;
  if (node.op == "add") return *a + *b;
  if (node.op == "sub") return *a - *b;
  return *a * *b;
}

/// The bias of a layer that is not in its accumulator, in real units.
long double program_bias(const IntGraph& graph, const IntNode& node, const Tensor& in_accumulator,
                         int64_t channel) {
  if (!in_accumulator.empty() || node.inputs.size() < 3) return 0;
  const IntTensor& bias = graph.tensors[static_cast<size_t>(node.inputs[2])];
  if (!bias.data || channel >= bias.data->numel()) return 0;
  if (bias.data->dtype() == DType::float32) return bias.data->data<float>()[channel];
  if (!bias.qparams) return 0;
  return static_cast<long double>(per_channel(bias.qparams->scale, channel)) *
         static_cast<long double>(bias.data->int_at(channel));
}

/// Fills accumulator, scales and exact of a convolution or linear layer.
void add_layer(const IntGraph& graph, const IntNode& node, const sim::Conv2dParams& params,
               ElementChain& chain) {
  const auto info = [&](size_t i) -> const IntTensor& {
    return graph.tensors[static_cast<size_t>(node.inputs[i])];
  };
  const IntTensor& output = graph.tensors[static_cast<size_t>(node.output)];
  if (node.inputs.size() < 2 || !info(0).qparams || !info(1).qparams || !output.qparams) return;
  ElementScales scales;
  scales.input = info(0).qparams->scale.front();
  scales.weight = per_channel(info(1).qparams->scale, chain.channel);
  scales.output = output.qparams->scale.front();
  const long double unit = static_cast<long double>(scales.input) * scales.weight *
                           products_per_accumulator_step(params.accumulator);
  scales.real = static_cast<double>(unit / scales.output);
  chain.scales = scales;
  // A structured or overflowing accumulator is not the real sum: the platform means the exact one.
  const long double sum = chain.accumulator
                              ? static_cast<long double>(chain.accumulator->exact) *
                                    (static_cast<long double>(scales.input) * scales.weight)
                              : static_cast<long double>(*chain.explanation.accumulator) * unit;
  const long double bias = program_bias(graph, node, params.bias, chain.channel);
  chain.exact = static_cast<double>((sum + bias) / scales.output);
}

}  // namespace

int signed_bits(int128 value) {
  int bits = 1;
  for (auto rest = static_cast<sim::uint128>(value < 0 ? ~value : value); rest != 0; rest >>= 1) {
    ++bits;
  }
  return bits;
}

ElementChain element_chain(const IntGraph& graph, const sim::Graph& executable, size_t node,
                           std::span<const Tensor* const> inputs, int64_t flat_index, size_t taps) {
  const IntNode& rules = graph.nodes[node];
  const sim::Graph::Node& bound = executable.nodes[node];
  const IntTensor& output = graph.tensors[static_cast<size_t>(rules.output)];
  std::vector<Shape> shapes;
  for (const Tensor* input : inputs) shapes.push_back(input->shape());
  const Shape shape = bound.op->output_shape(shapes);
  ElementChain chain;
  chain.node = rules.name;
  chain.op = rules.op;
  chain.tensor = output.name;
  chain.explanation = bound.op->explain(inputs, flat_index);
  chain.index = unflatten(flat_index, shape);
  chain.channel = chain.index.empty() ? 0 : chain.index.back();
  if (output.qparams) chain.zero_point = output.qparams->zero_point.front();

  const sim::Requantizer* program = program_of(*bound.op);
  if (const sim::Conv2d* conv = as_convolution(*bound.op)) {
    const Tensor images = as_images(*inputs[0], *bound.op, conv->params());
    const auto extents = sim::Conv2dShape::of(conv->params(), images.shape());
    chain.accumulator = accumulator_of(conv->params(), extents, images, flat_index, taps);
    add_layer(graph, rules, conv->params(), chain);
  } else if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(bound.op.get())) {
    add_layer(graph, rules, transposed->params().layer, chain);
  } else if (output.qparams && !output.qparams->per_channel()) {
    const auto real =
        elementwise(graph, rules, all_inputs(graph, rules, inputs), shape, flat_index);
    if (real) {
      chain.exact =
          static_cast<double>(*real / static_cast<long double>(output.qparams->scale.front()));
    }
  }
  if (chain.exact) {
    chain.tie_distance = std::abs(*chain.exact - std::floor(*chain.exact) - 0.5);
  }
  if (program != nullptr && chain.explanation.accumulator) {
    const int64_t channel = program->channels() == 1 ? 0 : chain.channel;
    (void)program->apply(*chain.explanation.accumulator, channel, chain.events);
  }
  const auto sources = sim::sources_of(*bound.op, shapes, flat_index);
  chain.steps = detail::element_steps(*bound.op, chain.explanation, sources, chain.index);
  chain.sources = named_sources(rules, all_inputs(graph, rules, inputs), sources);
  return chain;
}

}  // namespace facsim::backends
