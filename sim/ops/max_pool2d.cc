// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/max_pool2d.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/pool_window-internal.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

namespace {

/// One output row of one image: the norm, one window at a time.
template <class T>
void max_pool_row_norm(const Window2d& window, const T* image, int64_t ih, int64_t iw,
                       int64_t channels, int64_t oh, int64_t output_width, T clamp_min, T clamp_max,
                       T* out) {
  const detail::Taps rows = detail::row_taps(window, oh, ih);
  for (int64_t ow = 0; ow < output_width; ++ow) {
    const detail::Taps columns = detail::column_taps(window, ow, iw);
    for (int64_t c = 0; c < channels; ++c) {
      T largest = std::numeric_limits<T>::min();
      for (int64_t kh = rows.begin; kh < rows.end; ++kh) {
        for (int64_t kw = columns.begin; kw < columns.end; ++kw) {
          const T code = image[(rows.index(kh) * iw + columns.index(kw)) * channels + c];
          largest = std::max(largest, code);
        }
      }
      out[ow * channels + c] = std::min(std::max(largest, clamp_min), clamp_max);
    }
  }
}

template <class T>
void max_into(T* __restrict largest, const T* __restrict values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    largest[i] = largest[i] < values[i] ? values[i] : largest[i];
  }
}

/// The same row, rows of the window first: long contiguous runs whatever the number of channels.
template <class T>
void max_pool_row(const Window2d& window, const T* image, int64_t ih, int64_t iw, int64_t channels,
                  int64_t oh, int64_t output_width, T clamp_min, T clamp_max,
                  std::vector<T>& column_max, T* out) {
  const detail::Taps rows = detail::row_taps(window, oh, ih);
  const int64_t run = iw * channels;
  std::copy_n(image + rows.index(rows.begin) * run, run, column_max.data());
  for (int64_t kh = rows.begin + 1; kh < rows.end; ++kh) {
    max_into(column_max.data(), image + rows.index(kh) * run, run);
  }
  for (int64_t ow = 0; ow < output_width; ++ow) {
    const detail::Taps columns = detail::column_taps(window, ow, iw);
    T* pixel = out + ow * channels;
    std::copy_n(column_max.data() + columns.index(columns.begin) * channels, channels, pixel);
    for (int64_t kw = columns.begin + 1; kw < columns.end; ++kw) {
      max_into(pixel, column_max.data() + columns.index(kw) * channels, channels);
    }
  }
  for (int64_t i = 0; i < output_width * channels; ++i) {
    out[i] = std::min(std::max(out[i], clamp_min), clamp_max);
  }
}

template <class T>
void max_pool(const MaxPool2dParams& params, const Tensor& input, Tensor& output,
              const RunContext& context) {
  const int64_t ih = input.shape()[1], iw = input.shape()[2], channels = input.shape()[3];
  const int64_t output_height = output.shape()[1], output_width = output.shape()[2];
  const T clamp_min = static_cast<T>(params.clamp_min),
          clamp_max = static_cast<T>(params.clamp_max);
  const T* x = input.data<T>();
  T* y = output.data<T>();
  const int64_t output_rows = output.shape()[0] * output_height;
  // Rows are the unit of work, so that one image keeps several threads busy.
  const int64_t row_elements = std::max<int64_t>(1, output_width * channels);
  const int64_t block = std::max<int64_t>(1, detail::kElementBlock / row_elements);
  detail::for_blocks(context.pool, output_rows, block, [&](int64_t begin, int64_t end) {
    std::vector<T> column_max(static_cast<size_t>(iw * channels));
    for (int64_t row = begin; row < end; ++row) {
      const T* image = x + row / output_height * ih * iw * channels;
      T* out = y + row * output_width * channels;
      const int64_t oh = row % output_height;
      if (context.isa == Isa::scalar) {
        max_pool_row_norm(params.window, image, ih, iw, channels, oh, output_width, clamp_min,
                          clamp_max, out);
      } else {
        max_pool_row(params.window, image, ih, iw, channels, oh, output_width, clamp_min, clamp_max,
                     column_max, out);
      }
    }
    return Events{};
  });
}

}  // namespace

MaxPool2d::MaxPool2d(MaxPool2dParams params) : params_(std::move(params)) {
  detail::check_window(kind(), params_.window);
  if (params_.clamp_min > params_.clamp_max || params_.clamp_min < params_.type.min() ||
      params_.clamp_max > params_.type.max()) {
    throw Error({ErrorCode::bad_value, "max_pool2d clamp",
                 fmt::format("{}..{}", params_.clamp_min, params_.clamp_max),
                 fmt::format("inside {}..{}", params_.type.min(), params_.type.max()), ""});
  }
}

Shape MaxPool2d::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  return detail::pool_output_shape(kind(), params_.window, inputs[0]);
}

DType MaxPool2d::output_dtype() const { return params_.type.storage(); }

Events MaxPool2d::run(std::span<const Tensor* const> inputs, Tensor& output,
                      const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  detail::check_codes(kind(), "input", *inputs[0], params_.type);
  detail::with_integer(output.dtype(),
                       [&]<class T>() { max_pool<T>(params_, *inputs[0], output, context); });
  return {};
}

Explanation MaxPool2d::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const std::vector<SourceElement> taps = sources_of(*this, detail::shapes_of(inputs), flat_index);
  detail::check_codes(kind(), "input", *inputs[0], params_.type);
  int64_t largest = params_.type.min();
  for (const SourceElement& tap : taps) {
    largest = std::max(largest, inputs[0]->int_at(tap.flat_index));
  }
  Explanation explanation;
  explanation.result = std::clamp(largest, params_.clamp_min, params_.clamp_max);
  explanation.steps = {
      detail::integer_step(fmt::format("max of {} codes", taps.size()), largest),
      detail::integer_step(fmt::format("clamp {} {}", params_.clamp_min, params_.clamp_max),
                           explanation.result)};
  return explanation;
}

}  // namespace facsim::sim
