// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx512vnni on its own, as conv2d_quads_vnni.cc.
#include <hwy/detect_targets.h>

#include "sim/kernels/conv2d_tile-internal.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>

namespace facsim::sim {
namespace {

constexpr int64_t kChannels = 64;

/// 64 channels of four taps as four vectors of quads: unpacked within 128-bit lanes, vector k holds
/// channels 16 i + 4 k + j at place 4 i + j.
inline void load_quads(const uint8_t* t0, const uint8_t* t1, const uint8_t* t2, const uint8_t* t3,
                       __m512i (&quads)[4]) {
  const __m512i a = _mm512_loadu_si512(t0);
  const __m512i b = _mm512_loadu_si512(t1);
  const __m512i c = _mm512_loadu_si512(t2);
  const __m512i d = _mm512_loadu_si512(t3);
  const __m512i ab_low = _mm512_unpacklo_epi8(a, b);
  const __m512i ab_high = _mm512_unpackhi_epi8(a, b);
  const __m512i cd_low = _mm512_unpacklo_epi8(c, d);
  const __m512i cd_high = _mm512_unpackhi_epi8(c, d);
  quads[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
  quads[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
  quads[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
  quads[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
}

/// Channels in their own order again: lane i of the vectors becomes vector i.
inline void store_channels(const __m512i (&acc)[4], int64_t channels, int32_t* out) {
  const __m512i even01 = _mm512_shuffle_i32x4(acc[0], acc[1], 0x88);
  const __m512i odd01 = _mm512_shuffle_i32x4(acc[0], acc[1], 0xdd);
  const __m512i even23 = _mm512_shuffle_i32x4(acc[2], acc[3], 0x88);
  const __m512i odd23 = _mm512_shuffle_i32x4(acc[2], acc[3], 0xdd);
  _mm512_storeu_si512(out, _mm512_shuffle_i32x4(even01, even23, 0x88));
  if (channels > 16) _mm512_storeu_si512(out + 16, _mm512_shuffle_i32x4(odd01, odd23, 0x88));
  if (channels > 32) _mm512_storeu_si512(out + 32, _mm512_shuffle_i32x4(even01, even23, 0xdd));
  if (channels > 48) _mm512_storeu_si512(out + 48, _mm512_shuffle_i32x4(odd01, odd23, 0xdd));
}

/// Pixels side by side with all channels of the block. kRuns x one step when kRuns > 0, which the
/// compiler then unrolls; else the job's runs and steps. Taps that a last step lacks read the row's
/// last tap, by weights of 0.
template <int kPixels, int kRuns>
inline void pixels_at(const TileJob& job, const uint8_t* window, int32_t* out) {
  __m512i acc[kPixels][4];
#pragma GCC unroll 4
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) acc[p][k] = _mm512_loadu_si512(job.init + 16 * k);
  }
  const uint8_t* weights = job.weights;
  const int64_t runs = kRuns > 0 ? kRuns : job.runs;
  const int64_t steps = kRuns > 0 ? 1 : job.steps;
#pragma GCC unroll 3
  for (int64_t r = 0; r < runs; ++r) {
    const uint8_t* x = window + job.run_offset[r];
    for (int64_t s = 0; s < steps; ++s, weights += 4 * kChannels, x += 4 * job.tap_stride) {
      const int64_t left = job.row_taps - 4 * s - 1;
      const int64_t last = left < 3 ? left : 3;
      const int64_t t1 = (last < 1 ? last : 1) * job.tap_stride;
      const int64_t t2 = (last < 2 ? last : 2) * job.tap_stride;
      const int64_t t3 = last * job.tap_stride;
#pragma GCC unroll 4
      for (int p = 0; p < kPixels; ++p) {
        const uint8_t* at = x + p * job.pixel_stride;
        __m512i quads[4];
        load_quads(at, at + t1, at + t2, at + t3, quads);
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          acc[p][k] = _mm512_dpbusd_epi32(acc[p][k], quads[k], _mm512_load_si512(weights + 64 * k));
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPixels; ++p) {
    store_channels(acc[p], job.channels, out + p * job.acc_stride);
  }
}

template <int kRuns>
void run_tiles(const TileJob& job) {
  for (int64_t t = 0; t < job.tile_count; ++t) {
    const PixelTile& tile = job.tiles[t];
    const PixelGroup* group = job.groups + tile.first_group;
    const int32_t* first = group->acc;
    for (int64_t pixel = 0; pixel < tile.pixels; pixel += group->count, ++group) {
      int64_t p = 0;
      for (; p + 2 <= group->count; p += 2) {
        pixels_at<2, kRuns>(job, group->x + p * job.pixel_stride, group->acc + p * job.acc_stride);
      }
      if (p < group->count) {
        pixels_at<1, kRuns>(job, group->x + p * job.pixel_stride, group->acc + p * job.acc_stride);
      }
    }
    if (job.finish.call != nullptr) {
      job.finish.call(job.finish.context, first, tile.first_pixel, tile.pixels);
    }
  }
}

int64_t depthwise_quads_tile(const TileJob& job) {
  if (job.runs == 3 && job.steps == 1) {
    run_tiles<3>(job);
  } else {
    run_tiles<0>(job);
  }
  return HWY_AVX3_DL;
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
