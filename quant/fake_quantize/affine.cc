// SPDX-License-Identifier: Apache-2.0
#include "quant/fake_quantize/affine.h"

#include <algorithm>
#include <cmath>

#include "quant/channel_view.h"
#include "sim/rounding/all.h"

// Plain loops: each target's own compiler options vectorise them. Every operation is rounded on its
// own (contraction is off), so every target gives the same bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/fake_quantize/affine.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef FACSIM_QUANT_FAKE_QUANTIZE_AFFINE_ONCE
#define FACSIM_QUANT_FAKE_QUANTIZE_AFFINE_ONCE
namespace facsim::quant {
/// A run of elements that share scale and zero point.
struct FakeQuantizeRun {
  float scale, reciprocal, zero_point, quant_min, quant_max;
};
}  // namespace facsim::quant
#endif

HWY_BEFORE_NAMESPACE();
namespace facsim::quant::HWY_NAMESPACE {

/// Elements are taken in blocks that stay in the first cache: scaled, rounded, clamped.
constexpr int64_t kBlock = 1024;
using Run = FakeQuantizeRun;

/// v = what is rounded.
void scale_block(const float* __restrict x, int64_t count, Run run, const TensorSpec& spec,
                 float* __restrict v) {
  using Z = TensorSpec::ZeroPointAdd;
  if (spec.zero_point_add == Z::before_rounding_fused) {
    for (int64_t i = 0; i < count; ++i) v[i] = std::fma(x[i], run.reciprocal, run.zero_point);
    return;
  }
  if (spec.formula == TensorSpec::Formula::division) {
    for (int64_t i = 0; i < count; ++i) v[i] = x[i] / run.scale;
  } else {
    for (int64_t i = 0; i < count; ++i) v[i] = x[i] * run.reciprocal;
  }
  if (spec.zero_point_add == Z::before_rounding) {
    for (int64_t i = 0; i < count; ++i) v[i] += run.zero_point;
  }
}

/// sim's rounding in the form that compilers vectorise; from 2^23 on a float32 is integral already
/// (or NaN) and stays.
template <class Mode>
void round_block(const float* __restrict v, int64_t count, float* __restrict fraction,
                 float* __restrict out) {
  constexpr float kIntegral = 8388608.0f;
  for (int64_t i = 0; i < count; ++i) fraction[i] = std::fabs(v[i]) < kIntegral ? v[i] : 0.0f;
  for (int64_t i = 0; i < count; ++i) {
    fraction[i] = static_cast<float>(sim::rounding::to_integer<Mode, int32_t>(fraction[i]));
  }
  for (int64_t i = 0; i < count; ++i) out[i] = std::fabs(v[i]) < kIntegral ? fraction[i] : v[i];
}

template <class Code>
void clamp_block(const float* __restrict q, int64_t count, Run run, float plus,
                 Code* __restrict codes, float* __restrict real, uint8_t* __restrict inside) {
  constexpr float kTwoTo63 = 9223372036854775808.0f;
  for (int64_t i = 0; i < count; ++i) {
    const float code = q[i] + plus;
    const bool fits_int64 = std::fabs(code) < kTwoTo63;  // false for NaN
    const bool low = code<run.quant_min, high = code> run.quant_max;
    float clamped = low ? run.quant_min : code;
    clamped = high ? run.quant_max : clamped;
    clamped = fits_int64 ? clamped : run.quant_min;
    inside[i] = static_cast<uint8_t>(fits_int64 & !low & !high);
    codes[i] = static_cast<Code>(static_cast<int32_t>(clamped));
    real[i] = (clamped - run.zero_point) * run.scale;
  }
}

/// Calls body with an element of each storage type a fake quantizer may have: codes and zero points
/// up to 24 bits are exact in float32.
template <class Body>
void with_code_type(DType dtype, Body body) {
  switch (dtype) {
    case DType::int8:
      return body(int8_t{});
    case DType::uint8:
      return body(uint8_t{});
    case DType::int16:
      return body(int16_t{});
    case DType::uint16:
      return body(uint16_t{});
    default:
      throw Error({ErrorCode::unsupported, "fake quantizer",
                   std::string(to_string(dtype)) + " codes", "at most 16 bits", ""});
  }
}

void QuantizeElements(const Tensor& x, int64_t begin, int64_t end, const Run& run,
                      const TensorSpec& spec, FakeQuantized& out) {
  const bool adds_after = spec.zero_point_add == TensorSpec::ZeroPointAdd::after_rounding;
  float v[kBlock], fraction[kBlock], rounded[kBlock];
  for (int64_t at = begin; at < end; at += kBlock) {
    const int64_t count = std::min(kBlock, end - at);
    scale_block(x.data<float>() + at, count, run, spec, v);
    sim::with_rounding(spec.rounding,
                       [&]<class Mode>(Mode) { round_block<Mode>(v, count, fraction, rounded); });
    with_code_type(out.codes.dtype(), [&]<class Code>(Code) {
      clamp_block(rounded, count, run, adds_after ? run.zero_point : 0.0f,
                  out.codes.data<Code>() + at, out.real.data<float>() + at,
                  out.inside.data<uint8_t>() + at);
    });
  }
}

}  // namespace facsim::quant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::quant {

