// SPDX-License-Identifier: Apache-2.0
// Ops that put codes into another order or shape and do not change them, and MaxPool, which keeps
// their scale.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "backends/graph/permute.h"
#include "backends/onnx/onnx_check-internal.h"
#include "backends/onnx/onnx_resize-internal.h"
#include "backends/onnx/quantized-internal.h"

namespace facsim::backends::detail {

namespace {

using Integers = std::vector<int64_t>;

constexpr int64_t kLargestWindow = 65536;
constexpr int kLargestRank = 8;  ///< of what transpose takes

/// Axis 0..rank - 1 of one that may count from the end.
int axis_of(const OnnxNode& node, int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    QuantizedBuilder::fail(node, "axis " + std::to_string(axis),
                           std::to_string(-rank) + ".." + std::to_string(rank - 1));
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Integers sorted_axes(const OnnxNode& node, const Integers& axes, int rank) {
  Integers out;
  for (const int64_t axis : axes) out.push_back(axis_of(node, axis, rank));
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end()) {
    QuantizedBuilder::fail(node, "an axis twice", "each once");
  }
  return out;
}

/// An input of integers that older opsets have as an attribute.
std::optional<Integers> input_or_attribute(const QuantizedBuilder& builder, const OnnxNode& node,
                                           size_t input, std::string_view attribute) {
  if (find_attribute(node, attribute) == nullptr) return builder.integers(node, input);
  Integers out = integers_attribute(node, attribute, {});
  check_list_length(node, attribute, static_cast<int64_t>(out.size()));
  return out;
}

void need_batch(const OnnxNode& node, const Shape& shape) {
  if (shape.rank() < 1 || shape[0] != 1) {
    QuantizedBuilder::refuse(node, "an output of shape " + to_string(shape), "the batch on axis 0");
  }
}

Shape flattened(const OnnxNode& node, const Shape& x) {
  const int64_t axis = integer_attribute(node, "axis", 1);
  const int at = axis == x.rank() ? x.rank() : axis_of(node, axis, x.rank());
  int64_t before = 1, after = 1;
  for (int i = 0; i < x.rank(); ++i) (i < at ? before : after) *= x[i];
  const Shape out{before, after};
  need_batch(node, out);
  return out;
}

Shape reshaped_to(const QuantizedBuilder& builder, const OnnxNode& node, const Shape& x) {
  const std::optional<Integers> given = input_or_attribute(builder, node, 1, "shape");
  if (!given) QuantizedBuilder::fail(node, "no shape", "", ErrorCode::missing_key);
  Integers target = *given;
  if (target.empty()) QuantizedBuilder::refuse(node, "a scalar", "the batch on axis 0");
  const bool keeps_zeros = integer_attribute(node, "allowzero", 0) != 0;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] < -1 || (target[i] == 0 && keeps_zeros)) {
      QuantizedBuilder::fail(node, "extent " + std::to_string(target[i]), "-1 or more");
    }
    if (target[i] != 0) continue;
    if (static_cast<int>(i) >= x.rank()) {
      QuantizedBuilder::fail(node, "extent 0 of axis " + std::to_string(i),
                             "an axis that the input has");
    }
    target[i] = x[static_cast<int>(i)];
  }
  // Axis 0 is the batch: written as 1, as what the file fixes, or left open.
  if (std::count(target.begin(), target.end(), -1) > 1) {
    QuantizedBuilder::fail(node, "-1 twice", "once");
  }
  if (target[0] == -1 || target[0] == builder.file_batch()) target[0] = 1;
  int64_t known = 1;
  for (const int64_t extent : target) {
    if (extent == -1) continue;
    known = extent > x.numel() / known ? x.numel() + 1 : known * extent;
  }
  for (int64_t& extent : target) {
    if (extent != -1) continue;
    extent = x.numel() / known;
    known *= extent;
  }
  if (known != x.numel()) {
    QuantizedBuilder::fail(node, "reshape of " + to_string(x) + " to " + to_string(Shape(*given)),
                           "the same number of elements a sample", ErrorCode::shape_mismatch);
  }
  const Shape out(std::move(target));
  need_batch(node, out);
  return out;
}

