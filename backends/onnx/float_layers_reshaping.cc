// SPDX-License-Identifier: Apache-2.0
// What moves values: Concat, Flatten, Reshape, Squeeze, Pad, Resize, Upsample.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/onnx/float_network-internal.h"
#include "backends/onnx/onnx_resize-internal.h"

namespace facsim::backends::onnx {

namespace {

using detail::OnnxResize;

void flatten(FloatNetworkBuilder& builder, const OnnxNode& node, const FloatValue& x) {
  builder.define(
      node, x.shape.is_image ? builder.add(node, builder.layer(node, "Flatten", {x.node})) : x);
}

void read_concat(FloatNetworkBuilder& builder, const OnnxNode& node) {
  std::vector<std::string> inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    inputs.push_back(builder.activation(node, i).node);
  }
  const FloatValue& first = builder.activation(node, 0);
  const int64_t rank = first.shape.is_image ? 4 : 2;
  int64_t axis = integer_attribute(node, "axis", 1);
  axis += axis < 0 ? rank : 0;
  if (axis != 1) builder.unsupported(node, fmt::format("axis {}", axis), "1, the channels");
  builder.define(node, builder.add(node, builder.layer(node, "Concat", std::move(inputs))));
}

void read_flatten(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.activation(node, 0);
  const int64_t rank = x.shape.is_image ? 4 : 2;
  int64_t axis = integer_attribute(node, "axis", 1);
  axis += axis < 0 ? rank : 0;
  if (axis != 1) builder.unsupported(node, fmt::format("axis {}", axis), "1");
  flatten(builder, node, x);
}

void read_reshape(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.activation(node, 0);
  const auto target = builder.integers(node, 1, "shape");
  if (!target) builder.bad(node, "no shape", "one");
  std::vector<int64_t> from{builder.batch(), x.shape.channels};
  if (x.shape.is_image) from.insert(from.end(), {x.shape.height, x.shape.width});
  int64_t total = 1;
  for (const int64_t extent : from) total *= extent;
  std::vector<int64_t> to = *target;
  int64_t known = 1, free = 0;
  const bool keeps_zero = integer_attribute(node, "allowzero", 0) == 0;
  bool legal = true;
  for (size_t i = 0; i < to.size() && legal; ++i) {
    if (to[i] == 0 && keeps_zero && i < from.size()) to[i] = from[i];
    if (to[i] == -1) {
      ++free;
    } else {
      legal = to[i] >= 1 && to[i] <= total / known;
      known *= legal ? to[i] : 1;
    }
  }
  if (!legal || free > 1 || total % known != 0 || (free == 0 && known != total)) {
    builder.bad(node, fmt::format("a shape that does not hold {} elements", total),
                "the elements of its input");
  }
  for (int64_t& extent : to) extent = extent == -1 ? total / known : extent;
  if (to == from) return builder.define(node, x);
  if (to.size() != 2 || to[0] != builder.batch()) {
    builder.unsupported(node, fmt::format("a shape of rank {}", to.size()), "[batch, features]");
  }
  flatten(builder, node, x);
}

void read_squeeze(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.image(node, 0);
  auto axes = builder.integers(node, 1, "axes");
  if (axes) {
    for (int64_t& axis : *axes) axis += axis < 0 ? 4 : 0;
    std::sort(axes->begin(), axes->end());
  }
  if (!axes || *axes != std::vector<int64_t>{2, 3} || x.shape.height != 1 || x.shape.width != 1) {
    builder.unsupported(node, "of " + to_string(x.shape), "height and width of 1 (axes 2, 3)");
  }
  flatten(builder, node, x);
}

void read_pad(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.activation(node, 0);
  if (string_attribute(node, "mode", "constant") != "constant") {
    builder.unsupported(node, "mode " + string_attribute(node, "mode", ""), "constant");
  }
  const Tensor* value = builder.constant(node, 2);
  if (real_attribute(node, "value", 0) != 0 ||
      (value != nullptr && value->numel() > 0 &&
       (value->dtype() != DType::float32 || value->data<float>()[0] != 0))) {
    builder.unsupported(node, "padding with another value", "0");
  }
  if (builder.constant(node, 3) != nullptr) builder.unsupported(node, "axes", "pads of all axes");
  const auto pads = builder.integers(node, 1, "pads");
  const size_t rank = x.shape.is_image ? 4 : 2;
  if (!pads || pads->size() != 2 * rank) {
    builder.bad(node, fmt::format("{} pads", pads ? pads->size() : 0), std::to_string(2 * rank));
  }
  if (std::all_of(pads->begin(), pads->end(), [](int64_t p) { return p == 0; })) {
    return builder.define(node, x);
  }
  for (size_t i = 0; i < pads->size(); ++i) {
    const int64_t p = (*pads)[i];
    if (p < 0 || p > 65536 || (p > 0 && i % rank < 2)) {
      builder.unsupported(node, fmt::format("pads {} on axis {}", p, i % rank),
                          "rows and columns added around images");
    }
  }
  FloatNode layer = builder.layer(node, "ZeroPad2d", {x.node});
  layer.pad = {(*pads)[3], (*pads)[7], (*pads)[2], (*pads)[6]};
  builder.define(node, builder.add(node, std::move(layer)));
}

/// Two numbers of height and width, or those of four axes.
std::array<double, 4> of_four_axes(FloatNetworkBuilder& builder, const OnnxNode& node,
                                   const std::vector<double>& given, bool of_image_axes,
                                   const std::array<int64_t, 2>& others) {
  const size_t count = of_image_axes ? 2 : 4;
  if (given.size() != count) {
    builder.bad(node, fmt::format("{} scales or sizes", given.size()), fmt::format("{}", count));
  }
  std::array<double, 4> all{static_cast<double>(others[0]), static_cast<double>(others[1])};
  std::copy(given.begin(), given.end(), all.end() - static_cast<int64_t>(count));
  return all;
}

/// The whole factors of an enlargement: scales [1, 1, h, w], or sizes [batch, C, H, W]; with
/// `axes` 2, 3 only the last two.
std::array<int64_t, 2> factors_of(FloatNetworkBuilder& builder, const OnnxNode& node,
                                  const FloatShape& shape, size_t scales_input, size_t sizes_input,
                                  bool of_image_axes) {
  std::array<double, 4> scales{0, 0, 0, 0};
  const OnnxAttribute* attribute = find_attribute(node, "scales");
  const Tensor* given = builder.constant(node, scales_input);
  if (attribute != nullptr) {
    const auto* list = std::get_if<std::vector<float>>(&attribute->value);
    if (list == nullptr) builder.bad(node, "scales", "four numbers");
    scales = of_four_axes(builder, node, {list->begin(), list->end()}, false, {1, 1});
  } else if (given != nullptr && given->numel() > 0) {
    if (given->numel() > 4 || given->dtype() != DType::float32) {
      builder.bad(node, "scales of shape " + facsim::to_string(given->shape()), "four numbers");
    }
    const auto values = given->values<float>();
    scales = of_four_axes(builder, node, {values.begin(), values.end()}, of_image_axes, {1, 1});
  } else if (const auto sizes = builder.integers(node, sizes_input, "")) {
    const std::array<int64_t, 4> from{builder.batch(), shape.channels, shape.height, shape.width};
    scales = of_four_axes(builder, node, {sizes->begin(), sizes->end()}, of_image_axes,
                          {from[0], from[1]});
    for (size_t i = 0; i < 4; ++i) scales[i] /= static_cast<double>(from[i]);
  } else {
    builder.bad(node, "no scales and no sizes", "one of them, four numbers");
  }
  for (const double scale : scales) {
    if (!(scale >= 1 && scale <= 65536) || scale != std::floor(scale) || scales[0] != 1 ||
        scales[1] != 1) {
      builder.unsupported(
          node, fmt::format("scales {}, {}, {}, {}", scales[0], scales[1], scales[2], scales[3]),
          "whole factors of height and width");
    }
  }
  return {static_cast<int64_t>(scales[2]), static_cast<int64_t>(scales[3])};
}

/// The pixel that ONNX's rules take for output pixel i of an axis enlarged by `factor`.
int64_t nearest_pixel(const OnnxResize& resize, int64_t i, int64_t in, int64_t factor) {
  const double out = static_cast<double>(in * factor), at = static_cast<double>(i);
  const bool torch = resize.coordinates == "pytorch_half_pixel";
  double x = at / static_cast<double>(factor);
  if (resize.coordinates == "half_pixel" || torch) {
    x = (at + 0.5) / static_cast<double>(factor) - 0.5;
    if (torch && out <= 1) x = 0;
  } else if (resize.coordinates == "tf_half_pixel_for_nn") {
    x = (at + 0.5) / static_cast<double>(factor);
  } else if (resize.coordinates == "align_corners") {
    x = out <= 1 ? 0 : at * static_cast<double>(in - 1) / (out - 1);
  }
  double pixel = std::floor(x);
  if (resize.rounding == "ceil") pixel = std::ceil(x);
  if (resize.rounding == "round_prefer_floor") pixel = std::ceil(x - 0.5);
  if (resize.rounding == "round_prefer_ceil") pixel = std::floor(x + 0.5);
  return std::clamp<int64_t>(static_cast<int64_t>(pixel), 0, in - 1);
}

void add_upsample(FloatNetworkBuilder& builder, const OnnxNode& node, size_t scales_input,
                  size_t sizes_input, const OnnxResize& resize) {
  const FloatValue& x = builder.image(node, 0);
  FloatNode layer = builder.layer(node, "Upsample", {x.node});
  layer.scale_factor =
      factors_of(builder, node, x.shape, scales_input, sizes_input, resize.of_image_axes);
  const std::array<int64_t, 2> extent{x.shape.height, x.shape.width};
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t factor = layer.scale_factor[axis];
    if (extent[axis] > detail::kMostResizedPixels / factor) {
      builder.unsupported(node, fmt::format("{} pixels times {}", extent[axis], factor),
                          fmt::format("at most {}", detail::kMostResizedPixels));
    }
    if (resize.mode != "nearest") continue;
    builder.spend(node, static_cast<uint64_t>(extent[axis] * factor) * sizeof(int64_t));
    for (int64_t i = 0; i < extent[axis] * factor; ++i) {
      if (nearest_pixel(resize, i, extent[axis], factor) == i / factor) continue;
      builder.unsupported(node, fmt::format("{} with {}", resize.coordinates, resize.rounding),
                          "each pixel repeated (asymmetric with floor)");
    }
  }
  if (resize.mode == "linear") {
    const bool half =
        resize.coordinates == "half_pixel" || resize.coordinates == "pytorch_half_pixel";
    if (!half && resize.coordinates != "align_corners") {
      builder.unsupported(node, "linear with " + resize.coordinates, "half_pixel or align_corners");
    }
    layer.mode = ResizeAttributes::Mode::bilinear;
    layer.align_corners = !half;
  }
  builder.define(node, builder.add(node, std::move(layer)));
}

void read_resize(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const OnnxResize resize = detail::onnx_resize_of(node, builder.opset());
  const bool is_old = builder.opset() < 11;  // X, scales; then X, roi, scales, sizes
  add_upsample(builder, node, is_old ? 1 : 2, is_old ? node.inputs.size() : 3, resize);
}

void read_upsample(FloatNetworkBuilder& builder, const OnnxNode& node) {
  add_upsample(builder, node, 1, node.inputs.size(), detail::onnx_resize_of(node, builder.opset()));
}

}  // namespace

FloatReader find_reshaping_reader(std::string_view op) {
  if (op == "Concat") return read_concat;
  if (op == "Flatten") return read_flatten;
  if (op == "Reshape") return read_reshape;
  if (op == "Squeeze") return read_squeeze;
  if (op == "Pad") return read_pad;
  if (op == "Resize") return read_resize;
  if (op == "Upsample") return read_upsample;
  return nullptr;
}

}  // namespace facsim::backends::onnx
