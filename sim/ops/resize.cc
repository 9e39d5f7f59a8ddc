// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/ops/op_support-internal.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;
constexpr int64_t kOne = 1024;               // a pixel
constexpr int64_t kHalf = int64_t{1} << 19;  // of the product of two weights
constexpr int64_t kUnit = int64_t{1} << 20;

/// Not inlined: float operations stay inside the caller's FloatMode.
__attribute__((noinline)) int64_t nearest_source(const ResizeParams& params, int64_t index,
                                                 int64_t in, int64_t out) {
  const bool corners = params.align_corners && out > 1;
  const float scale = corners ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
                              : static_cast<float>(in) / static_cast<float>(out);
  const float position =
      (static_cast<float>(index) + (params.half_pixel_centers ? 0.5f : 0.0f)) * scale;
  const double rounded =
      round_real(params.align_corners ? Rounding::half_away_from_zero : Rounding::floor, position);
  return std::clamp(static_cast<int64_t>(rounded), int64_t{0}, in - 1);
}

/// Two source indices and the weight of the second in 1/1024.
struct Blend {
  int64_t lower, upper, weight;
};

Blend bilinear_source(const ResizeParams& params, int64_t index, int64_t in, int64_t out) {
  const int64_t scale = params.align_corners && out > 1
                            ? (kOne * (in - 1) + (out - 1) / 2) / (out - 1)
                            : (kOne * in + out / 2) / out;
  const int64_t position = index * scale + (params.half_pixel_centers ? scale / 2 - kOne / 2 : 0);
  const int64_t lower = std::min(std::max<int64_t>(position / kOne, 0), in - 1);
  const int64_t upper = std::min((position + kOne - 1) / kOne, in - 1);
  return {lower, std::max<int64_t>(upper, 0), position - kOne * lower};
}

std::vector<Blend> sources_of_axis(const ResizeParams& params, int64_t in, int64_t out) {
  const FloatMode mode;
  std::vector<Blend> sources;
  sources.reserve(static_cast<size_t>(out));
  for (int64_t i = 0; i < out; ++i) {
    if (params.mode == ResizeParams::Mode::bilinear) {
      sources.push_back(bilinear_source(params, i, in, out));
    } else {
      const int64_t source = nearest_source(params, i, in, out);
      sources.push_back({source, source, 0});
    }
  }
  return sources;
}

/// Half away from zero of sum / 2^20. Sum holds any sum of the type.
template <class Sum>
Sum divide_by_unit(Sum sum) {
  return static_cast<Sum>((sum + (sum > 0 ? kHalf : -kHalf)) / kUnit);
}

template <class T>
void nearest_row(const std::vector<Blend>& columns, int64_t channels, const T* from, T* to) {
  for (const Blend& column : columns) {
    std::memcpy(to, from + column.lower * channels, static_cast<size_t>(channels) * sizeof(T));
    to += channels;
  }
}

/// One row of the output from the two rows above and below it.
template <class Sum, class T>
void bilinear_row(const Blend& row, const std::vector<Blend>& columns, int64_t channels,
                  const T* image, int64_t row_elements, T* to) {
  const T* top = image + row.lower * row_elements;
  const T* bottom = image + row.upper * row_elements;
  for (const Blend& column : columns) {
    const int64_t left = column.lower * channels, right = column.upper * channels;
    const auto w00 = static_cast<Sum>((kOne - row.weight) * (kOne - column.weight));
    const auto w01 = static_cast<Sum>((kOne - row.weight) * column.weight);
    const auto w10 = static_cast<Sum>(row.weight * (kOne - column.weight));
    const auto w11 = static_cast<Sum>(row.weight * column.weight);
    for (int64_t c = 0; c < channels; ++c) {
      const Sum sum =
          static_cast<Sum>(top[left + c]) * w00 + static_cast<Sum>(top[right + c]) * w01 +
          static_cast<Sum>(bottom[left + c]) * w10 + static_cast<Sum>(bottom[right + c]) * w11;
      to[c] = static_cast<T>(divide_by_unit(sum));
    }
    to += channels;
  }
}

/// Four products of an 8-bit code (255) and weights of such a size fit 32 bits.
bool weights_are_small(const std::vector<Blend>& sources) {
  return std::all_of(sources.begin(), sources.end(), [](const Blend& blend) {
    return blend.weight >= -kOne / 4 && blend.weight <= kOne + kOne / 4;
  });
}

/// An element of the input and its weight in 1 / 2^20.
struct Corner {
  int64_t flat_index = 0, row = 0, column = 0, weight = 0;
};

