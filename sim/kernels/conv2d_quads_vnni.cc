// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx512vnni on its own: Highway 1.0.3's AVX-512 targets do not enable it.
#include <hwy/detect_targets.h>

#include "sim/kernels/conv2d_tile-internal.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>

namespace facsim::sim {
namespace {

inline __m512i broadcast(const uint8_t* x) {
  int32_t quad;
  __builtin_memcpy(&quad, x, sizeof quad);
  return _mm512_set1_epi32(quad);
}

/// 4 * Groups pixels by 16 * Vectors channels, all accumulators in registers: 24 of 32 for 12 by
/// 32, which hides the latency of vpdpbusd and leaves 14 loads to 24 multiply-adds. The loops over
/// accumulators must be unrolled for GCC 12 to keep them in registers.
template <int Groups, int Vectors>
void tile(const TileJob& job, const PixelGroup* groups) {
  constexpr int kPixels = 4 * Groups;
  __m512i acc[kPixels][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) acc[i][v] = _mm512_loadu_si512(job.init + 16 * v);
  }
  const int64_t stride = job.pixel_stride;
  const uint8_t* weights = job.weights;
  for (int64_t r = 0; r < job.runs; ++r) {
    const uint8_t* x[Groups];
#pragma GCC unroll 3
    for (int g = 0; g < Groups; ++g) x[g] = groups[g].x + job.run_offset[r];
    for (int64_t s = 0; s < job.steps; ++s) {
      __m512i w[Vectors];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) w[v] = _mm512_load_si512(weights + 64 * v);
      weights += 4 * kTileChannels;
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i) {
        const __m512i quad = broadcast(x[i / 4] + (i % 4) * stride);
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v) acc[i][v] = _mm512_dpbusd_epi32(acc[i][v], quad, w[v]);
      }
#pragma GCC unroll 3
      for (int g = 0; g < Groups; ++g) x[g] += 4;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) {
    if (i % 4 < groups[i / 4].count) {
      int32_t* out = groups[i / 4].acc + (i % 4) * job.acc_stride;
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) _mm512_storeu_si512(out + 16 * v, acc[i][v]);
    }
  }
}

template <int Vectors>
void strip(const TileJob& job) {
  const PixelGroup* group = job.groups;
  const PixelGroup* const end = group + job.group_count;
  while (end - group > 4 || end - group == 3) {  // a rest of 4 is two tiles of 2
    tile<3, Vectors>(job, group);
    group += 3;
  }
  for (; end - group >= 2; group += 2) tile<2, Vectors>(job, group);
  if (end != group) tile<1, Vectors>(job, group);
}

int64_t quads_tile(const TileJob& job) {
  if (job.channels > 16) {
    strip<2>(job);
  } else {
    strip<1>(job);
  }
  return HWY_AVX3_DL;
}

}  // namespace

TileKernel conv2d_quads_tile() {
  static const bool supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni");
  return supported ? quads_tile : nullptr;
}

}  // namespace facsim::sim

#else

namespace facsim::sim {
TileKernel conv2d_quads_tile() { return nullptr; }
}  // namespace facsim::sim

#endif
