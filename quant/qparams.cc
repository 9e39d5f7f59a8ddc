// SPDX-License-Identifier: Apache-2.0
#include "quant/qparams.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/error.h"
#include "sim/rounding/rounding.h"

namespace facsim::quant {

namespace {

/// How a tensor's elements map to its scales: element (outer, channel, inner).
struct ChannelView {
  int64_t outer = 1, channels = 1, inner = 1;
};

ChannelView view_channels(const Shape& shape, const QParams& qparams) {
  ChannelView view;
  if (!qparams.per_channel()) {
    view.inner = shape.numel();
    return view;
  }
  const int axis = qparams.channel_axis;
  if (axis >= shape.rank() || shape[axis] != static_cast<int64_t>(qparams.scale.size())) {
    throw Error({ErrorCode::shape_mismatch, "tensor " + to_string(shape),
                 fmt::format("{} scales on axis {}", qparams.scale.size(), axis),
                 "one scale per index of the channel axis", ""});
  }
  for (int i = 0; i < axis; ++i) view.outer *= shape[i];
  view.channels = shape[axis];
  for (int i = axis + 1; i < shape.rank(); ++i) view.inner *= shape[i];
  return view;
}

/// The smallest power of two >= scale.
float next_power_of_two(float scale) {
  int exponent = 0;
  const float fraction = std::frexp(scale, &exponent);
  return std::ldexp(1.0f, fraction == 0.5f ? exponent - 1 : exponent);
}

/// 2^half_even(log2(scale)), in float32 as PyTorch computes it.
float nearest_power_of_two(float scale) {
  return std::ldexp(1.0f,
                    static_cast<int>(sim::round_real(sim::Rounding::half_even, std::log2(scale))));
}

float covering_scale(float min, float max, const TensorSpec& spec) {
  const auto low = static_cast<float>(spec.quant_min());
  const auto high = static_cast<float>(spec.quant_max());
  if (spec.zero_point == TensorSpec::ZeroPoint::any) return (max - min) / (high - low);
  if (spec.zero_point == TensorSpec::ZeroPoint::zero && !spec.type.is_signed) return max / high;
  const float divisor =
      spec.symmetric_divisor > 0 ? static_cast<float>(spec.symmetric_divisor) : (high - low) / 2.0f;
  return std::max(-min, max) / divisor;
}

template <class T>
void quantize_into(const Tensor& real, const QParams& qparams, const TensorSpec& spec,
                   Tensor& codes) {
  const ChannelView view = view_channels(real.shape(), qparams);
  const float* x = real.data<float>();
  T* q = codes.data<T>();
  const auto low = static_cast<double>(qparams.quant_min);
  const auto high = static_cast<double>(qparams.quant_max);
  for (int64_t outer = 0; outer < view.outer; ++outer) {
    for (int64_t channel = 0; channel < view.channels; ++channel) {
      const float scale = qparams.scale[static_cast<size_t>(channel)];
      const float reciprocal = 1.0f / scale;
      const auto zero_point = static_cast<float>(qparams.zero_point[static_cast<size_t>(channel)]);
      for (int64_t inner = 0; inner < view.inner; ++inner, ++x, ++q) {
        float v = spec.formula == TensorSpec::Formula::division ? *x / scale : *x * reciprocal;
        if (std::isnan(v)) {
          throw Error(
              {ErrorCode::bad_value,
               fmt::format("element {} of {}", x - real.data<float>(), to_string(real.shape())),
               fmt::format("{} / {} is not a number", *x, scale), "finite values", ""});
        }
        if (spec.zero_point_add == TensorSpec::ZeroPointAdd::before_rounding) v += zero_point;
        if (spec.zero_point_add == TensorSpec::ZeroPointAdd::before_rounding_fused) {
          v = std::fma(*x, reciprocal, zero_point);
        }
        double code = sim::round_real(spec.rounding, v);
        if (spec.zero_point_add == TensorSpec::ZeroPointAdd::after_rounding) code += zero_point;
        *q = static_cast<T>(std::clamp(code, low, high));
      }
    }
  }
}

template <class T>
void dequantize_from(const Tensor& codes, const QParams& qparams, Tensor& real) {
  const ChannelView view = view_channels(codes.shape(), qparams);
  const T* q = codes.data<T>();
  float* x = real.data<float>();
  for (int64_t outer = 0; outer < view.outer; ++outer) {
    for (int64_t channel = 0; channel < view.channels; ++channel) {
      const float scale = qparams.scale[static_cast<size_t>(channel)];
      const int64_t zero_point = qparams.zero_point[static_cast<size_t>(channel)];
      for (int64_t inner = 0; inner < view.inner; ++inner, ++x, ++q) {
        *x = static_cast<float>(static_cast<int64_t>(*q) - zero_point) * scale;
      }
    }
  }
}

/// Calls body with a value of the element type of an integer dtype.
template <class Body>
void with_integer_type(DType dtype, Body body) {
  switch (dtype) {
    case DType::int8:
      return body(int8_t{});
    case DType::uint8:
      return body(uint8_t{});
    case DType::int16:
      return body(int16_t{});
    case DType::uint16:
      return body(uint16_t{});
    case DType::int32:
      return body(int32_t{});
    case DType::int64:
      return body(int64_t{});
    case DType::float32:
      break;
  }
  throw Error({ErrorCode::bad_value, "tensor", "float32", "an integer tensor", ""});
}

}  // namespace

void check(const QParams& qparams, std::string_view place) {
  const auto refuse = [place](std::string found, std::string expected) {
    throw Error(
        {ErrorCode::bad_value, std::string(place), std::move(found), std::move(expected), ""});
  };
  if (qparams.type.bits < 1 || qparams.type.bits > (qparams.type.is_signed ? 64 : 63) ||
      qparams.quant_min > qparams.quant_max || qparams.quant_min < qparams.type.min() ||
      qparams.quant_max > qparams.type.max()) {
    refuse(fmt::format("range [{}, {}] of {}-bit codes", qparams.quant_min, qparams.quant_max,
                       qparams.type.bits),
           "quant_min <= quant_max inside the type");
  }
  if (qparams.scale.empty() || qparams.scale.size() != qparams.zero_point.size()) {
    refuse(fmt::format("{} scales and {} zero points", qparams.scale.size(),
                       qparams.zero_point.size()),
           "one zero point per scale");
  }
  if (!qparams.per_channel() && qparams.scale.size() != 1) {
    refuse(fmt::format("{} scales without a channel axis", qparams.scale.size()), "one scale");
  }
  for (size_t c = 0; c < qparams.scale.size(); ++c) {
    if (!std::isnormal(qparams.scale[c]) || qparams.scale[c] < 0) {
      refuse(fmt::format("scale {} (channel {})", qparams.scale[c], c),
             "a normal float32 number > 0");
    }
    if (qparams.zero_point[c] < qparams.quant_min || qparams.zero_point[c] > qparams.quant_max) {
      refuse(fmt::format("zero point {} (channel {})", qparams.zero_point[c], c),
             fmt::format("a code in [{}, {}]", qparams.quant_min, qparams.quant_max));
    }
  }
}

QParams choose_qparams(std::span<const float> min, std::span<const float> max,
                       const TensorSpec& spec, float min_scale) {
  if (min.empty() || min.size() != max.size()) {
    throw Error({ErrorCode::bad_value, "observed range",
                 fmt::format("{} minima and {} maxima", min.size(), max.size()),
                 "one of each per channel", ""});
  }
  QParams out;
  out.type = spec.type;
  out.quant_min = spec.quant_min();
  out.quant_max = spec.quant_max();
  out.channel_axis =
      spec.granularity == TensorSpec::Granularity::per_channel ? spec.channel_axis : -1;
  out.scale.clear();
  out.zero_point.clear();
  for (size_t c = 0; c < min.size(); ++c) {
    if (!std::isfinite(min[c]) || !std::isfinite(max[c]) || min[c] > max[c]) {
      throw Error({ErrorCode::bad_value, fmt::format("observed range, channel {}", c),
                   fmt::format("[{}, {}]", min[c], max[c]), "finite and min <= max", ""});
    }
    const float low = std::min(min[c], 0.0f);
    const float high = std::max(max[c], 0.0f);
    float scale = std::max(covering_scale(low, high, spec), min_scale);
    if (spec.scale == TensorSpec::Scale::power_of_two) scale = next_power_of_two(scale);
    if (spec.scale == TensorSpec::Scale::nearest_power_of_two) scale = nearest_power_of_two(scale);
    int64_t zero_point = 0;
    if (spec.zero_point == TensorSpec::ZeroPoint::middle) {
      zero_point = (out.quant_min + out.quant_max + 1) / 2;
    }
    if (spec.zero_point == TensorSpec::ZeroPoint::any) {
      const double steps = sim::round_real(sim::Rounding::half_even, low / scale);
      zero_point = static_cast<int64_t>(std::clamp(static_cast<double>(out.quant_min) - steps,
                                                   static_cast<double>(out.quant_min),
                                                   static_cast<double>(out.quant_max)));
    }
    out.scale.push_back(scale);
    out.zero_point.push_back(zero_point);
  }
  check(out, "observed range");
  return out;
}

Tensor quantize(const Tensor& real, const QParams& qparams, const TensorSpec& spec) {
  check(qparams, "quantize");
  Tensor codes = Tensor::uninitialized(qparams.type.storage(), real.shape());
  with_integer_type(codes.dtype(), [&](auto element) {
    quantize_into<decltype(element)>(real, qparams, spec, codes);
  });
  return codes;
}

Tensor dequantize(const Tensor& codes, const QParams& qparams) {
  check(qparams, "dequantize");
  Tensor real = Tensor::uninitialized(DType::float32, codes.shape());
  with_integer_type(codes.dtype(), [&](auto element) {
    dequantize_from<decltype(element)>(codes, qparams, real);
  });
  return real;
}

}  // namespace facsim::quant