Shape squeezed(const QuantizedBuilder& builder, const OnnxNode& node, const Shape& x) {
  const std::optional<Integers> given = input_or_attribute(builder, node, 1, "axes");
  Integers axes;
  if (given) {
    axes = sorted_axes(node, *given, x.rank());
  } else {
    for (int i = 1; i < x.rank(); ++i) {
      if (x[i] == 1) axes.push_back(i);
    }
  }
  Integers out;
  for (int i = 0; i < x.rank(); ++i) {
    if (!std::binary_search(axes.begin(), axes.end(), i)) {
      out.push_back(x[i]);
    } else if (x[i] != 1) {
      QuantizedBuilder::fail(node, "axis " + std::to_string(i) + " of " + to_string(x), "extent 1",
                             ErrorCode::shape_mismatch);
    } else if (i == 0) {
      QuantizedBuilder::refuse(node, "an output without the batch", "axis 0 left alone");
    }
  }
  return Shape(std::move(out));
}

Shape unsqueezed(const QuantizedBuilder& builder, const OnnxNode& node, const Shape& x) {
  const std::optional<Integers> given = input_or_attribute(builder, node, 1, "axes");
  if (!given) QuantizedBuilder::fail(node, "no axes", "", ErrorCode::missing_key);
  if (given->size() > 8) QuantizedBuilder::refuse(node, "more than 8 axes");
  const Integers axes = sorted_axes(node, *given, x.rank() + static_cast<int>(given->size()));
  Integers out = x.extents();
  for (const int64_t axis : axes) out.insert(out.begin() + axis, 1);
  if (!axes.empty() && axes.front() == 0) {
    QuantizedBuilder::refuse(node, "a new axis 0", "the batch on axis 0");
  }
  return Shape(std::move(out));
}

std::vector<int> permutation_of(const OnnxNode& node, int rank) {
  Integers given(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) given[static_cast<size_t>(i)] = rank - 1 - i;
  given = integers_attribute(node, "perm", given);
  std::vector<int> out(given.begin(), given.end());
  Integers sorted = given;
  std::sort(sorted.begin(), sorted.end());
  bool fits = static_cast<int>(sorted.size()) == rank;
  for (size_t i = 0; i < sorted.size(); ++i) fits &= sorted[i] == static_cast<int64_t>(i);
  if (!fits) {
    QuantizedBuilder::fail(node, "perm of " + std::to_string(given.size()) + " axes",
                           "a permutation of " + std::to_string(rank));
  }
  return out;
}

int emit_transpose(QuantizedBuilder& builder, const OnnxNode& node, int x,
                   const std::string& output) {
  const int rank = builder.tensor(x).shape.rank();
  const std::vector<int> perm = permutation_of(node, rank);
  if (perm[0] != 0)
    QuantizedBuilder::refuse(node, "a permutation that moves the batch", "axis 0 first");
  NodeAttributes attributes;
  attributes.permutation.resize(static_cast<size_t>(rank));
  for (int axis = 0; axis < rank; ++axis) {
    attributes.permutation[static_cast<size_t>(QuantizedBuilder::inner_axis(axis, rank))] =
        QuantizedBuilder::inner_axis(perm[static_cast<size_t>(axis)], rank);
  }
  return builder.add_move(node, "transpose", x, std::move(attributes), output);
}

/// begin, end and step of each axis, as ONNX cuts them.
struct OnnxSlice {
  Integers begin, end, step;
};

