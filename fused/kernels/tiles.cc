// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/tiles.h"

#include <algorithm>
#include <bit>
#include <cstring>

// Sizeless vectors cannot be kept in arrays.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fused/kernels/tiles.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace facsim::fused::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Accumulators must stay in registers: 12 pixels (or items) x 2 vectors of 32, 4 x 2 (6 x 2) of 16.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kMaxGroups = 3;
constexpr int kMaxItems = 12;
#else
constexpr int kMaxGroups = 1;
constexpr int kMaxItems = 6;
#endif
// GCC keeps an array of vectors in registers only if every loop over it is unrolled.
#define FACSIM_UNROLL _Pragma("GCC unroll 24")

#if !HWY_NATIVE_FMA
/// a * b + c with one rounding. The product is exact in double; the sum is rounded to odd there,
/// after which rounding to float is correct (Boldo and Melquiond, "Emulation of FMA and correctly
/// rounded sums", 2008).
inline float FusedMultiplyAdd(float a, float b, float c) {
  const double product = static_cast<double>(a) * b;
  const double sum = product + c;
  const double c_part = sum - product;
  const double error = (product - (sum - c_part)) + (c - c_part);
  uint64_t bits = std::bit_cast<uint64_t>(sum);
  const bool inexact = error > 0 || error < 0;
  if (inexact && (bits & 1) == 0) bits += (error > 0) == (sum > 0) ? 1 : -1;
  return static_cast<float>(std::bit_cast<double>(bits));
}
#endif

HWY_INLINE V Fma(V a, V b, V c) {
#if HWY_NATIVE_FMA
  return hn::MulAdd(a, b, c);
#else
  constexpr size_t kLanes = hn::MaxLanes(D());
  HWY_ALIGN float la[kLanes], lb[kLanes], lc[kLanes];
  const D d;
  hn::Store(a, d, la);
  hn::Store(b, d, lb);
  hn::Store(c, d, lc);
  for (size_t i = 0; i < kLanes; ++i) lc[i] = FusedMultiplyAdd(la[i], lb[i], lc[i]);
  return hn::Load(d, lc);
#endif
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }
int64_t VectorWidth() { return static_cast<int64_t>(hn::Lanes(D())); }

template <int kGroups, int kVectors>
HWY_NOINLINE void ConvTile(const ConvTiles& t, const PixelGroup* groups,
                           const float* HWY_RESTRICT w, int64_t channel, int64_t count) {
  const D d;
  const int64_t lanes = VectorWidth();
  const int64_t step = t.pixel_step, step3 = 3 * step;
  // The outputs' cache lines arrive while the sums are made.
  FACSIM_UNROLL
  for (int i = 0; i < kGroups * 4; ++i) {
    const float* y = groups[i / 4].y + std::min(i % 4, groups[i / 4].valid - 1) * t.output_step;
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) hwy::Prefetch(y + channel + v * lanes);
  }
  V acc[kGroups * 4 * kVectors];
  FACSIM_UNROLL
  for (int i = 0; i < kGroups * 4 * kVectors; ++i) acc[i] = hn::Zero(d);
  for (const int64_t segment : t.segments) {
    const float* x[kGroups];
    FACSIM_UNROLL
    for (int g = 0; g < kGroups; ++g) x[g] = groups[g].x + segment;
    for (int64_t k = 0; k < t.run; ++k) {
      V weight[kVectors];
      FACSIM_UNROLL
      for (int v = 0; v < kVectors; ++v) weight[v] = hn::Load(d, w + v * lanes);
      w += 2 * lanes;
      FACSIM_UNROLL
      for (int g = 0; g < kGroups; ++g) {
        const V pixel[4] = {hn::Set(d, x[g][0]), hn::Set(d, x[g][step]), hn::Set(d, x[g][2 * step]),
                            hn::Set(d, x[g][step3])};
        ++x[g];
        FACSIM_UNROLL
        for (int i = 0; i < 4 * kVectors; ++i) {
          V& a = acc[g * 4 * kVectors + i];
          a = Fma(pixel[i / kVectors], weight[i % kVectors], a);
        }
      }
    }
  }
  if (HWY_LIKELY(count >= kVectors * lanes)) {
    FACSIM_UNROLL
    for (int i = 0; i < kGroups * 4; ++i) {
      if (i % 4 >= groups[i / 4].valid) continue;
      float* y = groups[i / 4].y + i % 4 * t.output_step + channel;
      FACSIM_UNROLL
      for (int v = 0; v < kVectors; ++v) hn::StoreU(acc[i * kVectors + v], d, y + v * lanes);
    }
    return;
  }
  FACSIM_UNROLL
  for (int i = 0; i < kGroups * 4; ++i) {
    if (i % 4 >= groups[i / 4].valid) continue;
    float* y = groups[i / 4].y + i % 4 * t.output_step + channel;
    HWY_ALIGN float part[kVectors * hn::MaxLanes(D())];
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) hn::Store(acc[i * kVectors + v], d, part + v * lanes);
    std::memcpy(y, part, static_cast<size_t>(count) * sizeof(float));
  }
}

