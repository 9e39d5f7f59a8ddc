// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/float_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/core/error.h"
#include "sim/ops/conv2d.h"

namespace facsim::backends {

namespace {

constexpr int64_t kMaxExtent = int64_t{1} << 24;

[[noreturn]] void fail(const FloatNode& node, std::string found, std::string expected = "",
                       std::string hint = "") {
  throw Error({ErrorCode::shape_mismatch, node.place, std::move(found), std::move(expected),
               std::move(hint)});
}

void need_image(const FloatNode& node, const FloatShape& input) {
  if (!input.is_image) {
    fail(node, fmt::format("{} after a Flatten gets {}", node.op, to_string(input)), "an image");
  }
}

void need_channels(const FloatNode& node, std::string_view field, const FloatShape& input) {
  if (node.in_channels != input.channels) {
    fail(node,
         fmt::format("{} {} of \"{}\", but its input is {}", field, node.in_channels, node.name,
                     to_string(input)),
         std::to_string(input.channels));
  }
}

FloatShape window_shape(const FloatNode& node, const FloatShape& input, int64_t channels) {
  const sim::Window2d window{node.kernel_size,
                             node.stride,
                             node.dilation,
                             {node.padding[0], node.padding[1], node.padding[0], node.padding[1]}};
  try {
    const auto [height, width] = window.output_extent(input.height, input.width);
    return {channels, height, width, true};
  } catch (const Error& error) {
    fail(node, fmt::format("window of \"{}\" does not fit into {}: {}", node.name, to_string(input),
                           error.infos().front().found));
  }
}

void need_groups(const FloatNode& node) {
  if (node.in_channels % node.groups == 0 && node.out_channels % node.groups == 0) return;
  fail(node,
       fmt::format("{} groups for {} to {} channels", node.groups, node.in_channels,
                   node.out_channels),
       "groups that divide both");
}

FloatShape conv2d(const FloatNode& node, const FloatShape& input) {
  need_image(node, input);
  need_channels(node, "in_channels", input);
  need_groups(node);
  return window_shape(node, input, node.out_channels);
}

FloatShape conv_transpose2d(const FloatNode& node, const FloatShape& input) {
  need_image(node, input);
  need_channels(node, "in_channels", input);
  need_groups(node);
  FloatShape out{node.out_channels, input.height, input.width, true};
  for (size_t axis = 0; axis < 2; ++axis) {
    int64_t& extent = axis == 0 ? out.height : out.width;
    extent = (extent - 1) * node.stride[axis] + (node.kernel_size[axis] - 1) * node.dilation[axis] +
             1 + node.output_padding[axis] - 2 * node.padding[axis];
    if (extent < 1 || extent > kMaxExtent) {
      fail(node, fmt::format("{} pixels after \"{}\"", extent, node.name),
           fmt::format("1..{}", kMaxExtent));
    }
    if (node.output_padding[axis] >= node.stride[axis]) {
      fail(node, fmt::format("output_padding {} of \"{}\"", node.output_padding[axis], node.name),
           fmt::format("less than stride {}", node.stride[axis]));
    }
  }
  return out;
}

FloatShape concat(const FloatNode& node, std::span<const FloatShape> inputs) {
  FloatShape out = inputs[0];
  out.channels = 0;
  for (const FloatShape& input : inputs) {
    if (input.is_image != out.is_image || input.height != out.height || input.width != out.width) {
      fail(node,
           fmt::format("Concat \"{}\" of {} and {}", node.name, to_string(inputs[0]),
                       to_string(input)),
           "equal height and width");
    }
    out.channels += input.channels;
  }
  return out;
}

FloatShape upsample(const FloatNode& node, const FloatShape& input) {
  need_image(node, input);
  const FloatShape out{input.channels, input.height * node.scale_factor[0],
                       input.width * node.scale_factor[1], true};
  if (out.height > kMaxExtent || out.width > kMaxExtent) {
    fail(node, fmt::format("{} after \"{}\"", to_string(out), node.name),
         fmt::format("at most {} x {} pixels", kMaxExtent, kMaxExtent));
  }
  return out;
}

FloatShape zero_pad(const FloatNode& node, const FloatShape& input) {
  need_image(node, input);
  return {input.channels, input.height + node.pad[2] + node.pad[3],
          input.width + node.pad[0] + node.pad[1], true};
}

FloatShape linear(const FloatNode& node, const FloatShape& input) {
  if (input.is_image) {
    fail(node, fmt::format("Linear \"{}\" gets an image {}", node.name, to_string(input)),
         "features", "put a Flatten before it");
  }
  need_channels(node, "in_features", input);
  return {node.out_channels, 1, 1, false};
}

FloatShape batch_norm2d(const FloatNode& node, const FloatShape& input) {
  need_image(node, input);
  need_channels(node, "num_features", input);
  return input;
}

FloatShape batch_norm1d(const FloatNode& node, const FloatShape& input) {
  if (input.is_image) {
    fail(node, fmt::format("BatchNorm1d \"{}\" gets an image {}", node.name, to_string(input)),
         "features", "use BatchNorm2d");
  }
  need_channels(node, "num_features", input);
  return input;
}

FloatShape add(const FloatNode& node, std::span<const FloatShape> inputs) {
  if (inputs[0] != inputs[1]) {
    fail(node,
         fmt::format("Add \"{}\" of {} and {}", node.name, to_string(inputs[0]),
                     to_string(inputs[1])),
         "equal shapes");
  }
  return inputs[0];
}

FloatShape pool2d(const FloatNode& node, const FloatShape& input) {
  need_image(node, input);
  for (size_t axis = 0; axis < 2; ++axis) {
    if (node.padding[axis] > node.kernel_size[axis] / 2) {
      fail(node, fmt::format("padding {} of \"{}\"", node.padding[axis], node.name),
           fmt::format("at most half of kernel_size {}", node.kernel_size[axis]));
    }
  }
  return window_shape(node, input, input.channels);
}

FloatShape global_pool(const FloatNode& node, const FloatShape& input) {
  need_image(node, input);
  return {input.channels, 1, 1, true};
}

FloatShape flatten(const FloatShape& input) {
  return {input.channels * input.height * input.width, 1, 1, false};
}

FloatShape elementwise(const FloatNode& node, std::span<const FloatShape> inputs) {
  for (const FloatShape& input : inputs) {
    if (input != inputs[0]) {
      fail(node,
           fmt::format("{} \"{}\" of {} and {}", node.op, node.name, to_string(inputs[0]),
                       to_string(input)),
           "equal shapes");
    }
  }
  return inputs[0];
}

}  // namespace

std::string to_string(const FloatShape& shape) {
  if (!shape.is_image) return fmt::format("{} features", shape.channels);
  return fmt::format("{} x {} x {}", shape.channels, shape.height, shape.width);
}

namespace {

FloatShape unchecked_shape_after(const FloatNode& node, std::span<const FloatShape> inputs) {
  const FloatShape& input = inputs[0];
  if (node.op == "Conv2d") return conv2d(node, input);
  if (node.op == "ConvTranspose2d") return conv_transpose2d(node, input);
  if (node.op == "Linear") return linear(node, input);
  if (node.op == "BatchNorm2d") return batch_norm2d(node, input);
  if (node.op == "BatchNorm1d") return batch_norm1d(node, input);
  if (node.op == "Add") return add(node, inputs);
  if (node.op == "Concat") return concat(node, inputs);
  if (node.op == "Upsample") return upsample(node, input);
  if (node.op == "ZeroPad2d") return zero_pad(node, input);
  if (node.op == "MaxPool2d" || node.op == "AvgPool2d") return pool2d(node, input);
  if (node.op == "AdaptiveAvgPool2d") return global_pool(node, input);
  if (node.op == "Flatten") return flatten(input);
  return elementwise(node, inputs);
}

}  // namespace

FloatShape shape_after(const FloatNode& node, std::span<const FloatShape> inputs) {
  const FloatShape out = unchecked_shape_after(node, inputs);
  constexpr double kMostValues = 0x1p40;
  if (static_cast<double>(out.channels) * static_cast<double>(out.height) *
          static_cast<double>(out.width) >
      kMostValues) {
    fail(node, fmt::format("{} after \"{}\"", to_string(out), node.name), "at most 2^40 values");
  }
  return out;
}

}  // namespace facsim::backends