OnnxSlice slice_of(const QuantizedBuilder& builder, const OnnxNode& node, const Shape& x) {
  OnnxSlice out;
  for (const int64_t extent : x) {
    out.begin.push_back(0);
    out.end.push_back(extent);
    out.step.push_back(1);
  }
  const auto starts = input_or_attribute(builder, node, 1, "starts");
  const auto ends = input_or_attribute(builder, node, 2, "ends");
  if (!starts || !ends || starts->size() != ends->size()) {
    QuantizedBuilder::fail(node, "starts and ends", "as many of both");
  }
  Integers axes(starts->size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  if (const auto given = input_or_attribute(builder, node, 3, "axes")) axes = *given;
  Integers steps(starts->size(), 1);
  if (const auto given = builder.integers(node, 4)) steps = *given;
  if (axes.size() != starts->size() || steps.size() != starts->size()) {
    QuantizedBuilder::fail(node, "axes or steps", "as many as starts");
  }
  sorted_axes(node, axes, x.rank());
  for (size_t i = 0; i < axes.size(); ++i) {
    const int axis = axis_of(node, axes[i], x.rank());
    const auto at = static_cast<size_t>(axis);
    if (steps[i] < 1) QuantizedBuilder::refuse(node, "step " + std::to_string(steps[i]), ">= 1");
    const auto cut = [&](int64_t index) {
      const int64_t from_start = index < 0 ? std::max<int64_t>(index, -x[axis]) + x[axis] : index;
      return std::clamp<int64_t>(from_start, 0, x[axis]);
    };
    out.begin[at] = cut((*starts)[i]);
    out.end[at] = cut((*ends)[i]);
    out.step[at] = steps[i];
    if (axis == 0 && (out.begin[0] != 0 || out.end[0] != 1)) {
      QuantizedBuilder::refuse(node, "a cut through the batch", "axis 0 whole");
    }
    if (out.begin[at] >= out.end[at]) QuantizedBuilder::fail(node, "an empty result", "elements");
  }
  return out;
}

int emit_slice(QuantizedBuilder& builder, const OnnxNode& node, int x, const OnnxSlice& slice,
               const std::string& output) {
  const int rank = builder.tensor(x).shape.rank();
  NodeAttributes attributes;
  const auto inner = [&](const Integers& list) {
    Integers out(list.size());
    for (int axis = 0; axis < rank; ++axis) {
      out[static_cast<size_t>(QuantizedBuilder::inner_axis(axis, rank))] =
          list[static_cast<size_t>(axis)];
    }
    return out;
  };
  attributes.begin = inner(slice.begin);
  attributes.end = inner(slice.end);
  attributes.strides = inner(slice.step);
  return builder.add_move(node, "slice", x, std::move(attributes), output);
}

int emit_pad(QuantizedBuilder& builder, const OnnxNode& node, int x, const std::string& output) {
  const Shape shape = builder.onnx_shape(x);
  const int rank = shape.rank();
  if (const std::string mode = string_attribute(node, "mode", "constant"); mode != "constant") {
    QuantizedBuilder::refuse(node, "mode " + mode, "constant");
  }
  if (QuantizedBuilder::has_input(node, 3)) QuantizedBuilder::refuse(node, "input axes", "none");
  const Integers pads = pads_of(builder, node, rank);
  // The value: codes for an input of codes, reals for one of reals. Only real 0 is a move.
  bool is_zero = real_attribute(node, "value", 0) == 0;
  const auto is_zero_point = [&](int64_t code) { return builder.expect_zero_point(node, x, code); };
  if (QuantizedBuilder::has_input(node, 2)) {
    const OnnxTensor& value = builder.constant(node, 2);
    if (value.values.numel() != 1) QuantizedBuilder::fail(node, "constant_value", "one value");
    if (value.values.dtype() == DType::float32) {
      is_zero = value.values.data<float>()[0] == 0;
    } else {
      is_zero = is_zero_point(value.values.int_at(0));
    }
  } else if (!std::holds_alternative<Dequantized>(builder.value(node, 0)) &&
             !std::holds_alternative<Pending>(builder.value(node, 0))) {
    is_zero = is_zero_point(0);  // codes padded with code 0
  }
  if (!is_zero) QuantizedBuilder::refuse_padding(node);
  NodeAttributes attributes;
  attributes.pad_before.resize(static_cast<size_t>(rank));
  attributes.pad_after.resize(static_cast<size_t>(rank));
  for (int axis = 0; axis < rank; ++axis) {
    const auto at = static_cast<size_t>(QuantizedBuilder::inner_axis(axis, rank));
    attributes.pad_before[at] = pads[static_cast<size_t>(axis)];
    attributes.pad_after[at] = pads[static_cast<size_t>(axis + rank)];
  }
  return builder.add_move(node, "pad", x, std::move(attributes), output);
}

int emit_max_pool(QuantizedBuilder& builder, const OnnxNode& node, int x,
                  const std::string& output) {
  const Shape shape = builder.onnx_shape(x);
  if (node.outputs.size() > 1 && !node.outputs[1].empty()) {
    QuantizedBuilder::refuse(node, "output Indices", "values only");
  }
  if (builder.pad_before(node) != nullptr) {
    QuantizedBuilder::refuse(node,
                             "Pad in front: ONNX Runtime pads with the lowest value instead of 0",
                             "pads of MaxPool itself");
  }
  NodeAttributes attributes;
  attributes.window = window_of(node, shape, kernel_of(node), WindowAxes::both);
  return builder.add_move(node, "max_pool2d", x, std::move(attributes), output);
}

/// Source index of each output index along one axis by ONNX's formulas for nearest, in float32 as
/// ONNX Runtime's upsample_base.h computes them.
std::vector<int64_t> nearest_sources(const OnnxResize& resize, int64_t in, int64_t out,
                                     float scale) {
  const std::string& transform = resize.coordinates;
  const std::string& mode = resize.rounding;
  std::vector<int64_t> sources;
  for (int64_t i = 0; i < out; ++i) {
    const auto position = static_cast<float>(i);
    float x = 0;
    if (transform == "asymmetric") {
      x = position / scale;
    } else if (transform == "half_pixel" || (transform == "pytorch_half_pixel" && out > 1)) {
      x = (position + 0.5f) / scale - 0.5f;
    } else if (transform == "align_corners") {
      x = out == 1 ? 0 : position * static_cast<float>(in - 1) / static_cast<float>(out - 1);
    } else if (transform == "tf_half_pixel_for_nn") {
      x = (position + 0.5f) / scale;
    }  // pytorch_half_pixel of one pixel: 0
    float index = 0;
    if (mode == "floor") {
      index = std::floor(x);
    } else if (mode == "ceil") {
      index = std::ceil(x);
    } else if (mode == "round_prefer_floor") {
      index = x == std::floor(x) + 0.5f ? std::floor(x) : std::round(x);
    } else {  // round_prefer_ceil
      index = std::floor(x + 0.5f);
    }
    sources.push_back(std::clamp<int64_t>(static_cast<int64_t>(index), 0, in - 1));
  }
  return sources;
}

/// The same by the rules of our `resize` (sim/ops/resize.h).
std::vector<int64_t> resize_sources(int64_t in, int64_t out, bool align_corners,
                                    bool half_pixel_centers) {
  const float scale = align_corners && out > 1
                          ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
                          : static_cast<float>(in) / static_cast<float>(out);
  std::vector<int64_t> sources;
  for (int64_t i = 0; i < out; ++i) {
    const float x = (static_cast<float>(i) + (half_pixel_centers ? 0.5f : 0.0f)) * scale;
    const float index = align_corners ? std::round(x) : std::floor(x);
    sources.push_back(std::clamp<int64_t>(static_cast<int64_t>(index), 0, in - 1));
  }
  return sources;
}

int emit_resize(QuantizedBuilder& builder, const OnnxNode& node, int x, const std::string& output) {
  const Shape shape = builder.onnx_shape(x);
  if (shape.rank() != 4)
    QuantizedBuilder::refuse(node, "rank " + std::to_string(shape.rank()), "4");
  if (builder.opset() < 11) QuantizedBuilder::refuse(node, "opset below 11");
  const OnnxResize resize = onnx_resize_of(node, builder.opset());
  if (resize.mode != "nearest") {
    QuantizedBuilder::refuse(node, "mode " + resize.mode + " (float in ONNX Runtime)", "nearest");
  }
  const size_t first = resize.of_image_axes ? 2 : 0;  // axis that scales and sizes begin with
  const std::string count = std::to_string(4 - first);
  const auto sizes = builder.integers(node, 3);
  std::array<int64_t, 4> out{1, shape[1], 0, 0};
  std::array<float, 4> scale{1, 1, 0, 0};
  if (sizes) {
    if (sizes->size() != 4 - first) QuantizedBuilder::fail(node, "sizes", count + " of them");
    for (size_t i = first; i < 4; ++i) {
      out[i] = i == 0 ? 1 : (*sizes)[i - first];
      scale[i] = static_cast<float>(out[i]) / static_cast<float>(shape[static_cast<int>(i)]);
    }
  } else {
    const OnnxTensor& scales = builder.constant(node, 2);
    if (scales.values.numel() != static_cast<int64_t>(4 - first) ||
        scales.values.dtype() != DType::float32) {
      QuantizedBuilder::fail(node, "scales", count + " reals");
    }
    for (size_t i = first; i < 4; ++i) {
      scale[i] = scales.values.data<float>()[i - first];
      const float extent = std::floor(static_cast<float>(shape[static_cast<int>(i)]) * scale[i]);
      if (!(extent >= 1 && extent <= static_cast<float>(kMostResizedPixels))) {
        QuantizedBuilder::fail(node, "scales", "outputs of 1..65536 on each axis");
      }
      out[i] = static_cast<int64_t>(extent);
    }
  }
  if (out[0] != 1 || out[1] != shape[1]) {
    QuantizedBuilder::refuse(node, "a resize of batch or channels", "height and width only");
  }
  for (size_t i = 2; i < 4; ++i) {
    if (out[i] < 1 || out[i] > kMostResizedPixels) {
      QuantizedBuilder::fail(node, "output extent " + std::to_string(out[i]), "1..65536");
    }
  }
  builder.spend(node, static_cast<uint64_t>(out[2] + out[3]) * 8 * sizeof(int64_t));
  NodeAttributes attributes;
  attributes.resize.size = {out[2], out[3]};
  for (const auto& [corners, centers] : {std::pair{false, false}, std::pair{false, true},
                                         std::pair{true, false}, std::pair{true, true}}) {
    bool same = true;
    for (int axis = 2; same && axis < 4; ++axis) {
      const auto at = static_cast<size_t>(axis);
      same = nearest_sources(resize, shape[axis], out[at], scale[at]) ==
             resize_sources(shape[axis], out[at], corners, centers);
    }
    if (!same) continue;
    attributes.resize.align_corners = corners;
    attributes.resize.half_pixel_centers = centers;
    return builder.add_move(node, "resize", x, std::move(attributes), output);
  }
  QuantizedBuilder::refuse(node, "sources of this nearest resize",
                           "those of a resize with or without align_corners, half_pixel_centers");
}

constexpr std::array<std::string_view, 5> kTransparent{"Reshape", "Transpose", "Squeeze",
                                                       "Unsqueeze", "Slice"};
constexpr std::array<std::string_view, 4> kOtherMoves{"Flatten", "Pad", "MaxPool", "Resize"};

bool is_one_of(const OnnxNode& node, std::span<const std::string_view> ops) {
  return node.domain.empty() && std::find(ops.begin(), ops.end(), node.op_type) != ops.end();
}

}  // namespace

