// SPDX-License-Identifier: Apache-2.0
// Operators that cut: SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, UNPACK.
#include <fmt/format.h>

#include <algorithm>

#include "backends/tflite/tflite_slices-internal.h"

namespace facsim::backends::detail {

namespace {

std::vector<TfliteCut> uncut(const Shape& shape) {
  std::vector<TfliteCut> cuts;
  for (const int64_t extent : shape) cuts.push_back({0, extent, 1});
  return cuts;
}

/// Output `output` of the operator is input number `input`, whose file tensor is `t`, cut.
void emit_cut(TfliteNode& node, const TfliteTensor& t, int input,
              const std::vector<TfliteCut>& cuts, size_t output) {
  const TfliteGraph::Batched batched = node.graph().batched(t);
  NodeAttributes attributes;
  for (int axis = 0; axis < batched.shape.rank(); ++axis) {
    attributes.begin.push_back(0);
    attributes.end.push_back(batched.shape[axis]);
    attributes.strides.push_back(1);
  }
  for (int axis = 0; axis < t.shape.rank(); ++axis) {
    const TfliteCut& cut = cuts[static_cast<size_t>(axis)];
    if (cut.begin == 0 && cut.end == t.shape[axis] && cut.stride == 1) continue;
    if (cut.begin < 0 || cut.end > t.shape[axis] || cut.begin >= cut.end || cut.stride < 1) {
      node.unsupported(fmt::format("{}:{}:{} of axis {} of {}", cut.begin, cut.end, cut.stride,
                                   axis, to_string(t.shape)),
                       "one index or more, forwards");
    }
    const auto inner = static_cast<size_t>(node.inner_axis(t, axis));
    attributes.begin[inner] = cut.begin;
    attributes.end[inner] = cut.end;
    attributes.strides[inner] = cut.stride;
  }
  node.emit("slice", {input}, std::move(attributes), output);
}

/// Outputs one behind the other on `axis`, of these extents.
void emit_pieces(TfliteNode& node, size_t input, int64_t axis,
                 const std::vector<int64_t>& extents) {
  const TfliteTensor& t = node.input(input);
  const int number = node.operand(input);
  if (axis < -t.shape.rank() || axis >= t.shape.rank()) {
    node.fail(fmt::format("axis {}", axis), "an axis of " + to_string(t.shape));
  }
  if (axis < 0) axis += t.shape.rank();
  if (node.output_count() != extents.size()) {
    node.fail(fmt::format("{} outputs", node.output_count()), std::to_string(extents.size()));
  }
  const int64_t extent = t.shape[static_cast<int>(axis)];
  int64_t begin = 0;
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] < 0 || extents[i] > extent - begin) {
      node.fail(fmt::format("piece {} of {} at {}", i, extents[i], begin),
                fmt::format("inside the extent {}", extent), ErrorCode::shape_mismatch);
    }
    std::vector<TfliteCut> cuts = uncut(t.shape);
    cuts[static_cast<size_t>(axis)] = {begin, begin + extents[i], 1};
    begin += extents[i];
    emit_cut(node, t, number, cuts, i);
  }
  if (begin != extent) {
    node.fail(fmt::format("pieces of {} in all", begin), fmt::format("{}", extent),
              ErrorCode::shape_mismatch);
  }
}

int64_t single_integer(const TfliteNode& node, size_t input, const char* what) {
  const std::vector<int64_t> values = node.integers(input, what);
  if (values.size() != 1) node.fail(fmt::format("{} values of {}", values.size(), what), "one");
  return values[0];
}

}  // namespace

std::vector<TfliteCut> tflite_slice_cuts(const TfliteNode& node, const Shape& shape) {
  const std::vector<int64_t> begin = node.integers(1, "begins"), size = node.integers(2, "sizes");
  if (static_cast<int>(begin.size()) != shape.rank() || size.size() != begin.size()) {
    node.fail(fmt::format("{} begins and {} sizes", begin.size(), size.size()),
              fmt::format("one for each axis of {}", to_string(shape)), ErrorCode::shape_mismatch);
  }
  std::vector<TfliteCut> cuts = uncut(shape);
  for (size_t i = 0; i < cuts.size(); ++i) {
    const int64_t extent = cuts[i].end;
    if (begin[i] < 0 || begin[i] > extent || size[i] < -1 ||
        (size[i] >= 0 && size[i] > extent - begin[i])) {
      node.fail(fmt::format("begin {} and size {} on axis {}", begin[i], size[i], i),
                fmt::format("inside the extent {}; size -1: to the end", extent));
    }
    cuts[i] = {begin[i], size[i] == -1 ? extent : begin[i] + size[i], 1};
  }
  return cuts;
}

