// SPDX-License-Identifier: Apache-2.0
// Windows over images: the geometry of convolutions and pools, and the pools.
#include <fmt/format.h>

#include <algorithm>

#include "backends/onnx/float_network-internal.h"
#include "sim/ops/conv2d.h"

namespace facsim::backends::onnx {

namespace {

constexpr int64_t kMostExtent = 65536;

/// Two numbers in low..2^16, `fallback` when the attribute is absent.
std::array<int64_t, 2> pair_of(const OnnxNode& node, std::string_view name, int64_t low,
                               std::array<int64_t, 2> fallback) {
  const auto values = integers_attribute(node, name, {fallback[0], fallback[1]});
  if (values.size() != 2) {
    FloatNetworkBuilder::unsupported(node, fmt::format("{} of {} numbers", name, values.size()),
                                     "two, for height and width");
  }
  for (const int64_t v : values) {
    if (v < low || v > kMostExtent) {
      FloatNetworkBuilder::bad(node, fmt::format("{} {}", name, v),
                               fmt::format("{}..{}", low, kMostExtent));
    }
  }
  return {values[0], values[1]};
}

sim::Window2d window2d(const Window& w) {
  return {w.kernel, w.stride, w.dilation, {w.pads[0], w.pads[1], w.pads[2], w.pads[3]}};
}

/// A last window that hangs over the edge would count in ceil_mode.
bool hangs_over(const Window& w, const FloatShape& input) {
  const std::array<int64_t, 2> extent{input.height, input.width};
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t room = extent[axis] + w.pads[axis] + w.pads[axis + 2] -
                         (w.kernel[axis] - 1) * w.dilation[axis] - 1;
    if (room >= 0 && room % w.stride[axis] != 0) return true;
  }
  return false;
}

Window read_pool_window(const OnnxNode& node, const FloatShape& input) {
  const Window window = read_window(node, {}, input);
  if (integer_attribute(node, "ceil_mode", 0) != 0 && hangs_over(window, input)) {
    FloatNetworkBuilder::unsupported(node, "ceil_mode 1 with a window over the edge",
                                     "ceil_mode 0");
  }
  return window;
}

void read_max_pool(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.image(node, 0);
  const Window window = read_pool_window(node, x.shape);
  if (!window.symmetric()) {
    builder.unsupported(node, "pads that differ on opposite sides", "equal ones");
  }
  FloatNode layer = builder.layer(node, "MaxPool2d", {x.node});
  window.set(layer);
  builder.define(node, builder.add(node, std::move(layer)));
}

void read_average_pool(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.image(node, 0);
  Window window = read_pool_window(node, x.shape);
  if (window.dilation != std::array<int64_t, 2>{1, 1}) {
    builder.unsupported(node, "dilations", "1");
  }
  if (window.padded() && integer_attribute(node, "count_include_pad", 0) == 0) {
    builder.unsupported(node, "pads with count_include_pad 0", "count_include_pad 1, or no pads");
  }
  FloatNode layer = builder.layer(node, "AvgPool2d", {});
  layer.inputs = {padded_input(builder, node, x, window).node};
  window.set(layer);
  builder.define(node, builder.add(node, std::move(layer)));
}

void read_global_average(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.image(node, 0);
  builder.define(node, builder.add(node, builder.layer(node, "AdaptiveAvgPool2d", {x.node})));
}

void read_reduce_mean(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.image(node, 0);
  auto axes = builder.integers(node, 1, "axes");
  if (axes) {
    for (int64_t& axis : *axes) axis += axis < 0 ? 4 : 0;
    std::sort(axes->begin(), axes->end());
  }
  if (!axes || *axes != std::vector<int64_t>{2, 3}) {
    builder.unsupported(node, "other axes than height and width", "axes 2, 3");
  }
  FloatNode pool = builder.layer(node, "AdaptiveAvgPool2d", {x.node});
  if (integer_attribute(node, "keepdims", 1) != 0) {
    builder.define(node, builder.add(node, std::move(pool)));
    return;
  }
  FloatNode flat = builder.layer(node, "Flatten", {});
  flat.inputs = {builder.add_before(node, std::move(pool), "pool").node};
  builder.define(node, builder.add(node, std::move(flat)));
}

}  // namespace

void Window::set(FloatNode& layer) const {
  layer.kernel_size = kernel;
  layer.stride = stride;
  layer.dilation = dilation;
  layer.padding = {pads[0], pads[1]};
}

Window read_window(const OnnxNode& node, std::optional<std::array<int64_t, 2>> kernel,
                   const FloatShape& input) {
  Window window;
  if (!kernel && find_attribute(node, "kernel_shape") == nullptr) {
    FloatNetworkBuilder::bad(node, "no kernel_shape", "one");
  }
  window.kernel = pair_of(node, "kernel_shape", 1, kernel.value_or(std::array<int64_t, 2>{1, 1}));
  if (kernel && *kernel != window.kernel) {
    FloatNetworkBuilder::bad(
        node, fmt::format("kernel_shape {} x {}", window.kernel[0], window.kernel[1]),
        fmt::format("that of the weights, {} x {}", (*kernel)[0], (*kernel)[1]));
  }
  window.stride = pair_of(node, "strides", 1, {1, 1});
  window.dilation = pair_of(node, "dilations", 1, {1, 1});
  const auto pads = integers_attribute(node, "pads", {0, 0, 0, 0});
  if (pads.size() != 4) {
    FloatNetworkBuilder::unsupported(node, fmt::format("pads of {} numbers", pads.size()),
                                     "four: top, left, bottom, right");
  }
  for (size_t i = 0; i < 4; ++i) {
    if (pads[i] < 0 || pads[i] > kMostExtent) {
      FloatNetworkBuilder::bad(node, fmt::format("pads {}", pads[i]),
                               fmt::format("0..{}", kMostExtent));
    }
    window.pads[i] = pads[i];
  }
  const std::string automatic = string_attribute(node, "auto_pad", "NOTSET");
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    window.pads = {0, 0, 0, 0};
    const sim::Padding2d same = sim::resolve_padding(
        automatic == "SAME_UPPER" ? sim::PaddingKind::same : sim::PaddingKind::same_lower,
        window2d(window), input.height, input.width);
    window.pads = {same.top, same.left, same.bottom, same.right};
  } else if (automatic == "VALID") {
    window.pads = {0, 0, 0, 0};
  } else if (automatic != "NOTSET" && !automatic.empty()) {
    FloatNetworkBuilder::bad(node, "auto_pad \"" + automatic + "\"",
                             "NOTSET, SAME_UPPER, SAME_LOWER or VALID");
  }
  return window;
}

FloatValue padded_input(FloatNetworkBuilder& builder, const OnnxNode& node, const FloatValue& x,
                        Window& window) {
  if (window.symmetric()) return x;
  FloatNode pad = builder.layer(node, "ZeroPad2d", {x.node});
  pad.pad = {window.pads[1], window.pads[3], window.pads[0], window.pads[2]};
  window.pads = {0, 0, 0, 0};
  return builder.add_before(node, std::move(pad), "pad");
}

FloatReader find_window_reader(std::string_view op) {
  if (op == "MaxPool") return read_max_pool;
  if (op == "AveragePool") return read_average_pool;
  if (op == "GlobalAveragePool") return read_global_average;
  if (op == "ReduceMean") return read_reduce_mean;
  return nullptr;
}

}  // namespace facsim::backends::onnx
