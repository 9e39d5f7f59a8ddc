// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/slice.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/strided_copy-internal.h"

namespace facsim::sim {

namespace {

/// The indices of one axis: first, first + stride, …, `count` of them.
struct SliceRange {
  int64_t first = 0, stride = 1, count = 0;
};

SliceRange range_of_axis(const SliceAxis& axis, int64_t extent) {
  const bool forwards = axis.stride > 0;
  const int64_t lowest = forwards ? 0 : -1;
  const int64_t highest = forwards ? extent : extent - 1;
  const auto resolve = [&](const std::optional<int64_t>& index, int64_t absent) {
    if (!index) return absent;
    const int64_t from_start = *index < 0 ? std::max(*index, -extent - 1) + extent : *index;
    return std::clamp(from_start, lowest, std::max(lowest, highest));
  };
  const int64_t begin = resolve(axis.begin, forwards ? lowest : highest);
  const int64_t end = resolve(axis.end, forwards ? highest : lowest);
  const int64_t distance = forwards ? end - begin : begin - end;
  if (distance <= 0 || extent == 0) return {0, axis.stride, 0};
  // The largest magnitude of a stride is 2^63, one more than an int64_t holds.
  const auto step = forwards ? static_cast<uint64_t>(axis.stride)
                             : uint64_t{0} - static_cast<uint64_t>(axis.stride);
  const auto count = static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / step + 1);
  return {begin, count == 1 ? 1 : axis.stride, count};
}

std::vector<SliceRange> ranges_of(const SliceParams& params, const Shape& input) {
  if (static_cast<int>(params.axes.size()) > input.rank()) {
    throw Error({ErrorCode::shape_mismatch, "slice", "input shape " + to_string(input),
                 fmt::format("at least {} axes", params.axes.size()), ""});
  }
  std::vector<SliceRange> ranges;
  for (int axis = 0; axis < input.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    ranges.push_back(
        range_of_axis(i < params.axes.size() ? params.axes[i] : SliceAxis{}, input[axis]));
  }
  return ranges;
}

}  // namespace

Slice::Slice(SliceParams params) : params_(std::move(params)) {
  for (size_t axis = 0; axis < params_.axes.size(); ++axis) {
    if (params_.axes[axis].stride != 0) continue;
    throw Error({ErrorCode::bad_value, fmt::format("slice stride, axis {}", axis), "0",
                 "a positive or negative stride", ""});
  }
}

Shape Slice::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  std::vector<int64_t> out;
  for (const SliceRange& range : ranges_of(params_, inputs[0])) out.push_back(range.count);
  return Shape(std::move(out));
}

Events Slice::run(std::span<const Tensor* const> inputs, Tensor& output,
                  const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), params_.dtype);
  if (output.empty()) return {};
  const std::vector<SliceRange> ranges = ranges_of(params_, input.shape());
  const std::vector<int64_t> from = detail::strides_of(input.shape());
  const std::vector<int64_t> to = detail::strides_of(output.shape());
  std::vector<detail::StridedAxis> axes;
  int64_t first = 0;
  for (size_t i = 0; i < ranges.size(); ++i) {
    first += ranges[i].first * from[i];
    axes.push_back({ranges[i].count, ranges[i].stride * from[i], to[i]});
  }
  const auto element = static_cast<int64_t>(size_of(params_.dtype));
  detail::strided_copy(context.pool, size_of(params_.dtype), std::move(axes),
                       static_cast<const std::byte*>(input.raw()) + first * element, output.raw());
  return {};
}

std::vector<SourceElement> Slice::sources(std::span<const Shape> inputs, int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  const std::vector<SliceRange> ranges = ranges_of(params_, inputs[0]);
  const std::vector<int64_t> from = detail::strides_of(inputs[0]);
  int64_t source = 0;
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    const auto i = static_cast<size_t>(axis);
    source += (ranges[i].first + flat_index % out[axis] * ranges[i].stride) * from[i];
    flat_index /= out[axis];
  }
  return {{0, source}};
}

Explanation Slice::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const SourceElement source = sources(detail::shapes_of(inputs), flat_index).front();
  detail::check_dtype(kind(), "input", inputs[0]->dtype(), params_.dtype);
  return detail::copied_element(*inputs[0], source.flat_index);
}

}  // namespace facsim::sim
