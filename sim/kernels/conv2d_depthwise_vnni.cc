// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx512vnni on its own.
#include <hwy/detect_targets.h>

#include "sim/kernels/conv2d_tile-internal.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>

namespace facsim::sim {
namespace {

/// A vector of `kPixels` pixels side by side with 64 / kPixels channels each.
template <int kPixels>
inline __m512i load_pixels(const uint8_t* x, int64_t stride) {
  if constexpr (kPixels == 1) return _mm512_loadu_si512(x);
  const auto half = [](const uint8_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  };
  const auto quarter = [](const uint8_t* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  };
  if constexpr (kPixels == 2) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(half(x)), half(x + stride), 1);
  }
  __m512i v = _mm512_castsi128_si512(quarter(x));
  v = _mm512_inserti32x4(v, quarter(x + stride), 1);
  v = _mm512_inserti32x4(v, quarter(x + 2 * stride), 2);
  return _mm512_inserti32x4(v, quarter(x + 3 * stride), 3);
}

/// Four taps as four vectors of quads: unpacked within 128-bit lanes, vector k holds bytes
/// 16 i + 4 k + j of the taps at place 4 i + j.
inline void make_quads(__m512i a, __m512i b, __m512i c, __m512i d, __m512i (&quads)[4]) {
  const __m512i ab_low = _mm512_unpacklo_epi8(a, b);
  const __m512i ab_high = _mm512_unpackhi_epi8(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi8(c, d);
  const __m512i cd_high = _mm512_unpackhi_epi8(c, d);
  quads[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
  quads[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
  quads[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
  quads[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
}

/// Bytes in their own order again: lane i of the vectors becomes vector i.
inline void order_channels(__m512i (&acc)[4]) {
  const __m512i even01 = _mm512_shuffle_i32x4(acc[0], acc[1], 0x88);
  const __m512i odd01 = _mm512_shuffle_i32x4(acc[0], acc[1], 0xdd);
  const __m512i even23 = _mm512_shuffle_i32x4(acc[2], acc[3], 0x88);
  const __m512i odd23 = _mm512_shuffle_i32x4(acc[2], acc[3], 0xdd);
  acc[0] = _mm512_shuffle_i32x4(even01, even23, 0x88);
  acc[1] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
  acc[2] = _mm512_shuffle_i32x4(even01, even23, 0xdd);
  acc[3] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
}

/// kVectors vectors of kPixels pixels, of which the first `count` pixels are written. k3x3: three
/// rows of three taps, which the compiler unrolls; else the job's. Taps that a last step lacks read
/// the row's last one, by weights of 0.
template <int kVectors, int kPixels, bool k3x3>
__attribute__((always_inline)) inline void pixels_at(const TileJob& job, const uint8_t* window,
                                                     int32_t* out, int64_t count) {
  __m512i acc[kVectors][4];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) acc[v][k] = _mm512_loadu_si512(job.init + 16 * k);
  }
  const uint8_t* weights = job.weights;
  const int64_t tap = job.tap_stride, pixel = job.pixel_stride;
  const int64_t runs = k3x3 ? 3 : job.runs;
  const int64_t steps = k3x3 ? 1 : job.steps;
#pragma GCC unroll 3
  for (int64_t r = 0; r < runs; ++r) {
    const uint8_t* x = window + job.run_offset[r];
    for (int64_t s = 0; s < steps; ++s, weights += 4 * kMaxBlockChannels, x += 4 * tap) {
      const int64_t last = k3x3 ? 2 : job.row_taps - 4 * s - 1;
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const uint8_t* at = x + v * kPixels * pixel;
        const __m512i a = load_pixels<kPixels>(at, pixel);
        const __m512i b = last < 1 ? a : load_pixels<kPixels>(at + tap, pixel);
        const __m512i c = last < 2 ? b : load_pixels<kPixels>(at + 2 * tap, pixel);
        const __m512i d = last < 3 ? c : load_pixels<kPixels>(at + 3 * tap, pixel);
        __m512i quads[4];
        make_quads(a, b, c, d, quads);
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          acc[v][k] = _mm512_dpbusd_epi32(acc[v][k], quads[k], _mm512_load_si512(weights + 64 * k));
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    order_channels(acc[v]);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const int at = v * kPixels + k * kPixels / 4;
      if (at >= count) return;
      _mm512_storeu_si512(out + at * job.acc_stride + 16 * (k % (4 / kPixels)), acc[v][k]);
    }
  }
}

template <int kPixels, bool k3x3>
void run_tiles(const TileJob& job) {
  for_each_tile(job, [&](const PixelGroup* group, const PixelTile& tile) {
    for (int64_t pixel = 0; pixel < tile.pixels; pixel += group->count, ++group) {
      if constexpr (kPixels == 1) {
        int64_t p = 0;
        for (; p + 2 <= group->count; p += 2) {
          pixels_at<2, 1, k3x3>(job, group->x + p * job.pixel_stride,
                                group->acc + p * job.acc_stride, 2);
        }
        if (p < group->count) {
          pixels_at<1, 1, k3x3>(job, group->x + p * job.pixel_stride,
                                group->acc + p * job.acc_stride, 1);
        }
      } else {
        pixels_at<4 / kPixels, kPixels, k3x3>(job, group->x, group->acc, group->count);
      }
    }
  });
}

template <bool k3x3>
int64_t run_block(const TileJob& job) {
  switch (depthwise_pixels(job.channels)) {
    case 4:
      run_tiles<4, k3x3>(job);
      break;
    case 2:
      run_tiles<2, k3x3>(job);
      break;
    default:
      run_tiles<1, k3x3>(job);
  }
  return HWY_AVX3_DL;
}

int64_t depthwise_quads_tile(const TileJob& job) {
  return job.runs == 3 && job.row_taps == 3 ? run_block<true>(job) : run_block<false>(job);
}

}  // namespace

TileKernel conv2d_depthwise_quads_tile() {
  return conv2d_quads_tile() == nullptr ? nullptr : depthwise_quads_tile;
}

}  // namespace facsim::sim

#else

namespace facsim::sim {
TileKernel conv2d_depthwise_quads_tile() { return nullptr; }
}  // namespace facsim::sim

#endif
