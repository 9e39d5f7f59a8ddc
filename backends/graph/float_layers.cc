// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "backends/graph/float_layers-internal.h"

namespace facsim::backends::detail {

namespace {

using json::ObjectReader;
using Presence = ObjectReader::Presence;

/// An integer for both axes, or [height, width].
std::array<int64_t, 2> pair(ObjectReader& reader, std::string_view key, int64_t min,
                            std::optional<std::array<int64_t, 2>> absent) {
  if (absent && !reader.has(key)) {
    reader.member(key, Presence::optional);
    return *absent;
  }
  const json::Json* value = reader.member(key, Presence::required);
  if (value == nullptr) return {1, 1};
  const auto read = [&](const json::Json& number) -> std::optional<int64_t> {
    if (!number.is_number_integer()) return {};
    const auto v = number.get<int64_t>();
    return v >= min && v <= kMaxLayerExtent ? std::optional(v) : std::nullopt;
  };
  if (const auto both = read(*value)) return {*both, *both};
  if (value->is_array() && value->size() == 2) {
    const auto h = read((*value)[0]);
    const auto w = read((*value)[1]);
    if (h && w) return {*h, *w};
  }
  reader.fail(key, json::excerpt(*value),
              fmt::format("an integer in {0}..{1}, or [height, width]", min, kMaxLayerExtent));
  return {1, 1};
}

void no_fields(ObjectReader&, FloatNode&) {}

void conv2d_fields(ObjectReader& reader, FloatNode& node) {
  node.in_channels = reader.integer("in_channels", {1, kMaxLayerExtent});
  node.out_channels = reader.integer("out_channels", {1, kMaxLayerExtent});
  node.kernel_size = pair(reader, "kernel_size", 1, {});
  node.stride = pair(reader, "stride", 1, {{1, 1}});
  node.padding = pair(reader, "padding", 0, {{0, 0}});
  node.dilation = pair(reader, "dilation", 1, {{1, 1}});
  node.groups = reader.integer("groups", {1, kMaxLayerExtent}, 1);
  node.bias = reader.boolean("bias", true);
}

void linear_fields(ObjectReader& reader, FloatNode& node) {
  node.in_channels = reader.integer("in_features", {1, int64_t{1} << 30});
  node.out_channels = reader.integer("out_features", {1, kMaxLayerExtent});
  node.bias = reader.boolean("bias", true);
}

void batch_norm_fields(ObjectReader& reader, FloatNode& node) {
  node.in_channels = reader.integer("num_features", {1, int64_t{1} << 30});
  node.out_channels = node.in_channels;
  node.eps = reader.number("eps", 1e-5f);
  if (node.eps <= 0) reader.fail("eps", fmt::format("{}", node.eps), "a number > 0");
  const json::Json* momentum = reader.member("momentum", Presence::optional);
  if (momentum == nullptr) return;
  if (momentum->is_null()) {
    node.momentum.reset();
    return;
  }
  const double value = momentum->is_number() ? momentum->get<double>() : -1.0;
  if (value < 0 || value > 1) {
    reader.fail("momentum", json::excerpt(*momentum),
                "a number in 0..1, or null (cumulative average)");
  } else {
    node.momentum = static_cast<float>(value);
  }
}

void conv_transpose2d_fields(ObjectReader& reader, FloatNode& node) {
  conv2d_fields(reader, node);
  node.output_padding = pair(reader, "output_padding", 0, {{0, 0}});
}

void leaky_relu_fields(ObjectReader& reader, FloatNode& node) {
  node.negative_slope = reader.number("negative_slope", 0.01f);
}

void pool_fields(ObjectReader& reader, FloatNode& node) {
  node.kernel_size = pair(reader, "kernel_size", 1, {});
  node.stride = pair(reader, "stride", 1, node.kernel_size);
}

void max_pool_fields(ObjectReader& reader, FloatNode& node) {
  pool_fields(reader, node);
  node.padding = pair(reader, "padding", 0, {{0, 0}});
}

void adaptive_pool_fields(ObjectReader& reader, FloatNode& node) {
  const auto size = pair(reader, "output_size", 1, {});
  if (size != std::array<int64_t, 2>{1, 1}) {
    reader.fail("output_size", fmt::format("{} x {}", size[0], size[1]), "1 (the whole image)", "",
                ErrorCode::unsupported);
  }
  static_cast<void>(node);
}

void upsample_fields(ObjectReader& reader, FloatNode& node) {
  node.scale_factor = pair(reader, "scale_factor", 1, {});
  const std::string mode = reader.text("mode", "nearest");
  if (mode == "bilinear") {
    node.mode = ResizeAttributes::Mode::bilinear;
    node.align_corners = reader.boolean("align_corners", false);
  } else if (mode != "nearest") {
    reader.fail("mode", "\"" + mode + "\"", "nearest or bilinear");
  }
}

void zero_pad_fields(ObjectReader& reader, FloatNode& node) {
  const auto pad = reader.integers("padding", {0, kMaxLayerExtent}, {4, 4});
  if (pad.size() == 4) std::copy_n(pad.begin(), 4, node.pad.begin());
}

constexpr std::array<FloatLayer, 18> kLayers{{
    {"Conv2d", 1, 1, conv2d_fields},
    {"ConvTranspose2d", 1, 1, conv_transpose2d_fields},
    {"Linear", 1, 1, linear_fields},
    {"BatchNorm2d", 1, 1, batch_norm_fields},
    {"BatchNorm1d", 1, 1, batch_norm_fields},
    {"ReLU", 1, 1, no_fields},
    {"ReLU6", 1, 1, no_fields},
    {"LeakyReLU", 1, 1, leaky_relu_fields},
    {"Hardswish", 1, 1, no_fields},
    {"Sigmoid", 1, 1, no_fields},
    {"Add", 2, 2, no_fields},
    {"Concat", 1, 16, no_fields},
    {"MaxPool2d", 1, 1, max_pool_fields},
    {"AvgPool2d", 1, 1, pool_fields},
    {"AdaptiveAvgPool2d", 1, 1, adaptive_pool_fields},
    {"Upsample", 1, 1, upsample_fields},
    {"ZeroPad2d", 1, 1, zero_pad_fields},
    {"Flatten", 1, 1, no_fields},
}};

}  // namespace

std::span<const FloatLayer> float_layers() { return kLayers; }

const FloatLayer* find_float_layer(std::string_view name) {
  const auto* found = std::find_if(kLayers.begin(), kLayers.end(),
                                   [&](const FloatLayer& layer) { return layer.name == name; });
  return found == kLayers.end() ? nullptr : found;
}

}  // namespace facsim::backends::detail