bool is_transparent(const OnnxNode& node, int64_t opset) {
  constexpr int64_t kMaxPoolOfCodes = 12;
  return is_one_of(node, kTransparent) ||
         (node.domain.empty() && node.op_type == "MaxPool" && opset >= kMaxPoolOfCodes);
}

bool is_move(const OnnxNode& node) {
  return is_one_of(node, kTransparent) || is_one_of(node, kOtherMoves);
}

int emit_split(QuantizedBuilder& builder, const OnnxNode& node, int x, size_t part,
               const std::string& output) {
  const Shape shape = builder.onnx_shape(x);
  const int axis = axis_of(node, integer_attribute(node, "axis", 0), shape.rank());
  const auto at = static_cast<size_t>(axis);
  const auto parts = static_cast<int64_t>(node.outputs.size());
  constexpr int64_t kMostParts = 1024;
  if (parts > kMostParts) QuantizedBuilder::refuse(node, "more than 1024 parts");
  Integers sizes;
  if (const auto given = input_or_attribute(builder, node, 1, "split")) {
    sizes = *given;
  } else {
    // Equal parts, the last one smaller if need be.
    const int64_t each = (shape[axis] + parts - 1) / parts;
    sizes.assign(node.outputs.size(), each);
    sizes.back() = shape[axis] - each * (parts - 1);
  }
  int64_t sum = 0;
  for (const int64_t size : sizes) {
    if (size < 1 || size > shape[axis] - sum) {
      QuantizedBuilder::fail(node, "part of " + std::to_string(size),
                             "parts of " + std::to_string(shape[axis]));
    }
    sum += size;
  }
  if (static_cast<int64_t>(sizes.size()) != parts || sum != shape[axis] || axis == 0) {
    QuantizedBuilder::fail(node, "a split on axis " + std::to_string(axis),
                           "sizes that add up, on another axis than the batch",
                           axis == 0 ? ErrorCode::unsupported : ErrorCode::bad_value);
  }
  OnnxSlice slice;
  for (const int64_t extent : shape) {
    slice.begin.push_back(0);
    slice.end.push_back(extent);
    slice.step.push_back(1);
  }
  for (size_t i = 0; i < part; ++i) slice.begin[at] += sizes[i];
  slice.end[at] = slice.begin[at] + sizes[part];
  return emit_slice(builder, node, x, slice, output);
}

