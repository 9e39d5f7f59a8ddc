// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/mean.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/strided_copy-internal.h"

namespace facsim::sim {

namespace {

constexpr int64_t kMaxCount = int64_t{1} << 28;  // sums of 32-bit codes stay inside 64 bits

struct MeanAxis {
  int64_t extent, stride;
};

/// Offsets of the elements of one sum from its first, and the axes of the output.
struct MeanLayout {
  std::vector<MeanAxis> kept, reduced;

  MeanLayout(const MeanParams& params, const Shape& input) {
    const std::vector<int64_t> strides = detail::strides_of(input);
    for (int axis = 0; axis < input.rank(); ++axis) {
      const bool is_reduced =
          std::find(params.axes.begin(), params.axes.end(), axis) != params.axes.end();
      (is_reduced ? reduced : kept).push_back({input[axis], strides[static_cast<size_t>(axis)]});
    }
  }
};

int64_t offset_at(const std::vector<MeanAxis>& axes, size_t count, int64_t index) {
  int64_t offset = 0;
  for (size_t axis = count; axis-- > 0; index /= axes[axis].extent) {
    offset += index % axes[axis].extent * axes[axis].stride;
  }
  return offset;
}

int64_t extents_product(const std::vector<MeanAxis>& axes, size_t count) {
  int64_t product = 1;
  for (size_t axis = 0; axis < count; ++axis) product *= axes[axis].extent;
  return product;
}

/// sums[i] for `line` outputs along the last kept axis, starting at element `first` of the input.
template <class T, class Sum>
void sum_line(const MeanLayout& layout, const T* first, const MeanAxis& line, Sum* sums) {
  const int64_t rows = extents_product(layout.reduced, layout.reduced.size());
  if (line.stride == 1) {
    for (int64_t row = 0; row < rows; ++row) {
      const T* __restrict x = first + offset_at(layout.reduced, layout.reduced.size(), row);
      Sum* __restrict to = sums;
      for (int64_t i = 0; i < line.extent; ++i) to[i] += static_cast<Sum>(x[i]);
    }
    return;
  }
  // The last axis is reduced: runs of it are summed.
  const MeanAxis& run = layout.reduced.back();
  for (int64_t i = 0; i < line.extent; ++i) {
    for (int64_t row = 0; row < rows / run.extent; ++row) {
      const T* x =
          first + i * line.stride + offset_at(layout.reduced, layout.reduced.size() - 1, row);
      Sum sum = 0;
      for (int64_t j = 0; j < run.extent; ++j) sum += static_cast<Sum>(x[j * run.stride]);
      sums[i] += sum;
    }
  }
}

template <class T, class Sum>
Events mean_lines(const MeanParams& params, const RequantizeKernel& kernel, const Tensor& input,
                  Tensor& output, const RunContext& context) {
  const MeanLayout layout(params, input.shape());
  const bool scalar_line = layout.kept.empty();
  const MeanAxis line = scalar_line ? MeanAxis{1, 1} : layout.kept.back();
  const size_t outer_axes = scalar_line ? 0 : layout.kept.size() - 1;
  const auto correction = static_cast<Sum>(-params.count * params.input_zero_point);
  const T* x = input.data<T>();
  auto* y = static_cast<std::byte*>(output.raw());
  const auto element = static_cast<int64_t>(size_of(output.dtype()));
  return detail::for_blocks(
      context.pool, extents_product(layout.kept, outer_axes), 1, [&](int64_t outer, int64_t) {
        std::vector<Sum> sums(static_cast<size_t>(line.extent), correction);
        sum_line(layout, x + offset_at(layout.kept, outer_axes, outer), line, sums.data());
        return kernel.run(sums.data(), line.extent, 1, 0, line.extent,
                          y + outer * line.extent * element, line.extent, context.isa,
                          context.count_events);
      });
}

int64_t mean_accumulator(const MeanParams& params, const Tensor& input, int64_t flat_index) {
  const MeanLayout layout(params, input.shape());
  const int64_t first = offset_at(layout.kept, layout.kept.size(), flat_index);
  int64_t sum = 0;
  for (int64_t i = 0; i < params.count; ++i) {
    sum += input.int_at(first + offset_at(layout.reduced, layout.reduced.size(), i)) -
           params.input_zero_point;
  }
  return sum;
}

}  // namespace

Mean::Mean(MeanParams params) : params_(std::move(params)) {
  const auto refuse = [](ErrorCode code, const char* field, std::string found,
                         std::string expected) {
    throw Error({code, fmt::format("mean {}", field), std::move(found), std::move(expected), ""});
  };
  const IntType type = params_.input_type;
  std::vector<int> axes = params_.axes;
  std::sort(axes.begin(), axes.end());
  if ((!axes.empty() && axes.front() < 0) ||
      std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    refuse(ErrorCode::bad_value, "axes", "an axis twice or below 0", "each axis once, from 0 on");
  }
  if (params_.count < 1 || params_.count > kMaxCount) {
    refuse(ErrorCode::bad_value, "count", fmt::format("{}", params_.count),
           fmt::format("1..{}", kMaxCount));
  }
  if (type.bits > 32) {
    refuse(ErrorCode::unsupported, "input_type", fmt::format("{} bits", type.bits),
           "at most 32 bits");
  }
  if (params_.input_zero_point < type.min() || params_.input_zero_point > type.max()) {
    refuse(ErrorCode::bad_value, "input_zero_point", fmt::format("{}", params_.input_zero_point),
           fmt::format("{}..{}", type.min(), type.max()));
  }
  const Requantizer& requantize = params_.requantize;
  if (requantize.program().input_is_real || requantize.output_is_real() ||
      requantize.channels() != 1) {
    refuse(ErrorCode::bad_value, "requantize", "a program over float32 or per channel",
           "one program from integers to codes");
  }
  kernel_ = RequantizeKernel(requantize, params_.count * (type.min() - params_.input_zero_point),
                             params_.count * (type.max() - params_.input_zero_point));
}

Shape Mean::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& in = inputs[0];
  std::vector<int64_t> out;
  int64_t count = 1;
  int found = 0;
  for (int axis = 0; axis < in.rank(); ++axis) {
    const bool is_reduced =
        std::find(params_.axes.begin(), params_.axes.end(), axis) != params_.axes.end();
    if (is_reduced) {
      count = in[axis] > kMaxCount ? 0 : std::min(count * in[axis], kMaxCount + 1);
      ++found;
      if (params_.keep_dims) out.push_back(1);
    } else {
      out.push_back(in[axis]);
    }
  }
  if (found != static_cast<int>(params_.axes.size()) || count != params_.count) {
    throw Error(
        {ErrorCode::shape_mismatch, "mean", "input shape " + to_string(in),
         fmt::format("{} elements on the {} reduced axes", params_.count, params_.axes.size()),
         ""});
  }
  return Shape(std::move(out));
}