template <int kVectors>
void ConvBlock(const ConvTiles& t, const float* weights, int64_t channel, int64_t count) {
  const size_t n = t.groups.size();
  for (size_t i = 0; i < n;) {
    const PixelGroup* groups = t.groups.data() + i;
    const size_t left = n - i;
    if constexpr (kMaxGroups >= 3) {
      if (left >= 3 && left != 4) {  // 4 groups go as 2 + 2
        ConvTile<3, kVectors>(t, groups, weights, channel, count);
        i += 3;
        continue;
      }
      if (left >= 2) {
        ConvTile<2, kVectors>(t, groups, weights, channel, count);
        i += 2;
        continue;
      }
    }
    ConvTile<1, kVectors>(t, groups, weights, channel, count);
    i += 1;
  }
}

void Convolve(const ConvTiles& t) {
  const int64_t lanes = VectorWidth();
  const int64_t block = 2 * lanes;
  const int64_t block_size = static_cast<int64_t>(t.segments.size()) * t.run * block;
  const float* weights = t.weights;
  for (int64_t channel = 0; channel < t.channels; channel += block, weights += block_size) {
    const int64_t count = std::min(block, t.channels - channel);
    if (count > lanes) {
      ConvBlock<2>(t, weights, channel, count);
    } else {
      ConvBlock<1>(t, weights, channel, count);
    }
  }
}

template <int kItems, int kVectors>
HWY_NOINLINE void GradientTile(const GradientTiles& t, int64_t item, int64_t channel) {
  const D d;
  const int64_t lanes = VectorWidth();
  float* sums = t.sums + item * t.sums_step + channel;
  V acc[kItems * kVectors];
  FACSIM_UNROLL
  for (int i = 0; i < kItems * kVectors; ++i) {
    acc[i] = hn::Load(d, sums + i / kVectors * t.sums_step + i % kVectors * lanes);
  }
  for (int64_t image = 0; image < t.images; ++image) {
    for (int64_t row = 0; row < t.rows; ++row) {
      const float* HWY_RESTRICT x = t.x + image * t.x_image + row * t.x_row + item;
      const float* HWY_RESTRICT dy = t.dy + image * t.dy_image + row * t.dy_row + channel;
      for (int64_t column = 0; column < t.columns; ++column) {
        V gradient[kVectors];
        FACSIM_UNROLL
        for (int v = 0; v < kVectors; ++v) gradient[v] = hn::LoadU(d, dy + v * lanes);
        FACSIM_UNROLL
        for (int i = 0; i < kItems; ++i) {
          const V value = hn::Set(d, x[i]);
          FACSIM_UNROLL
          for (int v = 0; v < kVectors; ++v) {
            acc[i * kVectors + v] = Fma(value, gradient[v], acc[i * kVectors + v]);
          }
        }
        x += t.x_column;
        dy += t.dy_column;
      }
    }
  }
  FACSIM_UNROLL
  for (int i = 0; i < kItems * kVectors; ++i) {
    hn::Store(acc[i], d, sums + i / kVectors * t.sums_step + i % kVectors * lanes);
  }
}

template <int kItems, int kVectors>
void GradientTileOf(const GradientTiles& t, int64_t items, int64_t item, int64_t channel) {
  if (items == kItems) {
    GradientTile<kItems, kVectors>(t, item, channel);
  } else if constexpr (kItems > 1) {
    GradientTileOf<kItems - 1, kVectors>(t, items, item, channel);
  }
}

void AccumulateGradient(const GradientTiles& t) {
  const int64_t lanes = VectorWidth();
  // Equal tiles instead of full ones and a small rest: 16 items go as 8 + 8.
  const int64_t tiles = (t.items + kMaxItems - 1) / kMaxItems;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t item = t.items * tile / tiles;
    const int64_t items = t.items * (tile + 1) / tiles - item;
    for (int64_t channel = 0; channel < t.channels; channel += 2 * lanes) {
      if (t.channels - channel > lanes) {
        GradientTileOf<kMaxItems, 2>(t, items, item, channel);
      } else {
        GradientTileOf<kMaxItems, 1>(t, items, item, channel);
      }
    }
  }
}

void CopyRows(const RowCopy& copy) {
  const D d;
  const int64_t lanes = VectorWidth();
  for (int64_t i = 0; i < copy.count; ++i) {
    const float* HWY_RESTRICT from = copy.from + i * copy.from_step;
    float* HWY_RESTRICT to = copy.to + i * copy.to_step;
    int64_t k = 0;
    for (; k + lanes <= copy.width; k += lanes) hn::StoreU(hn::LoadU(d, from + k), d, to + k);
    for (; k < copy.width; ++k) to[k] = from[k];
  }
}

