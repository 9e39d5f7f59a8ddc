// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/transpose_conv2d.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/core/error.h"
#include "sim/ops/accumulate.h"
#include "sim/ops/conv2d_check-internal.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

/// Output pixels (first + t * stride): a convolution of stride 1 with every stride-th row and
/// column of the kernel, turned round. Without taps (a stride above the kernel) only the bias.
struct TransposeConv2d::Phase {
  std::array<int64_t, 2> first{};  ///< row, column of the output
  std::array<int64_t, 2> crop{};   ///< rows, columns of the input before its first that counts
  /// Output rows of an image of `extent` rows are extent + growth.
  std::array<int64_t, 2> growth{};
  std::shared_ptr<const Conv2d> conv;  ///< null: no taps
  Tensor constant;                     ///< [OC] codes of pixels without taps
};

/// The taps of one output pixel: pairs (input index, kernel index) per axis, input ascending.
struct TransposeConv2d::Taps {
  std::vector<std::array<int64_t, 2>> rows, columns;
};

namespace {

constexpr int64_t kMaxOutputPadding = int64_t{1} << 24;

std::array<int64_t, 2> padding_before(const Window2d& w) { return {w.padding.top, w.padding.left}; }
std::array<int64_t, 2> padding_after(const Window2d& w) {
  return {w.padding.bottom, w.padding.right};
}

/// Output extent of an input of one row or column; each further one adds the stride.
int64_t extent_of_one(const TransposeConv2dParams& p, size_t axis) {
  const Window2d& w = p.layer.window;
  return (w.kernel[axis] - 1) * w.dilation[axis] + 1 - padding_before(w)[axis] -
         padding_after(w)[axis] + p.output_padding[axis];
}

/// (input, kernel) with out = input * stride + kernel * dilation - before.
std::vector<std::array<int64_t, 2>> taps_on_axis(const Window2d& w, size_t axis, int64_t out,
                                                 int64_t extent) {
  std::vector<std::array<int64_t, 2>> taps;
  for (int64_t k = w.kernel[axis] - 1; k >= 0; --k) {
    const int64_t position = out + padding_before(w)[axis] - k * w.dilation[axis];
    if (position < 0 || position % w.stride[axis] != 0) continue;
    if (position / w.stride[axis] < extent) taps.push_back({position / w.stride[axis], k});
  }
  return taps;
}

int64_t ceil_div(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/// Every stride-th row and column of the kernel from (rest[0], rest[1]), turned round.
Tensor phase_weights(const Tensor& weights, const std::array<int64_t, 2>& rest,
                     const std::array<int64_t, 2>& stride, const std::array<int64_t, 2>& kernel) {
  const Shape& s = weights.shape();
  Tensor out = Tensor::uninitialized(weights.dtype(), {s[0], kernel[0], kernel[1], s[3]});
  const size_t bytes = static_cast<size_t>(s[3]) * size_of(weights.dtype());
  const auto* from = static_cast<const std::byte*>(weights.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  for (int64_t oc = 0; oc < s[0]; ++oc) {
    for (int64_t kh = kernel[0] - 1; kh >= 0; --kh) {
      for (int64_t kw = kernel[1] - 1; kw >= 0; --kw, to += bytes) {
        const int64_t row = (oc * s[1] + rest[0] + kh * stride[0]) * s[2];
        const int64_t pixel = row + rest[1] + kw * stride[1];
        std::memcpy(to, from + static_cast<size_t>(pixel) * bytes, bytes);
      }
    }
  }
  return out;
}

Tensor cropped(const Tensor& input, const std::array<int64_t, 2>& crop,
               const std::array<int64_t, 2>& rows_and_columns) {
  const Shape& s = input.shape();
  if (rows_and_columns[0] == s[1] && rows_and_columns[1] == s[2]) return input;
  Tensor out =
      Tensor::uninitialized(input.dtype(), {s[0], rows_and_columns[0], rows_and_columns[1], s[3]});
  const auto pixel = static_cast<int64_t>(size_of(input.dtype())) * s[3];
  const auto* from = static_cast<const std::byte*>(input.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  const int64_t bytes = rows_and_columns[1] * pixel;
  for (int64_t n = 0; n < s[0]; ++n) {
    for (int64_t ih = 0; ih < rows_and_columns[0]; ++ih, to += bytes) {
      const int64_t first = ((n * s[1] + crop[0] + ih) * s[2] + crop[1]) * pixel;
      std::memcpy(to, from + first, static_cast<size_t>(bytes));
    }
  }
  return out;
}

}  // namespace

TransposeConv2d::~TransposeConv2d() = default;

TransposeConv2d::TransposeConv2d(TransposeConv2dParams params) : params_(std::move(params)) {
  Conv2dParams& layer = params_.layer;
  layer.padding_value = layer.input_zero_point;
  check_conv2d_params(layer, RequantizeUse::used);
  check_accumulator_of_all_taps("transpose_conv2d", layer.accumulator);
  Conv2dRange(layer).check_order(layer.accumulator);
  for (const int64_t extra : params_.output_padding) {
    if (extra >= 0 && extra <= kMaxOutputPadding) continue;
    throw Error({ErrorCode::bad_value, "transpose_conv2d output_padding", fmt::format("{}", extra),
                 fmt::format("0..{}", kMaxOutputPadding), ""});
  }
  if (layer.window.dilation == std::array<int64_t, 2>{1, 1}) make_phases();
}

void TransposeConv2d::make_phases() {
  constexpr int64_t kMaxPhases = 64;
  const Conv2dParams& layer = params_.layer;
  const std::array<int64_t, 2>& stride = layer.window.stride;
  if (stride[0] > kMaxPhases || stride[1] > kMaxPhases || stride[0] * stride[1] > kMaxPhases) {
    return;
  }
  const int64_t oc = layer.weights.shape()[0];
  for (int64_t oh = 0; oh < stride[0]; ++oh) {
    for (int64_t ow = 0; ow < stride[1]; ++ow) {
      Phase phase;
      phase.first = {oh, ow};
      std::array<int64_t, 2> rest{}, kernel{}, before{}, after{};
      bool taps = true;
      for (size_t axis = 0; axis < 2; ++axis) {
        // Position p = out + padding is rest + t * stride; tap j of the phase's kernel reads input
        // t - j.
        const int64_t position = phase.first[axis] + padding_before(layer.window)[axis];
        rest[axis] = position % stride[axis];
        const int64_t first_t = position / stride[axis];
        kernel[axis] = rest[axis] < layer.window.kernel[axis]
                           ? ceil_div(layer.window.kernel[axis] - rest[axis], stride[axis])
                           : 0;
        taps = taps && kernel[axis] > 0;
        phase.growth[axis] =
            floor_div(extent_of_one(params_, axis) - 1 - phase.first[axis], stride[axis]);
        // Rows of padding before and after the input; negative ones are cropped.
        before[axis] = kernel[axis] - 1 - first_t;
        after[axis] = phase.growth[axis] + kernel[axis] - 1 - before[axis];
        phase.crop[axis] = std::max<int64_t>(0, -before[axis]);
      }
      if (taps) {
        Conv2dParams part = layer;
        part.window = {.kernel = kernel,
                       .padding = {std::max<int64_t>(0, before[0]), std::max<int64_t>(0, before[1]),
                                   std::max<int64_t>(0, after[0]), std::max<int64_t>(0, after[1])}};
        part.weights = phase_weights(layer.weights, rest, stride, kernel);
        phase.conv = std::make_shared<Conv2d>(std::move(part));
      } else {
        phase.constant = Tensor(output_dtype(), Shape{oc});
        Events ignored;
        for (int64_t c = 0; c < oc; ++c) {
          const int64_t bias = layer.bias.empty() ? 0 : layer.bias.int_at(c);
          const int16_t none = 0;
          const int64_t acc = accumulate<true>(&none, &none, 0, bias, layer.accumulator).value;
          phase.constant.set_int(
              c, layer.requantize.apply(acc, layer.requantize.channels() == 1 ? 0 : c, ignored));
        }
      }
      phases_.push_back(std::move(phase));
    }
  }
}

Shape TransposeConv2d::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  detail::check_nhwc(kind(), inputs[0]);
  const Conv2dParams& layer = params_.layer;
  const Shape& in = inputs[0];
  const int64_t channels = layer.weights.shape()[3] * layer.groups;
  std::array<int64_t, 2> out{};
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t extent = in[static_cast<int>(axis) + 1];
    if (extent < 1 || extent > (int64_t{1} << 31)) {
      throw Error({ErrorCode::shape_mismatch, "transpose_conv2d", "input shape " + to_string(in),
                   "at least one row and column", ""});
    }
    out[axis] = (extent - 1) * layer.window.stride[axis] + extent_of_one(params_, axis);
  }
  if (in[3] != channels || out[0] < 1 || out[1] < 1) {
    throw Error({ErrorCode::shape_mismatch, "transpose_conv2d", "input shape " + to_string(in),
                 fmt::format("{} channels, and an output of at least one pixel, not {} x {}",
                             channels, out[0], out[1]),
                 ""});
  }
  Shape shape{in[0], out[0], out[1], layer.weights.shape()[0]};
  (void)shape.numel();  // Error: more elements than a tensor has
  return shape;
}

DType TransposeConv2d::output_dtype() const {
  return params_.layer.requantize.output_type().storage();
}

template <bool CountEvents>
int64_t TransposeConv2d::accumulator(const Taps& taps, const Tensor& input, int64_t n, int64_t oc,
                                     Events& events) const {
  const Conv2dParams& layer = params_.layer;
  const Shape& in = input.shape();
  const Shape& w = layer.weights.shape();
  const int64_t group_ic = w[3];
  const int64_t group = oc / (w[0] / layer.groups);
  const int64_t weight_zero =
      layer.weight_zero_point[layer.weight_zero_point.size() == 1 ? 0 : static_cast<size_t>(oc)];
  const size_t count = taps.rows.size() * taps.columns.size() * static_cast<size_t>(group_ic);
  std::vector<int32_t> x, weights;
  x.reserve(count);
  weights.reserve(count);
  for (const auto& [ih, kh] : taps.rows) {
    for (const auto& [iw, kw] : taps.columns) {
      const int64_t pixel = ((n * in[1] + ih) * in[2] + iw) * in[3] + group * group_ic;
      const int64_t tap = ((oc * w[1] + kh) * w[2] + kw) * group_ic;
      for (int64_t ic = 0; ic < group_ic; ++ic) {
        x.push_back(static_cast<int32_t>(input.int_at(pixel + ic) - layer.input_zero_point));
        weights.push_back(static_cast<int32_t>(layer.weights.int_at(tap + ic) - weight_zero));
      }
    }
  }
  const int64_t bias = layer.bias.empty() ? 0 : layer.bias.int_at(oc);
  const Accumulated sum = accumulate<CountEvents>(
      x.data(), weights.data(), static_cast<int64_t>(x.size()), bias, layer.accumulator);
  events.accumulator_overflow += sum.left_width ? 1 : 0;
  return sum.value;
}

Events TransposeConv2d::run_norm(const Tensor& input, Tensor& output,
                                 const RunContext& context) const {
  const Shape& out = output.shape();
  const Shape& in = input.shape();
  const Requantizer& requantize = params_.layer.requantize;
  const Events total =
      detail::for_blocks(context.pool, out[0] * out[1], 1, [&](int64_t row, int64_t) {
        Events events;
        Taps taps;
        taps.rows = taps_on_axis(params_.layer.window, 0, row % out[1], in[1]);
        for (int64_t ow = 0; ow < out[2]; ++ow) {
          taps.columns = taps_on_axis(params_.layer.window, 1, ow, in[2]);
          for (int64_t oc = 0; oc < out[3]; ++oc) {
            const int64_t acc = context.count_events
                                    ? accumulator<true>(taps, input, row / out[1], oc, events)
                                    : accumulator<false>(taps, input, row / out[1], oc, events);
            output.set_int((row * out[2] + ow) * out[3] + oc,
                           requantize.apply(acc, requantize.channels() == 1 ? 0 : oc, events));
          }
        }
        return events;
      });
  return context.count_events ? total : Events{};
}

std::array<int64_t, 2> TransposeConv2d::phase_extent(const Phase& phase, const Shape& input) {
  return {input[1] + phase.growth[0], input[2] + phase.growth[1]};
}

std::array<int64_t, 2> TransposeConv2d::used_extent(const Phase& phase, const Shape& input) {
  const std::array<int64_t, 2> extent = phase_extent(phase, input);
  const Window2d& w = phase.conv->params().window;
  std::array<int64_t, 2> used{};
  for (size_t axis = 0; axis < 2; ++axis) {
    used[axis] =
        extent[axis] + w.kernel[axis] - 1 - padding_before(w)[axis] - padding_after(w)[axis];
  }
  return used;
}

void TransposeConv2d::run_phase(const Phase& phase, const Tensor& input, Tensor& output,
                                const RunContext& context) const {
  const Shape& out = output.shape();
  const std::array<int64_t, 2>& stride = params_.layer.window.stride;
  const std::array<int64_t, 2> extent = phase_extent(phase, input.shape());
  if (extent[0] < 1 || extent[1] < 1) return;
  Tensor pixels;
  if (phase.conv) {
    const Tensor part = cropped(input, phase.crop, used_extent(phase, input.shape()));
    const bool whole = stride[0] == 1 && stride[1] == 1;
    pixels = whole ? output
                   : Tensor::uninitialized(output.dtype(), {out[0], extent[0], extent[1], out[3]});
    const Tensor* const inputs[] = {&part};
    phase.conv->run(inputs, pixels, context);
    if (whole) return;
  }
  const auto pixel = static_cast<int64_t>(size_of(output.dtype())) * out[3];
  const auto* from =
      static_cast<const std::byte*>(phase.conv ? pixels.raw() : phase.constant.raw());
  auto* to = static_cast<std::byte*>(output.raw());
  parallel_for(context.pool, out[0] * extent[0], [&](int64_t row) {
    const int64_t oh = phase.first[0] + row % extent[0] * stride[0];
    const int64_t first = (row / extent[0] * out[1] + oh) * out[2] + phase.first[1];
    for (int64_t t = 0; t < extent[1]; ++t) {
      const int64_t source = phase.conv ? (row * extent[1] + t) * pixel : 0;
      std::memcpy(to + (first + t * stride[1]) * pixel, from + source, static_cast<size_t>(pixel));
    }
  });
}

Events TransposeConv2d::run(std::span<const Tensor* const> inputs, Tensor& output,
                            const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.layer.input_type);
  // A phase that reads nothing of this input is not a convolution.
  const bool phases_fit = std::all_of(phases_.begin(), phases_.end(), [&](const Phase& phase) {
    if (!phase.conv) return true;
    const std::array<int64_t, 2> extent = phase_extent(phase, input.shape());
    const std::array<int64_t, 2> used = used_extent(phase, input.shape());
    return extent[0] < 1 || extent[1] < 1 || (used[0] > 0 && used[1] > 0);
  });
  if (context.isa == Isa::scalar || context.count_events || phases_.empty() || !phases_fit) {
    return run_norm(input, output, context);
  }
  for (const Phase& phase : phases_) run_phase(phase, input, output, context);
  return {};
}

Explanation TransposeConv2d::explain(std::span<const Tensor* const> inputs,
                                     int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.layer.input_type);
  const int64_t oc = flat_index % out[3];
  const int64_t pixel = flat_index / out[3];
  Taps taps;
  taps.rows = taps_on_axis(params_.layer.window, 0, pixel / out[2] % out[1], input.shape()[1]);
  taps.columns = taps_on_axis(params_.layer.window, 1, pixel % out[2], input.shape()[2]);
  const Requantizer& requantize = params_.layer.requantize;
  const int64_t channel = requantize.channels() == 1 ? 0 : oc;
  Explanation explanation;
  Events ignored;
  explanation.accumulator = accumulator<false>(taps, input, pixel / out[2] / out[1], oc, ignored);
  explanation.steps = requantize.trace(*explanation.accumulator, channel);
  explanation.result = requantize.apply(*explanation.accumulator, channel, ignored);
  return explanation;
}

int64_t TransposeConv2d::macs(std::span<const Shape> inputs) const {
  (void)output_shape(inputs);
  const Shape& w = params_.layer.weights.shape();
  return inputs[0][1] * inputs[0][2] * w[0] * w[1] * w[2] * w[3];
}

}  // namespace facsim::sim
