// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx512vnni on its own: Highway 1.0.3's AVX-512 targets do not enable it.
#include <hwy/detect_targets.h>

#include "sim/kernels/conv2d_quads_forms-internal.h"
#include "sim/kernels/conv2d_tile-internal.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>

#include <utility>

namespace facsim::sim {
namespace {

inline __m512i broadcast(const uint8_t* x) {
  int32_t quad;
  __builtin_memcpy(&quad, x, sizeof quad);
  return _mm512_set1_epi32(quad);
}

/// Where the pixels of a form lie: pixel i is number place[i] of group group[i].
template <int Form>
struct Layout {
  static constexpr QuadsForm kCounts = kQuadsForms[Form];
  static constexpr int kPixels = kCounts[0] + kCounts[1] + kCounts[2] + kCounts[3];
  static constexpr int kGroups =
      (kCounts[0] > 0) + (kCounts[1] > 0) + (kCounts[2] > 0) + (kCounts[3] > 0);
  static constexpr int group(int pixel) {
    int g = 0;
    while (pixel >= kCounts[g]) pixel -= kCounts[g++];
    return g;
  }
  static constexpr int place(int pixel) {
    int g = 0;
    while (pixel >= kCounts[g]) pixel -= kCounts[g++];
    return pixel;
  }
};

/// Steps that are summed apart and added at the end, so that few pixels still make enough chains to
/// hide the latency of vpdpbusd (sums are modulo 2^32, in any order).
constexpr int split_of(int pixels, int vectors) {
  return pixels * vectors <= 2 ? 4 : pixels * vectors <= 4 ? 2 : 1;
}

/// The pixels of the form by 16 * Vectors channels, all accumulators in registers. The loops over
/// accumulators must be unrolled for GCC 12 to keep them there.
template <int Form, int Vectors>
void tile(const TileJob& job, const PixelGroup* groups) {
  using L = Layout<Form>;
  constexpr int kPixels = L::kPixels;
  constexpr int kSplit = split_of(kPixels, Vectors);
  __m512i acc[kSplit][kPixels][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      acc[0][i][v] = _mm512_loadu_si512(job.init + 16 * v);
#pragma GCC unroll 4
      for (int k = 1; k < kSplit; ++k) acc[k][i][v] = _mm512_setzero_si512();
    }
  }
  const int64_t stride = job.pixel_stride;
  const uint8_t* weights = job.weights;
  for (int64_t r = 0; r < job.runs; ++r) {
    const uint8_t* x[L::kGroups];
#pragma GCC unroll 4
    for (int g = 0; g < L::kGroups; ++g) x[g] = groups[g].x + job.run_offset[r];
    const auto step = [&](__m512i(&sum)[kPixels][Vectors]) __attribute__((always_inline)) {
      __m512i w[Vectors];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) w[v] = _mm512_load_si512(weights + 64 * v);
      weights += 4 * kTileChannels;
#pragma GCC unroll 16
      for (int i = 0; i < kPixels; ++i) {
        const __m512i quad = broadcast(x[L::group(i)] + L::place(i) * stride);
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v) sum[i][v] = _mm512_dpbusd_epi32(sum[i][v], quad, w[v]);
      }
#pragma GCC unroll 4
      for (int g = 0; g < L::kGroups; ++g) x[g] += 4;
    };
    int64_t s = 0;
    if constexpr (kSplit > 1) {
      for (; s + kSplit <= job.steps; s += kSplit) {
#pragma GCC unroll 4
        for (int k = 0; k < kSplit; ++k) step(acc[k]);
      }
    }
    for (; s < job.steps; ++s) step(acc[0]);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) {
    int32_t* out = groups[L::group(i)].acc + L::place(i) * job.acc_stride;
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      __m512i sum = acc[0][i][v];
#pragma GCC unroll 4
      for (int k = 1; k < kSplit; ++k) sum = _mm512_add_epi32(sum, acc[k][i][v]);
      _mm512_storeu_si512(out + 16 * v, sum);
    }
  }
}

using Tile = void (*)(const TileJob& job, const PixelGroup* groups);
struct TileTable {
  Tile tiles[kQuadsFormCount];
};

template <int Vectors, int... Forms>
constexpr TileTable tile_table(std::integer_sequence<int, Forms...> /*forms*/) {
  return {{tile<Forms, Vectors>...}};
}
constexpr TileTable kNarrow = tile_table<1>(std::make_integer_sequence<int, kQuadsFormCount>());
constexpr TileTable kWide = tile_table<2>(std::make_integer_sequence<int, kQuadsFormCount>());

int64_t quads_tile(const TileJob& job) {
  const Tile* const tiles = (job.channels > 16 ? kWide : kNarrow).tiles;
  for_each_tile(
      job, [&](const PixelGroup* groups, const PixelTile& part) { tiles[part.form](job, groups); });
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
