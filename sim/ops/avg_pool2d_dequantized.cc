// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/avg_pool2d_dequantized.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/pool_window-internal.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {

namespace {

float dequantize(const AvgPool2dDequantizedParams& params, int64_t code) {
  return static_cast<float>(code - params.input_zero_point) * params.input_scale;
}

/// From the float32 sum to the output code; `steps` (may be null) receives the intermediates.
int64_t average(const AvgPool2dDequantizedParams& params, float sum, int64_t count,
                std::vector<TracedStep>* steps) {
  const float mean = sum / static_cast<float>(count);
  const float scaled = mean / params.output_scale;
  const float shifted = scaled + static_cast<float>(params.output_zero_point);
  const float rounded = round_real(Rounding::half_even, shifted);
  const auto lowest = static_cast<float>(params.output_type.min());
  const auto highest = static_cast<float>(params.output_type.max());
  // In this order a NaN (infinite sums cancelling) becomes the lowest code.
  const float clamped = std::min(std::max(lowest, rounded), highest);
  if (steps != nullptr) {
    steps->push_back(detail::real_step("sum of dequantized taps", sum));
    steps->push_back(detail::real_step(fmt::format("fdiv {} (taps)", count), mean));
    steps->push_back(
        detail::real_step(fmt::format("fdiv {} (output scale)", params.output_scale), scaled));
    steps->push_back(
        detail::real_step(fmt::format("fadd {} (zero point)", params.output_zero_point), shifted));
    steps->push_back(detail::real_step("round half_even", rounded));
    steps->push_back(detail::real_step("clamp to the output type", clamped));
  }
  return static_cast<int64_t>(clamped);
}

struct OutputIndex {
  int64_t n, oh, ow, c;
};

int64_t element(const AvgPool2dDequantizedParams& params, const Tensor& input,
                const OutputIndex& index, std::vector<TracedStep>* steps) {
  const int64_t ih = input.shape()[1], iw = input.shape()[2], channels = input.shape()[3];
  const detail::Taps rows = detail::row_taps(params.window, index.oh, ih);
  const detail::Taps columns = detail::column_taps(params.window, index.ow, iw);
  float sum = 0;
  for (int64_t kh = rows.begin; kh < rows.end; ++kh) {
    for (int64_t kw = columns.begin; kw < columns.end; ++kw) {
      const int64_t pixel = (index.n * ih + rows.index(kh)) * iw + columns.index(kw);
      sum += dequantize(params, input.int_at(pixel * channels + index.c));
    }
  }
  const int64_t count = params.count_include_pad ? params.window.kernel[0] * params.window.kernel[1]
                                                 : rows.count() * columns.count();
  return average(params, sum, count, steps);
}

void check_scale(const char* field, float scale) {
  if (std::isfinite(scale) && scale > 0) return;
  throw Error({ErrorCode::bad_value, fmt::format("avg_pool2d_dequantized {}", field),
               fmt::format("{}", scale), "a finite scale > 0", ""});
}

void check_zero_point(const char* field, int64_t zero_point, IntType type) {
  if (zero_point >= type.min() && zero_point <= type.max()) return;
  throw Error({ErrorCode::bad_value, fmt::format("avg_pool2d_dequantized {}", field),
               fmt::format("{}", zero_point), fmt::format("{}..{}", type.min(), type.max()), ""});
}

}  // namespace

AvgPool2dDequantized::AvgPool2dDequantized(AvgPool2dDequantizedParams params)
    : params_(std::move(params)) {
  detail::check_window(kind(), params_.window);
  check_scale("input_scale", params_.input_scale);
  check_scale("output_scale", params_.output_scale);
  if (params_.input_type.bits > 16 || params_.output_type.bits > 16) {
    throw Error({ErrorCode::unsupported, "avg_pool2d_dequantized", "types above 16 bits",
                 "8 or 16 bits (exact in float32)", ""});
  }
  check_zero_point("input_zero_point", params_.input_zero_point, params_.input_type);
  check_zero_point("output_zero_point", params_.output_zero_point, params_.output_type);
}

Shape AvgPool2dDequantized::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  return detail::pool_output_shape(kind(), params_.window, inputs[0]);
}

DType AvgPool2dDequantized::output_dtype() const { return params_.output_type.storage(); }

Events AvgPool2dDequantized::run(std::span<const Tensor* const> inputs, Tensor& output,
                                 const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  const Shape& out = output.shape();
  return detail::for_blocks(context.pool, out[0] * out[1], 1, [&](int64_t row, int64_t) {
    int64_t i = row * out[2] * out[3];
    for (int64_t ow = 0; ow < out[2]; ++ow) {
      for (int64_t c = 0; c < out[3]; ++c, ++i) {
        output.set_int(i, element(params_, input, {row / out[1], row % out[1], ow, c}, nullptr));
      }
    }
    return Events{};
  });
}

Explanation AvgPool2dDequantized::explain(std::span<const Tensor* const> inputs,
                                          int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_codes(kind(), "input", *inputs[0], params_.input_type);
  const int64_t pixel = flat_index / out[3];
  Explanation explanation;
  explanation.result = element(
      params_, *inputs[0],
      {pixel / out[2] / out[1], pixel / out[2] % out[1], pixel % out[2], flat_index % out[3]},
      &explanation.steps);
  return explanation;
}

}  // namespace facsim::sim