std::vector<int64_t> pads_of(const QuantizedBuilder& builder, const OnnxNode& node, int rank) {
  const auto pads = input_or_attribute(builder, node, 1, "pads");
  if (!pads || static_cast<int>(pads->size()) != 2 * rank) {
    QuantizedBuilder::fail(node, "pads", std::to_string(2 * rank) + " of them");
  }
  return *pads;
}

std::array<int64_t, 2> kernel_of(const OnnxNode& node) {
  const Integers kernel = integers_attribute(node, "kernel_shape", {});
  if (kernel.size() != 2) {
    QuantizedBuilder::refuse(node, "a kernel_shape of " + std::to_string(kernel.size()) + " axes",
                             "2");
  }
  return {kernel[0], kernel[1]};
}

sim::Window2d window_of(const OnnxNode& node, const Shape& x, std::array<int64_t, 2> kernel,
                        WindowAxes axes) {
  if (x.rank() != 4) {
    QuantizedBuilder::refuse(node, "an input of shape " + to_string(x), "(N, C, H, W)");
  }
  // One entry for each axis, or two for pads; of one axis only, those of the width.
  const auto list = [&](std::string_view name, const Integers& fallback, int64_t least) {
    const size_t count = axes == WindowAxes::width ? fallback.size() / 2 : fallback.size();
    Integers values = integers_attribute(
        node, name, Integers(fallback.begin(), fallback.begin() + static_cast<int64_t>(count)));
    if (values.size() != count) {
      QuantizedBuilder::fail(node, std::to_string(values.size()) + " " + std::string(name),
                             std::to_string(count), ErrorCode::shape_mismatch);
    }
    if (axes == WindowAxes::width) {
      for (size_t i = 0; i < count; ++i) {
        values.insert(values.begin() + static_cast<int64_t>(2 * i), fallback[0]);
      }
    }
    for (const int64_t value : values) {
      if (value < least || value > kLargestWindow) {
        QuantizedBuilder::fail(node, std::string(name) + " " + std::to_string(value),
                               std::to_string(least) + "..65536");
      }
    }
    return values;
  };
  sim::Window2d window;
  for (const int64_t extent : kernel) {
    if (extent < 1 || extent > kLargestWindow) {
      QuantizedBuilder::fail(node, "kernel_shape " + std::to_string(extent), "1..65536");
    }
  }
  window.kernel = kernel;
  const Integers strides = list("strides", {1, 1}, 1);
  const Integers dilations = list("dilations", {1, 1}, 1);
  window.stride = {strides[0], strides[1]};
  window.dilation = {dilations[0], dilations[1]};
  const std::string auto_pad = string_attribute(node, "auto_pad", "NOTSET");
  if (auto_pad == "NOTSET") {
    const Integers pads = list("pads", {0, 0, 0, 0}, 0);
    window.padding = {pads[0], pads[1], pads[2], pads[3]};
  } else if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    window.padding = sim::resolve_padding(
        auto_pad == "SAME_UPPER" ? sim::PaddingKind::same : sim::PaddingKind::same_lower, window,
        x[2], x[3]);
  } else if (auto_pad != "VALID") {
    QuantizedBuilder::fail(node, "auto_pad " + auto_pad, "NOTSET, SAME_UPPER, SAME_LOWER or VALID");
  }
  if (integer_attribute(node, "ceil_mode", 0) != 0) {
    const auto& p = window.padding;
    const std::array<int64_t, 2> room{x[2] + p.top + p.bottom, x[3] + p.left + p.right};
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t span = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
      if ((room[axis] - span) % window.stride[axis] != 0) {
        QuantizedBuilder::refuse(node, "ceil_mode with a window that reaches past the padding",
                                 "windows that end with it");
      }
    }
  }
  return window;
}