Events Mean::run(std::span<const Tensor* const> inputs, Tensor& output,
                 const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  if (output.empty()) return {};
  if (context.isa == Isa::scalar) {
    const Events events =
        detail::for_blocks(context.pool, output.numel(), 1, [&](int64_t i, int64_t) {
          Events counted;
          output.set_int(i,
                         params_.requantize.apply(mean_accumulator(params_, input, i), 0, counted));
          return counted;
        });
    return context.count_events ? events : Events{};
  }
  return detail::with_integer(input.dtype(), [&]<class T>() {
    // |sum| + |correction| < 2 * count * 2^bits.
    const bool fits_int32 = params_.input_type.bits <= 16 &&
                            params_.count < (int64_t{1} << (30 - params_.input_type.bits));
    return fits_int32 ? mean_lines<T, int32_t>(params_, kernel_, input, output, context)
                      : mean_lines<T, int64_t>(params_, kernel_, input, output, context);
  });
}

std::vector<SourceElement> Mean::sources(std::span<const Shape> inputs, int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  const MeanLayout layout(params_, inputs[0]);
  const int64_t first = offset_at(layout.kept, layout.kept.size(), flat_index);
  std::vector<SourceElement> elements;
  for (int64_t i = 0; i < params_.count; ++i) {
    elements.push_back({0, first + offset_at(layout.reduced, layout.reduced.size(), i)});
  }
  return elements;
}

Explanation Mean::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_codes(kind(), "input", *inputs[0], params_.input_type);
  Explanation explanation;
  explanation.accumulator = mean_accumulator(params_, *inputs[0], flat_index);
  explanation.steps = {detail::integer_step(
      fmt::format("sum of {} codes less zero point {}", params_.count, params_.input_zero_point),
      *explanation.accumulator)};
  for (TracedStep& step : params_.requantize.trace(*explanation.accumulator, 0)) {
    explanation.steps.push_back(std::move(step));
  }
  Events ignored;
  explanation.result = params_.requantize.apply(*explanation.accumulator, 0, ignored);
  return explanation;
}

}  // namespace facsim::sim
