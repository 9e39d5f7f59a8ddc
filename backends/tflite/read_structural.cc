// SPDX-License-Identifier: Apache-2.0
// Operators that move codes: RESHAPE and its kin, PAD, CONCATENATION, PACK, UNPACK, TRANSPOSE,
// RESIZE_*.
#include <fmt/format.h>

#include <algorithm>

#include "backends/tflite/tflite_layer-internal.h"

namespace facsim::backends::detail {

namespace {

/// The shape of a tensor with 1 in front of all of the file's axes: every image apart where the
/// file holds one.
Shape behind_batch(const TfliteNode& node, const TfliteTensor& t) {
  if (node.graph().batch() != 1) {
    node.unsupported("moves axis 0 of a network of batch " + std::to_string(node.graph().batch()),
                     "batch 1", "images must stay apart");
  }
  std::vector<int64_t> extents = t.shape.extents();
  extents.insert(extents.begin(), 1);
  return Shape(std::move(extents));
}

/// The inputs one behind the other on an axis of the IntGraph.
void concat_on_axis(TfliteNode& node, std::vector<int> inputs, int64_t axis) {
  NodeAttributes attributes;
  attributes.axis = axis;
  node.emit("concat", std::move(inputs), std::move(attributes));
}

/// A concatenation of the IntGraph joins up to 64 tensors.
void require_operands(const TfliteNode& node) {
  constexpr size_t kMost = 64;
  if (node.input_count() > kMost) {
    node.unsupported(fmt::format("{} inputs", node.input_count()), fmt::format("1 to {}", kMost));
  }
  node.require_counts(1, kMost);
}

/// Input i as a computed operand of a concatenation.
int computed_operand(TfliteNode& node, size_t i) {
  const int number = node.operand(i);
  if (node.graph().int_tensor(number).data) {
    node.unsupported(fmt::format("input {} that is constant", i), "computed inputs");
  }
  return number;
}

}  // namespace

/// RESHAPE, SQUEEZE, EXPAND_DIMS: whatever says the shape (an input, the options), the output
/// tensor has it.
void read_tflite_reshape(TfliteNode& node) {
  node.require_counts(1, 2);
  const Shape shape = node.graph().batched(node.output()).shape;
  NodeAttributes attributes;
  attributes.extents.assign(shape.begin() + 1, shape.end());
  node.emit("reshape", {node.operand(0)}, std::move(attributes));
}

/// PAD, and PADV2 with a code of its own.
void read_tflite_pad(TfliteNode& node) {
  node.require_counts(2, 3);
  const int input = node.operand(0);
  const Shape& file = node.input(0).shape;
  const std::vector<int64_t> paddings = node.integers(1, "paddings");
  if (static_cast<int>(paddings.size()) != 2 * file.rank()) {
    node.fail(fmt::format("{} paddings", paddings.size()),
              fmt::format("two for each axis of {}", to_string(file)), ErrorCode::shape_mismatch);
  }
  NodeAttributes attributes;
  if (node.has_input(2)) {
    const std::vector<int64_t> values = node.integers(2, "values");
    if (values.size() != 1) node.fail(fmt::format("{} values", values.size()), "one");
    const IntTensor& x = node.graph().int_tensor(input);
    if (!x.qparams || values[0] != x.qparams->zero_point.front()) attributes.pad_value = values[0];
  }
  const int shift = node.graph().batched(node.input(0)).shift;
  attributes.pad_before.assign(static_cast<size_t>(shift), 0);
  attributes.pad_after.assign(static_cast<size_t>(shift), 0);
  for (size_t axis = 0; axis < paddings.size() / 2; ++axis) {
    const int64_t before = paddings[2 * axis], after = paddings[2 * axis + 1];
    if (before != 0 || after != 0) node.inner_axis(node.input(0), static_cast<int64_t>(axis));
    attributes.pad_before.push_back(before);
    attributes.pad_after.push_back(after);
  }
  node.emit("pad", {input}, std::move(attributes));
}

void read_tflite_concatenation(TfliteNode& node) {
  require_operands(node);
  const auto& options = node.options<tflite::ConcatenationOptions>();
  if (options.fused_activation_function() != tflite::ActivationFunctionType::NONE) {
    node.unsupported("a fused activation", "NONE");
  }
  const int64_t axis = node.inner_axis(node.output(), options.axis());
  const bool is_shifted = node.graph().batched(node.output()).shift == 1;
  std::vector<int> inputs;
  for (size_t i = 0; i < node.input_count(); ++i) {
    const int number = computed_operand(node, i);
    const bool is_own_shifted = node.graph().batched(node.input(i)).shift == 1;
    inputs.push_back(is_shifted && !is_own_shifted
                         ? node.reshaped(number, behind_batch(node, node.input(i)))
                         : number);
  }
  concat_on_axis(node, std::move(inputs), axis);
}

/// Every input gets an axis of 1, on which they are concatenated.
void read_tflite_pack(TfliteNode& node) {
  require_operands(node);
  const TfliteTensor& output = node.output();
  int64_t axis = node.options<tflite::PackOptions>().axis();
  if (axis < -output.shape.rank() || axis >= output.shape.rank()) {
    node.fail(fmt::format("axis {}", axis), "an axis of " + to_string(output.shape));
  }
  if (axis < 0) axis += output.shape.rank();
  const TfliteGraph::Batched batched = node.graph().batched(output);
  if (axis == 0 && node.graph().batch() != 1) behind_batch(node, output);
  Shape one = batched.shape;
  one[static_cast<int>(axis) + batched.shift] = 1;
  std::vector<int> inputs;
  for (size_t i = 0; i < node.input_count(); ++i) {
    const int number = computed_operand(node, i);
    if (node.graph().int_tensor(number).shape.numel() != one.numel()) {
      node.fail(fmt::format("input {} of shape {}", i, to_string(node.input(i).shape)),
                fmt::format("{} without axis {}", to_string(output.shape), axis),
                ErrorCode::shape_mismatch);
    }
    inputs.push_back(node.reshaped(number, one));
  }
  if (axis + batched.shift == 0)
    return node.emit("reshape", inputs, [&] {
      NodeAttributes attributes;
      attributes.extents.assign(batched.shape.begin() + 1, batched.shape.end());
      return attributes;
    }());
  concat_on_axis(node, std::move(inputs), axis + batched.shift);
}

void read_tflite_transpose(TfliteNode& node) {
  node.require_counts(2, 2);
  const TfliteTensor& input = node.input(0);
  int number = node.operand(0);
  const std::vector<int64_t> order = node.integers(1, "axes");
  const int rank = input.shape.rank();
  if (static_cast<int>(order.size()) != rank) {
    node.fail(fmt::format("{} axes", order.size()), fmt::format("{} of them", rank),
              ErrorCode::shape_mismatch);
  }
  NodeAttributes attributes;
  attributes.permutation = order;
  const bool moves_first = !order.empty() && order[0] != 0;
  const bool is_shifted = node.graph().batched(input).shift == 1;
  if (moves_first || is_shifted) {
    if (moves_first || !is_shifted) number = node.reshaped(number, behind_batch(node, input));
    attributes.permutation.insert(attributes.permutation.begin(), 0);
    for (size_t i = 1; i < attributes.permutation.size(); ++i) ++attributes.permutation[i];
  }
  node.emit("transpose", {number}, std::move(attributes));
}

/// RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR.
void read_tflite_resize(TfliteNode& node) {
  node.require_counts(2, 2);
  const int input = node.operand(0);
  const std::vector<int64_t> size = node.integers(1, "sizes");
  constexpr int64_t kMost = 65536;
  if (size.size() != 2 ||
      std::any_of(size.begin(), size.end(), [](int64_t s) { return s < 1 || s > kMost; })) {
    node.fail("a size that is not height and width", fmt::format("two of 1..{}", kMost));
  }
  NodeAttributes attributes;
  ResizeAttributes& resize = attributes.resize;
  resize.size = {size[0], size[1]};
  const auto take = [&](const auto* options) {
    if (options == nullptr) return;
    resize.align_corners = options->align_corners();
    resize.half_pixel_centers = options->half_pixel_centers();
  };
  if (node.op().code == tflite::BuiltinOperator::RESIZE_BILINEAR) {
    resize.mode = ResizeAttributes::Mode::bilinear;
    take(node.find_options<tflite::ResizeBilinearOptions>());
  } else {
    take(node.find_options<tflite::ResizeNearestNeighborOptions>());
  }
  node.emit("resize", {input}, std::move(attributes));
}

}  // namespace facsim::backends::detail
