// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/weight_pass.h"

#include <algorithm>
#include <atomic>
#include <limits>

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fused/kernels/weight_pass.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace facsim::fused::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

bool RangeOfRow(int64_t inner, const float* w, float* min, float* max) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float largest = std::numeric_limits<float>::max();
  float low = std::numeric_limits<float>::infinity(), high = -low;
  bool finite = true;
  int64_t i = 0;
  if (inner >= lanes) {
    auto lows = hn::LoadU(d, w), highs = lows;
    auto odd = hn::Zero(d);  // NaN once a weight was not finite: inf * 0
    for (; i + lanes <= inner; i += lanes) {
      const auto v = hn::LoadU(d, w + i);
      lows = hn::Min(lows, v);
      highs = hn::Max(highs, v);
      odd = hn::Add(odd, hn::Mul(v, hn::Zero(d)));
    }
    low = hn::GetLane(hn::MinOfLanes(d, lows));
    high = hn::GetLane(hn::MaxOfLanes(d, highs));
    finite = hn::AllTrue(d, hn::Eq(odd, hn::Zero(d)));
  }
  for (; i < inner; ++i) {
    low = std::min(low, w[i]);
    high = std::max(high, w[i]);
    finite = finite && w[i] >= -largest && w[i] <= largest;
  }
  *min = low;
  *max = high;
  return finite;
}

void ScaleRow(int64_t inner, const float* w, float factor, float* out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= inner; i += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, w + i), hn::Set(d, factor)), d, out + i);
  }
  for (; i < inner; ++i) out[i] = w[i] * factor;
}

void GradientOfRow(const WeightGradient& p, int64_t c) {
  constexpr int64_t kSums = 8;
  const hn::CappedTag<double, kSums> d;
  const hn::Rebind<float, decltype(d)> f32;
  const hn::Rebind<uint8_t, decltype(d)> u8;
  const hn::RebindToSigned<decltype(f32)> i32;
  constexpr int kVectors = static_cast<int>(kSums / hn::MaxLanes(d));
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t first = c * p.inner;
  const float factor = p.factor[c];
  hn::Vec<decltype(d)> passed_w[kVectors], gradient_wq[kVectors];
  for (int v = 0; v < kVectors; ++v) passed_w[v] = gradient_wq[v] = hn::Zero(d);
  int64_t i = 0;
  for (; i + kSums <= p.inner; i += kSums) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const int64_t at = first + i + v * lanes;
      const auto gradient = hn::LoadU(f32, p.gradient + at);
      const auto inside = hn::PromoteTo(i32, hn::LoadU(u8, p.inside + at));
      const auto passed =
          hn::IfThenElseZero(hn::RebindMask(f32, hn::Ne(inside, hn::Zero(i32))), gradient);
      hn::StoreU(hn::Mul(hn::Set(f32, factor), passed), f32, p.grad + at);
      passed_w[v] = hn::Add(passed_w[v], hn::Mul(hn::PromoteTo(d, passed),
                                                 hn::PromoteTo(d, hn::LoadU(f32, p.w + at))));
      gradient_wq[v] =
          hn::Add(gradient_wq[v],
                  hn::Mul(hn::PromoteTo(d, gradient), hn::PromoteTo(d, hn::LoadU(f32, p.wq + at))));
    }
  }
  HWY_ALIGN double passed_sums[kSums], gradient_sums[kSums];
  for (int v = 0; v < kVectors; ++v) {
    hn::Store(passed_w[v], d, passed_sums + v * lanes);
    hn::Store(gradient_wq[v], d, gradient_sums + v * lanes);
  }
  double passed_sum = 0, gradient_sum = 0;
  for (int64_t s = 0; s < kSums; ++s) {
    passed_sum += passed_sums[s];
    gradient_sum += gradient_sums[s];
  }
  for (; i < p.inner; ++i) {
    const int64_t at = first + i;
    const float passed = p.inside[at] != 0 ? p.gradient[at] : 0.0f;
    p.grad[at] = factor * passed;
    passed_sum += static_cast<double>(passed) * static_cast<double>(p.w[at]);
    gradient_sum += static_cast<double>(p.gradient[at]) * static_cast<double>(p.wq[at]);
  }
  p.passed_w[c] = passed_sum;
  p.gradient_wq[c] = gradient_sum;
}

}  // namespace facsim::fused::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::fused::kernels {

HWY_EXPORT(RangeOfRow);
HWY_EXPORT(ScaleRow);
HWY_EXPORT(GradientOfRow);

bool channel_ranges(int64_t channels, int64_t inner, const float* w, float* min, float* max,
                    sim::ThreadPool* pool) {
  std::atomic<bool> finite = true;
  sim::parallel_for(pool, channels, [&](int64_t c) {
    if (!HWY_DYNAMIC_DISPATCH(RangeOfRow)(inner, w + c * inner, min + c, max + c)) finite = false;
  });
  return finite;
}

void scale_rows(int64_t channels, int64_t inner, const float* w, const float* factor, float* out,
                sim::ThreadPool* pool) {
  sim::parallel_for(pool, channels, [&](int64_t c) {
    HWY_DYNAMIC_DISPATCH(ScaleRow)(inner, w + c * inner, factor[c], out + c * inner);
  });
}

void masked_weight_gradient(const WeightGradient& pass, sim::ThreadPool* pool) {
  sim::parallel_for(pool, pass.channels, [&](int64_t c) {
    HWY_DYNAMIC_DISPATCH(GradientOfRow)(pass, c);
  });
}

}  // namespace facsim::fused::kernels
#endif  // HWY_ONCE
