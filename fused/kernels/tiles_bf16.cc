// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx512bf16 on its own: Highway 1.0.3 has no target with it.
#include "fused/kernels/tiles_bf16-internal.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>

namespace facsim::fused::kernels {
namespace {

// Accumulators stay in registers only if every loop over them is unrolled (GCC 12).
#define FACSIM_UNROLL _Pragma("GCC unroll 24")

inline __m512bh broadcast(const float* word) {
  int32_t pair;
  __builtin_memcpy(&pair, word, sizeof pair);
  return (__m512bh)_mm512_set1_epi32(pair);
}

inline __m512bh load(const float* words) { return (__m512bh)_mm512_loadu_si512(words); }

/// The first `count` of 16 lanes.
inline __mmask16 first_lanes(int64_t count) {
  if (count >= 16) return 0xffff;
  return count <= 0 ? 0 : static_cast<__mmask16>((1u << count) - 1);
}

/// 4 * kGroups pixels by 16 * kVectors channels.
template <int kGroups, int kVectors>
void conv_tile(const Bf16Conv& t, const PixelGroup* groups, const float* w, int64_t channel) {
  constexpr int kPixels = 4 * kGroups;
  const int64_t step = t.pixel_step;
  FACSIM_UNROLL
  for (int i = 0; i < kPixels; ++i) {  // the outputs' cache lines arrive while the sums are made
    const int last = groups[i / 4].valid - 1;
    const float* y = groups[i / 4].y + (i % 4 < last ? i % 4 : last) * t.output_step + channel;
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) _mm_prefetch(y + 16 * v, _MM_HINT_T0);
  }
  __m512 acc[kPixels][kVectors];
  FACSIM_UNROLL
  for (int i = 0; i < kPixels; ++i) {
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[i][v] = _mm512_setzero_ps();
  }
  for (int64_t s = 0; s < t.segment_count; ++s) {
    const float* x[kGroups];
    FACSIM_UNROLL
    for (int g = 0; g < kGroups; ++g) x[g] = groups[g].x + t.segments[s];
    for (int64_t k = 0; k < t.run; ++k) {
      __m512bh weight[kVectors];
      FACSIM_UNROLL
      for (int v = 0; v < kVectors; ++v) weight[v] = load(w + 16 * v);
      w += kBf16Lanes;
      FACSIM_UNROLL
      for (int i = 0; i < kPixels; ++i) {
        const __m512bh pair = broadcast(x[i / 4] + i % 4 * step);
        FACSIM_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          acc[i][v] = _mm512_dpbf16_ps(acc[i][v], pair, weight[v]);
        }
      }
      FACSIM_UNROLL
      for (int g = 0; g < kGroups; ++g) ++x[g];
    }
  }
  FACSIM_UNROLL
  for (int i = 0; i < kPixels; ++i) {
    if (i % 4 >= groups[i / 4].valid) continue;
    float* y = groups[i / 4].y + i % 4 * t.output_step + channel;
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      _mm512_mask_storeu_ps(y + 16 * v, first_lanes(t.channels - channel - 16 * v), acc[i][v]);
    }
  }
}

template <int kVectors>
void conv_block(const Bf16Conv& t, const float* w, int64_t channel) {
  const PixelGroup* group = t.groups;
  const PixelGroup* const end = group + t.group_count;
  while (end - group > 4 || end - group == 3) {  // a rest of 4 is two tiles of 2
    conv_tile<3, kVectors>(t, group, w, channel);
    group += 3;
  }
  for (; end - group >= 2; group += 2) conv_tile<2, kVectors>(t, group, w, channel);
  if (end != group) conv_tile<1, kVectors>(t, group, w, channel);
}

template <int kItems, int kVectors>
void gradient_tile(const GradientTiles& t, int64_t item, int64_t channel) {
  float* sums = t.sums + item * t.sums_step + channel;
  __m512 acc[kItems][kVectors];
  FACSIM_UNROLL
  for (int i = 0; i < kItems; ++i) {
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      acc[i][v] = _mm512_loadu_ps(sums + i * t.sums_step + 16 * v);
    }
  }
  for (int64_t image = 0; image < t.images; ++image) {
    for (int64_t row = 0; row < t.rows; ++row) {
      const float* x = t.x + image * t.x_image + row * t.x_row + item;
      const float* dy = t.dy + image * t.dy_image + row * t.dy_row + channel;
      for (int64_t column = 0; column < t.columns; ++column) {
        __m512bh gradient[kVectors];
        FACSIM_UNROLL
        for (int v = 0; v < kVectors; ++v) gradient[v] = load(dy + 16 * v);
        FACSIM_UNROLL
        for (int i = 0; i < kItems; ++i) {
          const __m512bh pair = broadcast(x + i);
          FACSIM_UNROLL
          for (int v = 0; v < kVectors; ++v) {
            acc[i][v] = _mm512_dpbf16_ps(acc[i][v], pair, gradient[v]);
          }
        }
        x += t.x_column;
        dy += t.dy_column;
      }
    }
  }
  FACSIM_UNROLL
  for (int i = 0; i < kItems; ++i) {
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      _mm512_storeu_ps(sums + i * t.sums_step + 16 * v, acc[i][v]);
    }
  }
}

template <int kItems, int kVectors>
void gradient_tile_of(const GradientTiles& t, int64_t items, int64_t item, int64_t channel) {
  if (items == kItems) {
    gradient_tile<kItems, kVectors>(t, item, channel);
  } else if constexpr (kItems > 1) {
    gradient_tile_of<kItems - 1, kVectors>(t, items, item, channel);
  }
}

void convolve(const Bf16Conv& t) {
  const float* w = t.weights;
  for (int64_t channel = 0; channel < t.channels; channel += kBf16Lanes) {
    if (t.channels - channel > 16) {
      conv_block<2>(t, w, channel);
    } else {
      conv_block<1>(t, w, channel);
    }
    w += t.segment_count * t.run * kBf16Lanes;
  }
}

void accumulate(const GradientTiles& t) {
  constexpr int kMaxItems = 12;
  const int64_t tiles = (t.items + kMaxItems - 1) / kMaxItems;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t item = t.items * tile / tiles;
    const int64_t items = t.items * (tile + 1) / tiles - item;
    for (int64_t channel = 0; channel < t.channels; channel += kBf16Lanes) {
      if (t.channels - channel > 16) {
        gradient_tile_of<kMaxItems, 2>(t, items, item, channel);
      } else {
        gradient_tile_of<kMaxItems, 1>(t, items, item, channel);
      }
    }
  }
}

}  // namespace

Bf16Tiles bf16_tiles() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bf16");
  if (!supported) return {nullptr, nullptr};
  return {convolve, accumulate};
}

}  // namespace facsim::fused::kernels

#else

namespace facsim::fused::kernels {
Bf16Tiles bf16_tiles() { return {nullptr, nullptr}; }
}  // namespace facsim::fused::kernels

#endif