std::vector<TfliteCut> tflite_strided_cuts(const TfliteNode& node, const Shape& shape) {
  const auto& options = node.options<tflite::StridedSliceOptions>();
  if (options.ellipsis_mask() != 0 || options.new_axis_mask() != 0) {
    node.unsupported("an ellipsis or a new axis", "masks of begin, end and shrink_axis");
  }
  const std::vector<int64_t> begin = node.integers(1, "begins"), end = node.integers(2, "ends"),
                             strides = node.integers(3, "strides");
  if (begin.size() != end.size() || begin.size() != strides.size() ||
      static_cast<int>(begin.size()) > shape.rank()) {
    node.fail(
        fmt::format("{} begins, {} ends, {} strides", begin.size(), end.size(), strides.size()),
        fmt::format("as many, at most one for each axis of {}", to_string(shape)),
        ErrorCode::shape_mismatch);
  }
  std::vector<TfliteCut> cuts = uncut(shape);
  for (size_t i = 0; i < begin.size(); ++i) {
    const int64_t extent = cuts[i].end;
    const auto has = [&](int32_t mask) { return (static_cast<uint32_t>(mask) >> i & 1U) != 0; };
    const auto inside = [&](int64_t index) {
      return std::clamp<int64_t>(index < 0 ? index + extent : index, 0, extent);
    };
    if (strides[i] < 1) node.unsupported(fmt::format("stride {}", strides[i]), "1 or more");
    cuts[i].stride = strides[i];
    if (has(options.shrink_axis_mask())) {
      const int64_t index = begin[i] < 0 ? begin[i] + extent : begin[i];
      if (index < 0 || index >= extent) {
        node.fail(fmt::format("index {} of axis {}", begin[i], i),
                  fmt::format("inside the extent {}", extent));
      }
      cuts[i] = {index, index + 1, 1};
      continue;
    }
    if (!has(options.begin_mask())) cuts[i].begin = inside(begin[i]);
    if (has(options.end_mask())) continue;
    if (options.offset()) {  // a length
      cuts[i].end = end[i] > extent - cuts[i].begin ? extent : cuts[i].begin + end[i];
    } else {
      cuts[i].end = inside(end[i]);
    }
  }
  return cuts;
}

void read_tflite_slice(TfliteNode& node) {
  node.require_counts(3, 3);
  const TfliteTensor& t = node.input(0);
  emit_cut(node, t, node.operand(0), tflite_slice_cuts(node, t.shape), 0);
}

void read_tflite_strided_slice(TfliteNode& node) {
  node.require_counts(4, 4);
  const TfliteTensor& t = node.input(0);
  emit_cut(node, t, node.operand(0), tflite_strided_cuts(node, t.shape), 0);
}

/// Equal pieces; inputs: axis, x.
void read_tflite_split(TfliteNode& node) {
  const size_t pieces = node.output_count();
  node.require_counts(2, 2, pieces);
  const int64_t axis = single_integer(node, 0, "axes");
  const Shape& shape = node.input(1).shape;
  const int64_t from_front = axis < 0 ? axis + shape.rank() : axis;
  if (from_front < 0 || from_front >= shape.rank() || pieces == 0 ||
      shape[static_cast<int>(from_front)] % static_cast<int64_t>(pieces) != 0) {
    node.fail(fmt::format("{} pieces of axis {} of {}", pieces, axis, to_string(shape)),
              "equal pieces of one of its axes", ErrorCode::shape_mismatch);
  }
  const int64_t extent = shape[static_cast<int>(from_front)] / static_cast<int64_t>(pieces);
  emit_pieces(node, 1, axis, std::vector<int64_t>(pieces, extent));
}

/// Pieces of given sizes, of which one may be -1: the rest. Inputs: x, sizes, axis.
void read_tflite_split_v(TfliteNode& node) {
  node.require_counts(3, 3, node.output_count());
  std::vector<int64_t> sizes = node.integers(1, "sizes");
  const int64_t axis = single_integer(node, 2, "axes");
  const Shape& shape = node.input(0).shape;
  const int64_t from_front = axis < 0 ? axis + shape.rank() : axis;
  const auto open = std::find(sizes.begin(), sizes.end(), -1);
  if (open != sizes.end() && from_front >= 0 && from_front < shape.rank()) {
    int64_t rest = shape[static_cast<int>(from_front)];
    *open = 0;
    for (const int64_t size : sizes) {
      if (size < 0 || size > rest) {
        node.fail(fmt::format("a piece of {}", size), fmt::format("0..{}", rest),
                  ErrorCode::shape_mismatch);
      }
      rest -= size;
    }
    *open = rest;
  }
  emit_pieces(node, 0, axis, sizes);
}

/// One output for every index of an axis, without that axis.
void read_tflite_unpack(TfliteNode& node) {
  node.require_counts(1, 1, node.output_count());
  emit_pieces(node, 0, node.options<tflite::UnpackOptions>().axis(),
              std::vector<int64_t>(node.output_count(), 1));
}

}  // namespace facsim::backends::detail
