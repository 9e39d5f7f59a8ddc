// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/avg_pool2d.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/kernels/requantize.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/pool_window-internal.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

namespace {

constexpr int64_t kMaxWindowArea = int64_t{1} << 28;  // sums of 32-bit codes stay inside 64 bits

using detail::effective_window;

int64_t area(const Window2d& window) { return window.kernel[0] * window.kernel[1]; }

/// What the sum of the raw codes becomes: the accumulator, and the index of per-count arguments.
struct Count {
  int64_t correction = 0;  ///< acc = sum of codes + correction
  int64_t argument = 0;    ///< number of taps - 1
};

Count count_of(const AvgPool2dParams& params, const Window2d& window, int64_t taps_inside) {
  if (!params.count_include_pad) {
    return {-taps_inside * params.input_zero_point, taps_inside - 1};
  }
  const int64_t padded = area(window) - taps_inside;
  return {padded * params.padding_value - area(window) * params.input_zero_point, area(window) - 1};
}

int64_t argument_index(const Requantizer& requantize, const Count& count) {
  return requantize.channels() == 1 ? 0 : count.argument;
}

/// The norm: one window at a time.
int64_t window_sum(const Tensor& input, int64_t n, int64_t c, const detail::Taps& rows,
                   const detail::Taps& columns) {
  const int64_t ih = input.shape()[1], iw = input.shape()[2], channels = input.shape()[3];
  int64_t sum = 0;
  for (int64_t kh = rows.begin; kh < rows.end; ++kh) {
    for (int64_t kw = columns.begin; kw < columns.end; ++kw) {
      sum += input.int_at(((n * ih + rows.index(kh)) * iw + columns.index(kw)) * channels + c);
    }
  }
  return sum;
}

/// Sums of one output row, [OW, C], rows of the window first: long contiguous runs.
template <class T, class Sum>
void row_sums(const Window2d& window, const T* image, int64_t ih, int64_t iw, int64_t channels,
              int64_t oh, int64_t output_width, std::vector<Sum>& column_sum, Sum* sums) {
  const detail::Taps rows = detail::row_taps(window, oh, ih);
  const int64_t run = iw * channels;
  std::fill_n(column_sum.data(), run, Sum{0});
  for (int64_t kh = rows.begin; kh < rows.end; ++kh) {
    const T* __restrict x = image + rows.index(kh) * run;
    Sum* __restrict to = column_sum.data();
    for (int64_t i = 0; i < run; ++i) to[i] += static_cast<Sum>(x[i]);
  }
  for (int64_t ow = 0; ow < output_width; ++ow) {
    const detail::Taps columns = detail::column_taps(window, ow, iw);
    Sum* __restrict to = sums + ow * channels;
    std::fill_n(to, channels, Sum{0});
    for (int64_t kw = columns.begin; kw < columns.end; ++kw) {
      const Sum* __restrict from = column_sum.data() + columns.index(kw) * channels;
      for (int64_t c = 0; c < channels; ++c) to[c] += from[c];
    }
  }
}

/// The requantizer of one number of taps, prepared for the range its sums can have.
RequantizeKernel kernel_of(const AvgPool2dParams& params, const Count& count, int64_t taps_inside) {
  const Requantizer& all = params.requantize;
  const int64_t lowest = taps_inside * params.input_type.min() + count.correction;
  const int64_t highest = taps_inside * params.input_type.max() + count.correction;
  if (all.channels() == 1) return RequantizeKernel(all, lowest, highest);
  const auto argument = static_cast<size_t>(argument_index(all, count));
  Arguments own = all.arguments();
  for (auto& [name, values] : own.integers) values = {values[values.size() == 1 ? 0 : argument]};
  for (auto& [name, values] : own.reals) values = {values[values.size() == 1 ? 0 : argument]};
  return RequantizeKernel(Requantizer(all.program(), std::move(own), all.output_type()), lowest,
                          highest);
}

/// One kernel for each number of taps that occurs, by that number.
std::map<int64_t, RequantizeKernel> make_kernels(const AvgPool2dParams& params,
                                                 const Window2d& window, const Shape& input,
                                                 const Shape& output) {
  std::set<int64_t> rows, columns;
  for (int64_t oh = 0; oh < output[1]; ++oh) {
    rows.insert(detail::row_taps(window, oh, input[1]).count());
  }
  for (int64_t ow = 0; ow < output[2]; ++ow) {
    columns.insert(detail::column_taps(window, ow, input[2]).count());
  }
  std::map<int64_t, RequantizeKernel> kernels;
  for (const int64_t row_taps : rows) {
    for (const int64_t column_taps : columns) {
      const int64_t taps = row_taps * column_taps;
      if (kernels.contains(taps)) continue;
      kernels.emplace(taps, kernel_of(params, count_of(params, window, taps), taps));
    }
  }
  return kernels;
}

template <class T, class Sum>
Events avg_pool(const AvgPool2dParams& params, const Window2d& window, const Tensor& input,
                Tensor& output, const RunContext& context) {
  const int64_t ih = input.shape()[1], iw = input.shape()[2], channels = input.shape()[3];
  const int64_t output_height = output.shape()[1], output_width = output.shape()[2];
  const int64_t row_elements = output_width * channels;
  const int64_t output_rows = output.shape()[0] * output_height;
  const int64_t block = std::max<int64_t>(1, detail::kElementBlock / row_elements);
  const std::map<int64_t, RequantizeKernel> kernels =
      make_kernels(params, window, input.shape(), output.shape());
  const T* x = input.data<T>();
  auto* y = static_cast<std::byte*>(output.raw());
  const auto element = static_cast<int64_t>(size_of(output.dtype()));
  return detail::for_blocks(context.pool, output_rows, block, [&](int64_t begin, int64_t end) {
    Events events;
    std::vector<Sum> column_sum(static_cast<size_t>(iw * channels));
    std::vector<Sum> sums(static_cast<size_t>(row_elements));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t oh = row % output_height;
      row_sums(window, x + row / output_height * ih * iw * channels, ih, iw, channels, oh,
               output_width, column_sum, sums.data());
      const int64_t row_taps = detail::row_taps(window, oh, ih).count();
      const auto taps_at = [&](int64_t ow) {
        return row_taps * detail::column_taps(window, ow, iw).count();
      };
      // Neighbouring pixels with the same number of taps are one run.
      for (int64_t ow = 0, next = 0; ow < output_width; ow = next) {
        const int64_t taps = taps_at(ow);
        for (next = ow + 1; next < output_width && taps_at(next) == taps;) ++next;
        Sum* run = sums.data() + ow * channels;
        const int64_t elements = (next - ow) * channels;
        const auto correction = static_cast<Sum>(count_of(params, window, taps).correction);
        for (int64_t i = 0; i < elements; ++i) run[i] += correction;
        events += kernels.at(taps).run(run, elements, 1, 0, elements,
                                       y + (row * row_elements + ow * channels) * element, elements,
                                       context.isa, context.count_events);
      }
    }
    return events;
  });
}