/// What output element `flat_index` is made of: one element where the nearest is taken, else four.
std::vector<Corner> corners_of(const ResizeParams& params, const Shape& in, const Shape& out,
                               int64_t flat_index) {
  const int64_t c = flat_index % out[3], pixel = flat_index / out[3];
  const int64_t oh = pixel / out[2] % out[1], n = pixel / out[2] / out[1];
  const Blend row = sources_of_axis(params, in[1], out[1])[static_cast<size_t>(oh)];
  const Blend column = sources_of_axis(params, in[2], out[2])[static_cast<size_t>(pixel % out[2])];
  const auto corner = [&](int64_t h, int64_t w, int64_t weight) {
    return Corner{((n * in[1] + h) * in[2] + w) * in[3] + c, h, w, weight};
  };
  if (params.mode == ResizeParams::Mode::nearest) {
    return {corner(row.lower, column.lower, kOne * kOne)};
  }
  return {corner(row.lower, column.lower, (kOne - row.weight) * (kOne - column.weight)),
          corner(row.lower, column.upper, (kOne - row.weight) * column.weight),
          corner(row.upper, column.lower, row.weight * (kOne - column.weight)),
          corner(row.upper, column.upper, row.weight * column.weight)};
}

}  // namespace

Resize::Resize(ResizeParams params) : params_(params) {
  for (const int64_t size : params.size) {
    if (size >= 1 && size <= kMaxSize) continue;
    throw Error({ErrorCode::bad_value, "resize size", fmt::format("{}", size),
                 fmt::format("1..{}", kMaxSize), ""});
  }
  if (params.mode == ResizeParams::Mode::bilinear && params.align_corners &&
      params.half_pixel_centers) {
    throw Error({ErrorCode::bad_value, "resize", "align_corners and half_pixel_centers",
                 "one of them", ""});
  }
  if (params.type.bits > 32) {
    throw Error({ErrorCode::unsupported, "resize type", fmt::format("{} bits", params.type.bits),
                 "at most 32 bits", ""});
  }
  // Weights of two axes reach 2^46 where rounded scales add up; sums must fit 64 bits.
  if (params.mode == ResizeParams::Mode::bilinear && params.type.bits > 16) {
    throw Error({ErrorCode::unsupported, "resize type", fmt::format("{} bits", params.type.bits),
                 "at most 16 bits to interpolate", "use nearest"});
  }
}

Shape Resize::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  detail::check_nhwc(kind(), inputs[0]);
  const Shape& in = inputs[0];
  if (in[1] < 1 || in[2] < 1 || in[1] > kMaxSize || in[2] > kMaxSize) {
    throw Error({ErrorCode::shape_mismatch, "resize", "input shape " + to_string(in),
                 fmt::format("heights and widths of 1..{}", kMaxSize), ""});
  }
  Shape out{in[0], params_.size[0], params_.size[1], in[3]};
  (void)out.numel();  // Error: more elements than a tensor has
  return out;
}

Events Resize::run(std::span<const Tensor* const> inputs, Tensor& output,
                   const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.type);
  const Shape& in = input.shape();
  const Shape& out = output.shape();
  const std::vector<Blend> rows = sources_of_axis(params_, in[1], out[1]);
  const std::vector<Blend> columns = sources_of_axis(params_, in[2], out[2]);
  const bool narrow = context.isa != Isa::scalar && params_.type.bits <= 8 &&
                      weights_are_small(rows) && weights_are_small(columns);
  const int64_t in_row = in[2] * in[3], out_row = out[2] * out[3];
  detail::with_integer(output.dtype(), [&]<class T>() {
    const T* x = input.data<T>();
    T* y = output.data<T>();
    const int64_t block =
        std::max<int64_t>(1, detail::kElementBlock / std::max<int64_t>(1, out_row));
    detail::for_blocks(context.pool, out[0] * out[1], block, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* image = x + i / out[1] * in[1] * in_row;
        const Blend& row = rows[static_cast<size_t>(i % out[1])];
        T* to = y + i * out_row;
        if (params_.mode == ResizeParams::Mode::nearest) {
          nearest_row(columns, in[3], image + row.lower * in_row, to);
        } else if (narrow) {
          bilinear_row<int32_t>(row, columns, in[3], image, in_row, to);
        } else {
          bilinear_row<int64_t>(row, columns, in[3], image, in_row, to);
        }
      }
      return Events{};
    });
  });
  return {};
}

std::vector<SourceElement> Resize::sources(std::span<const Shape> inputs,
                                           int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  std::vector<SourceElement> elements;
  for (const Corner& corner : corners_of(params_, inputs[0], out, flat_index)) {
    elements.push_back({0, corner.flat_index});
  }
  return elements;
}

Explanation Resize::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.type);
  const std::vector<Corner> corners = corners_of(params_, input.shape(), out, flat_index);
  if (params_.mode == ResizeParams::Mode::nearest) {
    return detail::copied_element(input, corners.front().flat_index);
  }
  Explanation explanation;
  int64_t sum = 0;
  for (const Corner& corner : corners) {
    const int64_t code = input.int_at(corner.flat_index);
    sum += code * corner.weight;
    explanation.steps.push_back(detail::integer_step(
        fmt::format("row {} column {} times {}", corner.row, corner.column, corner.weight), code));
  }
  explanation.accumulator = sum;
  explanation.result = divide_by_unit(sum);
  explanation.steps.push_back(
      detail::integer_step("sum / 2^20 half_away_from_zero", explanation.result));
  return explanation;
}

}  // namespace facsim::sim