HWY_EXPORT(QuantizeElements);

FakeQuantized fake_quantize(const Tensor& x, const QParams& qparams, const TensorSpec& spec,
                            sim::ThreadPool* pool) {
  const ChannelView view = channel_view(x.shape(), qparams);
  FakeQuantized out{Tensor::uninitialized(qparams.type.storage(), x.shape()),
                    Tensor::uninitialized(DType::float32, x.shape()),
                    Tensor::uninitialized(DType::uint8, x.shape())};
  // Tasks of about kTask elements: several channels, or a part of one.
  constexpr int64_t kTask = 16384;
  const int64_t runs = view.outer * view.channels;
  const int64_t parts = std::max<int64_t>(1, view.inner / kTask);
  const int64_t runs_per_task = std::max<int64_t>(1, kTask / std::max<int64_t>(1, view.inner));
  const auto quantize_part = [&](int64_t number, int64_t part) {
    const auto c = static_cast<size_t>(number % view.channels);
    const FakeQuantizeRun run{
        qparams.scale[c], 1.0f / qparams.scale[c], static_cast<float>(qparams.zero_point[c]),
        static_cast<float>(qparams.quant_min), static_cast<float>(qparams.quant_max)};
    const int64_t end = number * view.inner + view.inner * (part + 1) / parts;
    HWY_DYNAMIC_DISPATCH(QuantizeElements)
    (x, number * view.inner + view.inner * part / parts, end, run, spec, out);
  };
  sim::parallel_for(pool, (runs * parts + runs_per_task - 1) / runs_per_task, [&](int64_t task) {
    const int64_t end = std::min((task + 1) * runs_per_task, runs * parts);
    for (int64_t i = task * runs_per_task; i < end; ++i) quantize_part(i / parts, i % parts);
  });
  return out;
}

Tensor straight_through(const Tensor& dy, const Tensor& inside) {
  FACSIM_CHECK_EQ(dy.numel(), inside.numel());
  Tensor dx = Tensor::uninitialized(DType::float32, dy.shape());
  const float* g = dy.data<float>();
  const uint8_t* pass = inside.data<uint8_t>();
  float* out = dx.data<float>();
  for (int64_t i = 0; i < dy.numel(); ++i) out[i] = pass[i] != 0 ? g[i] : 0.0f;
  return dx;
}

RangeGradient range_gradient(const Tensor& dy, const Tensor& x, const FakeQuantized& forward,
                             const QParams& qparams, double factor) {
  FACSIM_CHECK_EQ(dy.numel(), x.numel());
  const ChannelView view = channel_view(x.shape(), qparams);
  std::vector<double> scale_sum(qparams.scale.size()), zero_point_sum(qparams.scale.size());
  const float* g = dy.data<float>();
  const float* v = x.data<float>();
  const float* real = forward.real.data<float>();
  const uint8_t* inside = forward.inside.data<uint8_t>();
  for (int64_t run = 0; run < view.outer * view.channels; ++run) {
    const auto c = static_cast<size_t>(run % view.channels);
    const double scale = qparams.scale[c];
    for (int64_t i = run * view.inner; i < (run + 1) * view.inner; ++i) {
      if (inside[i] != 0) {
        scale_sum[c] += g[i] * ((static_cast<double>(real[i]) - v[i]) / scale);
      } else {
        const int64_t code = forward.codes.int_at(i);  // quant_min or quant_max
        scale_sum[c] += g[i] * static_cast<double>(code - qparams.zero_point[c]);
        zero_point_sum[c] -= g[i] * scale;
      }
    }
  }
  RangeGradient out;
  for (size_t c = 0; c < scale_sum.size(); ++c) {
    out.scale.push_back(static_cast<float>(factor * scale_sum[c]));
    out.zero_point.push_back(static_cast<float>(factor * zero_point_sum[c]));
  }
  return out;
}

}  // namespace facsim::quant
#endif  // HWY_ONCE