Events avg_pool_norm(const AvgPool2dParams& params, const Window2d& window, const Tensor& input,
                     Tensor& output, const RunContext& context) {
  const Shape& out = output.shape();
  const Events total =
      detail::for_blocks(context.pool, out[0] * out[1], 1, [&](int64_t row, int64_t) {
        Events events;
        const detail::Taps rows = detail::row_taps(window, row % out[1], input.shape()[1]);
        for (int64_t ow = 0; ow < out[2]; ++ow) {
          const detail::Taps columns = detail::column_taps(window, ow, input.shape()[2]);
          const Count count = count_of(params, window, rows.count() * columns.count());
          for (int64_t c = 0; c < out[3]; ++c) {
            const int64_t acc =
                window_sum(input, row / out[1], c, rows, columns) + count.correction;
            output.set_int(
                (row * out[2] + ow) * out[3] + c,
                params.requantize.apply(acc, argument_index(params.requantize, count), events));
          }
        }
        return events;
      });
  return context.count_events ? total : Events{};
}

}  // namespace

AvgPool2d::AvgPool2d(AvgPool2dParams params) : params_(std::move(params)) {
  if (!params_.global) detail::check_window(kind(), params_.window);
  const auto refuse = [&](const char* field, std::string found, std::string expected) {
    throw Error({ErrorCode::bad_value, fmt::format("avg_pool2d {}", field), std::move(found),
                 std::move(expected), ""});
  };
  if (params_.input_type.bits > 32) {
    refuse("input_type", fmt::format("{} bits", params_.input_type.bits), "at most 32 bits");
  }
  const IntType& type = params_.input_type;
  const auto check_code = [&](const char* field, int64_t code) {
    if (code < std::min<int64_t>(0, type.min()) || code > type.max()) {
      refuse(field, fmt::format("{}", code), fmt::format("{}..{}", type.min(), type.max()));
    }
  };
  check_code("input_zero_point", params_.input_zero_point);
  check_code("padding_value", params_.padding_value);
  if (params_.requantize.program().input_is_real || params_.requantize.output_is_real()) {
    refuse("requantize", "a program over float32", "a program from integers to integers");
  }
}

