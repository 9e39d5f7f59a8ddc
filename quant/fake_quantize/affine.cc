// SPDX-License-Identifier: Apache-2.0
#include "quant/fake_quantize/affine.h"

#include <algorithm>
#include <cmath>

#include "quant/channel_view.h"
#include "sim/rounding/all.h"

namespace facsim::quant {

namespace {

/// One run of elements that share scale and zero point.
struct Run {
  float scale, reciprocal, zero_point, quant_min, quant_max;
};

template <class Mode, TensorSpec::Formula kFormula, TensorSpec::ZeroPointAdd kAdd, class Code>
void quantize_run(const float* x, int64_t count, const Run& run, Code* codes, float* real,
                  uint8_t* inside) {
  constexpr float kTwoTo63 = 9223372036854775808.0f;
  for (int64_t i = 0; i < count; ++i) {
    float v = kFormula == TensorSpec::Formula::division ? x[i] / run.scale : x[i] * run.reciprocal;
    if constexpr (kAdd == TensorSpec::ZeroPointAdd::before_rounding) v += run.zero_point;
    if constexpr (kAdd == TensorSpec::ZeroPointAdd::before_rounding_fused) {
      v = std::fma(x[i], run.reciprocal, run.zero_point);
    }
    float q = sim::rounding::real<Mode>(v);
    if constexpr (kAdd == TensorSpec::ZeroPointAdd::after_rounding) q += run.zero_point;
    const bool fits_int64 = q >= -kTwoTo63 && q < kTwoTo63;  // false for NaN
    inside[i] = static_cast<uint8_t>(fits_int64 && q >= run.quant_min && q <= run.quant_max);
    const float code = fits_int64 ? std::clamp(q, run.quant_min, run.quant_max) : run.quant_min;
    codes[i] = static_cast<Code>(code);
    real[i] = (code - run.zero_point) * run.scale;
  }
}

/// Calls body with an element pointer type for each storage type a fake quantizer may have: codes
/// and zero points up to 24 bits are exact in float32.
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

template <class Body>
void with_formula(const TensorSpec& spec, Body body) {
  using F = TensorSpec::Formula;
  using Z = TensorSpec::ZeroPointAdd;
  const auto with = [&]<F kFormula>() {
    switch (spec.zero_point_add) {
      case Z::after_rounding:
        return body.template operator()<kFormula, Z::after_rounding>();
      case Z::before_rounding:
        return body.template operator()<kFormula, Z::before_rounding>();
      case Z::before_rounding_fused:
        return body.template operator()<kFormula, Z::before_rounding_fused>();
    }
  };
  if (spec.formula == F::division) {
    with.template operator()<F::division>();
  } else {
    with.template operator()<F::reciprocal>();
  }
}

}  // namespace

FakeQuantized fake_quantize(const Tensor& x, const QParams& qparams, const TensorSpec& spec) {
  const ChannelView view = channel_view(x.shape(), qparams);
  FakeQuantized out{Tensor::uninitialized(qparams.type.storage(), x.shape()),
                    Tensor::uninitialized(DType::float32, x.shape()),
                    Tensor::uninitialized(DType::uint8, x.shape())};
  with_code_type(out.codes.dtype(), [&]<class Code>(Code) {
    sim::with_rounding(spec.rounding, [&]<class Mode>(Mode) {
      with_formula(spec, [&]<TensorSpec::Formula kFormula, TensorSpec::ZeroPointAdd kAdd>() {
        for (int64_t run = 0; run < view.outer * view.channels; ++run) {
          const auto c = static_cast<size_t>(run % view.channels);
          const int64_t first = run * view.inner;
          quantize_run<Mode, kFormula, kAdd>(
              x.data<float>() + first, view.inner,
              Run{qparams.scale[c], 1.0f / qparams.scale[c],
                  static_cast<float>(qparams.zero_point[c]), static_cast<float>(qparams.quant_min),
                  static_cast<float>(qparams.quant_max)},
              out.codes.data<Code>() + first, out.real.data<float>() + first,
              out.inside.data<uint8_t>() + first);
        }
      });
    });
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