int emit_reshape(QuantizedBuilder& builder, const OnnxNode& node, int x, const Shape& shape,
                 const std::string& output) {
  if (shape.rank() > kLargestRank) {
    QuantizedBuilder::refuse(node, "rank " + std::to_string(shape.rank()),
                             "at most " + std::to_string(kLargestRank));
  }
  const Shape& inner = builder.tensor(x).shape;
  // Inside, rank 4 is NHWC; the file's order of elements is that of NCHW.
  const bool reorders = inner.rank() == 4 && inner[3] != 1 && inner[1] * inner[2] != 1;
  const bool reorders_back = shape.rank() == 4 && shape[1] != 1 && shape[2] * shape[3] != 1;
  NodeAttributes flat;
  flat.order = sim::ReshapeParams::Order::nchw;
  NodeAttributes view;
  if (!reorders_back) {
    const Shape target = QuantizedBuilder::inner_shape(shape);
    view.extents.assign(target.begin() + 1, target.end());
    if (reorders && target.rank() == 2) return builder.add_move(node, "flatten", x, flat, output);
    if (reorders) x = builder.add_move(node, "flatten", x, flat, output + "/flat");
    return builder.add_move(node, "reshape", x, std::move(view), output);
  }
  if (reorders) x = builder.add_move(node, "flatten", x, flat, output + "/flat");
  view.extents.assign(shape.begin() + 1, shape.end());
  x = builder.add_move(node, "reshape", x, std::move(view), output + "/nchw");
  NodeAttributes last;
  last.permutation.assign(kNchwToNhwc.begin(), kNchwToNhwc.end());
  return builder.add_move(node, "transpose", x, std::move(last), output);
}