Shape AvgPool2d::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  detail::check_nhwc(kind(), inputs[0]);
  const Window2d window = effective_window(params_, inputs[0]);
  if (area(window) < 1 || area(window) > kMaxWindowArea) {
    throw Error({ErrorCode::shape_mismatch, "avg_pool2d",
                 fmt::format("a window of {} elements", area(window)),
                 fmt::format("1..{}", kMaxWindowArea), ""});
  }
  const int64_t channels = params_.requantize.channels();
  if (channels != 1 && channels != area(window)) {
    throw Error({ErrorCode::shape_mismatch, "avg_pool2d requantize",
                 fmt::format("arguments for {} counts", channels),
                 fmt::format("1 or {} (one per number of taps)", area(window)), ""});
  }
  return detail::pool_output_shape(kind(), window, inputs[0]);
}

DType AvgPool2d::output_dtype() const { return params_.requantize.output_type().storage(); }

Events AvgPool2d::run(std::span<const Tensor* const> inputs, Tensor& output,
                      const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  const Window2d window = effective_window(params_, input.shape());
  if (context.isa == Isa::scalar) return avg_pool_norm(params_, window, input, output, context);
  return detail::with_integer(input.dtype(), [&]<class T>() {
    // |sum| + |correction| < 2 * area * 2^bits.
    const bool fits_int32 = params_.input_type.bits <= 16 &&
                            area(window) < (int64_t{1} << (30 - params_.input_type.bits));
    return fits_int32 ? avg_pool<T, int32_t>(params_, window, input, output, context)
                      : avg_pool<T, int64_t>(params_, window, input, output, context);
  });
}

Explanation AvgPool2d::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const std::vector<SourceElement> taps = sources_of(*this, detail::shapes_of(inputs), flat_index);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  const auto inside = static_cast<int64_t>(taps.size());
  const Window2d window = effective_window(params_, input.shape());
  const Count count = count_of(params_, window, inside);
  const int64_t argument = argument_index(params_.requantize, count);
  int64_t sum = 0;
  for (const SourceElement& tap : taps) sum += input.int_at(tap.flat_index);
  Explanation explanation;
  explanation.steps = {detail::integer_step(fmt::format("sum of {} codes", inside), sum)};
  explanation.accumulator = sum + count.correction;
  if (count.correction != 0) {
    explanation.steps.push_back(
        detail::integer_step(fmt::format("less {} zero points, padding included",
                                         params_.count_include_pad ? area(window) : inside),
                             *explanation.accumulator));
  }
  for (TracedStep& step : params_.requantize.trace(*explanation.accumulator, argument)) {
    explanation.steps.push_back(std::move(step));
  }
  Events ignored;
  explanation.result = params_.requantize.apply(*explanation.accumulator, argument, ignored);
  return explanation;
}

}  // namespace facsim::sim