void ConvolveDepthwise(const DepthwiseTiles& t) {
  const D d;
  const int64_t lanes = VectorWidth();
  const int64_t step = t.pixel_step;
  for (const PixelGroup& group : t.groups) {
    for (int64_t channel = 0; channel < t.channels; channel += lanes) {
      V acc[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
      const float* w = t.weights + channel;
      for (const int64_t tap : t.taps) {
        const float* x = group.x + tap + channel;
        const V weight = hn::Load(d, w);
        w += t.weights_step;
        FACSIM_UNROLL
        for (int i = 0; i < 4; ++i) acc[i] = Fma(hn::LoadU(d, x + i * step), weight, acc[i]);
      }
      const int64_t count = std::min(lanes, t.channels - channel);
      FACSIM_UNROLL
      for (int i = 0; i < 4; ++i) {
        if (i < group.valid) {
          float* y = group.y + i * t.output_step + channel;
          if (count == lanes) {
            hn::StoreU(acc[i], d, y);
          } else {
            HWY_ALIGN float part[hn::MaxLanes(D())];
            hn::Store(acc[i], d, part);
            std::memcpy(y, part, static_cast<size_t>(count) * sizeof(float));
          }
        }
      }
    }
  }
}

template <int kTaps>
HWY_NOINLINE void DepthwiseGradientTile(const DepthwiseGradientTiles& t, size_t tap,
                                        int64_t channel) {
  const D d;
  float* sums = t.sums + static_cast<int64_t>(tap) * t.sums_step + channel;
  int64_t offsets[kTaps];
  V acc[kTaps];
  FACSIM_UNROLL
  for (int i = 0; i < kTaps; ++i) {
    offsets[i] = t.taps[tap + static_cast<size_t>(i)];
    acc[i] = hn::Load(d, sums + i * t.sums_step);
  }
  for (int64_t image = 0; image < t.images; ++image) {
    for (int64_t row = 0; row < t.rows; ++row) {
      const float* HWY_RESTRICT x = t.x + image * t.x_image + row * t.x_row + channel;
      const float* HWY_RESTRICT dy = t.dy + image * t.dy_image + row * t.dy_row + channel;
      for (int64_t column = 0; column < t.columns; ++column) {
        const V gradient = hn::LoadU(d, dy);
        FACSIM_UNROLL
        for (int i = 0; i < kTaps; ++i)
          acc[i] = Fma(hn::LoadU(d, x + offsets[i]), gradient, acc[i]);
        x += t.x_column;
        dy += t.dy_column;
      }
    }
  }
  FACSIM_UNROLL
  for (int i = 0; i < kTaps; ++i) hn::Store(acc[i], d, sums + i * t.sums_step);
}

void AccumulateDepthwiseGradient(const DepthwiseGradientTiles& t) {
  const int64_t lanes = VectorWidth();
  const size_t taps = t.taps.size();
  for (int64_t channel = 0; channel < t.sums_step; channel += lanes) {
    size_t tap = 0;
    for (; tap + 5 <= taps; tap += 5) DepthwiseGradientTile<5>(t, tap, channel);
    for (; tap + 2 <= taps; tap += 2) DepthwiseGradientTile<2>(t, tap, channel);
    for (; tap < taps; ++tap) DepthwiseGradientTile<1>(t, tap, channel);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::fused::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::fused::kernels {

HWY_EXPORT(TargetName);
HWY_EXPORT(VectorWidth);
HWY_EXPORT(Convolve);
HWY_EXPORT(AccumulateGradient);
HWY_EXPORT(CopyRows);
HWY_EXPORT(ConvolveDepthwise);
HWY_EXPORT(AccumulateDepthwiseGradient);

const char* target_name() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }
int64_t vector_width() { return HWY_DYNAMIC_DISPATCH(VectorWidth)(); }
int64_t block_width() { return 2 * vector_width(); }
void convolve(const ConvTiles& tiles) { HWY_DYNAMIC_DISPATCH(Convolve)(tiles); }
void accumulate_gradient(const GradientTiles& tiles) {
  HWY_DYNAMIC_DISPATCH(AccumulateGradient)(tiles);
}
void copy_rows(const RowCopy& copy) { HWY_DYNAMIC_DISPATCH(CopyRows)(copy); }
void convolve_depthwise(const DepthwiseTiles& tiles) {
  HWY_DYNAMIC_DISPATCH(ConvolveDepthwise)(tiles);
}
void accumulate_depthwise_gradient(const DepthwiseGradientTiles& tiles) {
  HWY_DYNAMIC_DISPATCH(AccumulateDepthwiseGradient)(tiles);
}

}  // namespace facsim::fused::kernels
#endif
