// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/pad.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

namespace {

constexpr int64_t kMaxPadding = int64_t{1} << 31;

struct PaddedAxis {
  int64_t extent = 1, before = 0, after = 0;
  int64_t padded() const { return before + extent + after; }
};

/// Axes outermost first; trailing axes without padding are part of the one before them, so that a
/// row is as long as it can be.
std::vector<PaddedAxis> padded_axes(const PadParams& params, const Shape& input) {
  std::vector<PaddedAxis> axes;
  int64_t inner = 1;
  for (int axis = input.rank() - 1; axis >= 0; --axis) {
    const auto i = static_cast<size_t>(axis);
    if (axes.empty() && params.before[i] + params.after[i] == 0 && axis > 0) {
      inner *= input[axis];
      continue;
    }
    axes.push_back({input[axis] * inner, params.before[i] * inner, params.after[i] * inner});
    inner = 1;
  }
  if (axes.empty()) axes.push_back({});
  std::reverse(axes.begin(), axes.end());
  return axes;
}

/// The row of the input that output row `row` holds; -1 for a row of padding. Rows are the elements
/// of all axes but the last.
int64_t source_row(const std::vector<PaddedAxis>& axes, int64_t row) {
  int64_t source = 0, stride = 1;
  for (size_t axis = axes.size() - 1; axis-- > 0;) {
    const int64_t index = row % axes[axis].padded() - axes[axis].before;
    if (index < 0 || index >= axes[axis].extent) return -1;
    source += index * stride;
    stride *= axes[axis].extent;
    row /= axes[axis].padded();
  }
  return source;
}

template <class T>
void pad_rows(const std::vector<PaddedAxis>& axes, T value, const Tensor& input, Tensor& output,
              ThreadPool* pool) {
  const PaddedAxis& last = axes.back();
  const T* x = input.data<T>();
  T* y = output.data<T>();
  const int64_t rows = output.numel() / last.padded();
  const int64_t block = std::max<int64_t>(1, detail::kElementBlock / last.padded());
  detail::for_blocks(pool, rows, block, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* to = y + row * last.padded();
      const int64_t source = source_row(axes, row);
      if (source < 0) {
        std::fill_n(to, last.padded(), value);
        continue;
      }
      to = std::fill_n(to, last.before, value);
      to = std::copy_n(x + source * last.extent, last.extent, to);
      std::fill_n(to, last.after, value);
    }
    return Events{};
  });
}

}  // namespace

Pad::Pad(PadParams params) : params_(std::move(params)) {
  const auto refuse = [](const char* field, std::string found, std::string expected) {
    throw Error({ErrorCode::bad_value, fmt::format("pad {}", field), std::move(found),
                 std::move(expected), ""});
  };
  if (params_.before.size() != params_.after.size()) {
    refuse("before, after",
           fmt::format("{} and {} entries", params_.before.size(), params_.after.size()),
           "the same number");
  }
  for (const auto* list : {&params_.before, &params_.after}) {
    for (const int64_t count : *list) {
      if (count < 0 || count > kMaxPadding) {
        refuse("before, after", fmt::format("{}", count), fmt::format("0..{}", kMaxPadding));
      }
    }
  }
  if (params_.value < params_.type.min() || params_.value > params_.type.max()) {
    refuse("value", fmt::format("{}", params_.value),
           fmt::format("{}..{}", params_.type.min(), params_.type.max()));
  }
}

Shape Pad::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& input = inputs[0];
  if (input.rank() != static_cast<int>(params_.before.size())) {
    throw Error({ErrorCode::shape_mismatch, "pad", "input shape " + to_string(input),
                 fmt::format("{} axes", params_.before.size()), ""});
  }
  std::vector<int64_t> out;
  for (int axis = 0; axis < input.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    out.push_back(params_.before[i] + input[axis] + params_.after[i]);
  }
  Shape shape(std::move(out));
  (void)shape.numel();  // Error: more elements than a tensor has
  return shape;
}

Events Pad::run(std::span<const Tensor* const> inputs, Tensor& output,
                const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.type);
  if (output.empty()) return {};
  const std::vector<PaddedAxis> axes = padded_axes(params_, input.shape());
  detail::with_integer(output.dtype(), [&]<class T>() {
    pad_rows(axes, static_cast<T>(params_.value), input, output, context.pool);
  });
  return {};
}

std::vector<SourceElement> Pad::sources(std::span<const Shape> inputs, int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  const std::vector<PaddedAxis> axes = padded_axes(params_, inputs[0]);
  const PaddedAxis& last = axes.back();
  const int64_t row = source_row(axes, flat_index / last.padded());
  const int64_t column = flat_index % last.padded() - last.before;
  if (row < 0 || column < 0 || column >= last.extent) return {};
  return {{0, row * last.extent + column}};
}

Explanation Pad::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const std::vector<SourceElement> source = sources(detail::shapes_of(inputs), flat_index);
  detail::check_codes(kind(), "input", *inputs[0], params_.type);
  if (!source.empty()) return detail::copied_element(*inputs[0], source.front().flat_index);
  Explanation explanation;
  explanation.result = params_.value;
  explanation.steps = {detail::integer_step("padding", params_.value)};
  return explanation;
}

}  // namespace facsim::sim