int emit_move(QuantizedBuilder& builder, const OnnxNode& node, int x, const std::string& output) {
  const Shape shape = builder.onnx_shape(x);
  const std::string& op = node.op_type;
  if (op == "Flatten") return emit_reshape(builder, node, x, flattened(node, shape), output);
  if (op == "Reshape") {
    return emit_reshape(builder, node, x, reshaped_to(builder, node, shape), output);
  }
  if (op == "Squeeze") {
    return emit_reshape(builder, node, x, squeezed(builder, node, shape), output);
  }
  if (op == "Unsqueeze") {
    return emit_reshape(builder, node, x, unsqueezed(builder, node, shape), output);
  }
  if (op == "Transpose") return emit_transpose(builder, node, x, output);
  if (op == "Slice") {
    return emit_slice(builder, node, x, slice_of(builder, node, shape), output);
  }
  if (op == "Pad") return emit_pad(builder, node, x, output);
  if (op == "MaxPool") return emit_max_pool(builder, node, x, output);
  return emit_resize(builder, node, x, output);
}

std::optional<OnnxTensor> moved_constant(QuantizedBuilder& builder, const OnnxNode& node,
                                         const OnnxTensor& tensor) {
  OnnxTensor out = tensor;
  if (!node.outputs.empty()) out.name = node.outputs.front();
  if (node.op_type == "Transpose") {
    builder.spend(node, tensor.values.bytes());
    out.values = permuted(tensor.values, permutation_of(node, tensor.values.shape().rank()));
    return out;
  }
  if (node.op_type != "Reshape") return {};
  std::optional<Integers> shape = input_or_attribute(builder, node, 1, "shape");
  if (!shape) return {};
  int64_t known = 1, open = -1;
  for (size_t i = 0; i < shape->size(); ++i) {
    int64_t& extent = (*shape)[i];
    if (extent == 0 && static_cast<int>(i) < tensor.values.shape().rank()) {
      extent = tensor.values.shape()[static_cast<int>(i)];
    }
    if (extent == -1 && open < 0) {
      open = static_cast<int64_t>(i);
    } else if (extent < 1 || extent > tensor.values.numel() / known) {
      return {};
    } else {
      known *= extent;
    }
  }
  if (open >= 0) {
    (*shape)[static_cast<size_t>(open)] = tensor.values.numel() / known;
    known *= tensor.values.numel() / known;
  }
  if (known != tensor.values.numel()) return {};
  out.values = tensor.values.reshaped(Shape(*shape));
  return out;
}

}  // namespace facsim::backends::detail
