// SPDX-License-Identifier: Apache-2.0
// Highway 1.0.3's AVX-512 targets do not enable VNNI: what multiplies is compiled for AVX3 and
// VNNI, and nothing is compiled for other targets.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/conv2d_quads_vnni.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <new>
#include <utility>

#include "sim/kernels/conv2d_quads_forms-internal.h"
#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/requantize_fixed-inl.h"
#include "sim/kernels/requantize_float-inl.h"

#if HWY_TARGET == HWY_AVX3
#define FACSIM_VNNI_TARGET HWY_TARGET_STR ",avx512vnni"
#define FACSIM_VNNI_ATTR __attribute__((target(FACSIM_VNNI_TARGET)))

HWY_PUSH_ATTRIBUTES(FACSIM_VNNI_TARGET)
namespace facsim::sim {
namespace HWY_NAMESPACE {
namespace {

/// Keeps GCC from what costs registers here: hoisting loads out of loops, and (with a pointer) the
/// vector registers as a place for integers, where they would wait for the products.
HWY_INLINE void reload() { asm volatile("" ::: "memory"); }
template <class T>
HWY_INLINE void keep_in_register(T*& pointer) {
  asm("" : "+r"(pointer));
}

HWY_INLINE __m512i broadcast(const uint8_t* x) {
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

/// No work between the steps of a tile.
struct NoWork {
  static constexpr bool kNone = true;
  int64_t left() const { return 0; }
  void run() {}
};

/// The pixels of the form by 16 * Vectors channels, all accumulators in registers. The loops over
/// accumulators must be unrolled for GCC 12 to keep them there. Between steps, where the two units
/// that multiply are busy and others are not, `work` gets something done.
template <int Form, int Vectors, class Work>
HWY_INLINE void compute_tile(const TileJob& job, const PixelGroup* groups, int32_t* out,
                             int64_t out_stride, Work work) {
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
    reload();
    const uint8_t* x[L::kGroups];
#pragma GCC unroll 4
    for (int g = 0; g < L::kGroups; ++g) {
      x[g] = groups[g].x + job.run_offset[r];
      keep_in_register(x[g]);
    }
    const auto step = [&](__m512i(&sum)[kPixels][Vectors]) __attribute__((always_inline))
    FACSIM_VNNI_ATTR {
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
    if constexpr (!Work::kNone) {
      static_assert(kSplit == 1);
      for (; s + 2 <= job.steps && work.left() > 0; s += 2) {
        step(acc[0]);
        step(acc[0]);
        reload();
        work.run();
        reload();
      }
    }
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
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      __m512i sum = acc[0][i][v];
#pragma GCC unroll 4
      for (int k = 1; k < kSplit; ++k) sum = _mm512_add_epi32(sum, acc[k][i][v]);
      _mm512_storeu_si512(out + 16 * v, sum);
    }
    out += out_stride;
  }
}

/// What the codes of a block's tiles are made with.
template <class Stage>
struct BlockOperands {
  using End = UniformEnd<true>;
  BlockOperands(const FusedProgram& program, int64_t first_channel)
      : end(program), low(load(program, first_channel)), high(load(program, first_channel + 16)) {}
  static typename Stage::Operands load(const FusedProgram& program, int64_t channel) {
    return Stage(program).load(channel & program.operand_mask);
  }

  End end;
  typename Stage::Operands low, high;
};

/// Makes the codes of a tile computed before, two pixels at a time. Its state is in memory: the
/// steps around it need the registers.
template <class Stage>
struct PendingCodes {
  static constexpr bool kNone = false;
  TileRequantize& tiles;

  int64_t left() const { return tiles.pending_pixels; }
  HWY_INLINE void run() {
    using Operands = BlockOperands<Stage>;
    const auto& o = *reinterpret_cast<const Operands*>(tiles.pending_operands);
    const int64_t pixels = tiles.pending_pixels;
    // The second of one pixel is that pixel again.
    const int64_t acc_stride = pixels > 1 ? kTileChannels : 0;
    const int64_t code_stride = pixels > 1 ? tiles.code_stride : 0;
    const typename Operands::End::Operands none{};
    requantize_rows<2, Stage>(tiles.pending_acc, acc_stride, tiles.pending_codes, code_stride,
                              o.end, o.low, o.high, o.low, o.high, none, none, none, none);
    tiles.pending_acc += 2 * acc_stride;
    tiles.pending_codes += 2 * code_stride;
    tiles.pending_pixels = pixels > 2 ? pixels - 2 : 0;
  }
};

template <class Stage>
void finish_pending(TileRequantize& tiles) {
  PendingCodes<Stage> codes{tiles};
  while (codes.left() > 0) codes.run();
}

template <int Form, int Vectors>
void tile(const TileJob& job, const PixelGroup* groups) {
  compute_tile<Form, Vectors>(job, groups, groups[0].acc, job.acc_stride, NoWork());
}

/// Computes the tile's accumulators between the codes of the tile before it.
template <int Form, class Stage>
void tile_after_pending(const TileJob& job, const PixelGroup* groups, int32_t* acc) {
  compute_tile<Form, 2>(job, groups, acc, kTileChannels, PendingCodes<Stage>{*job.requantize});
}

using Tile = void (*)(const TileJob& job, const PixelGroup* groups);
struct TileTable {
  Tile tiles[kQuadsFormCount];
};
template <int Vectors, int... Forms>
constexpr TileTable tile_table(std::integer_sequence<int, Forms...> /*forms*/) {
  return {{tile<Forms, Vectors>...}};
}
using AllForms = std::make_integer_sequence<int, kQuadsFormCount>;
constexpr TileTable kNarrow = tile_table<1>(AllForms());
constexpr TileTable kWide = tile_table<2>(AllForms());

/// A stage's tiles; null for forms of few pixels, which are not worth their code.
using PendingTile = void (*)(const TileJob& job, const PixelGroup* groups, int32_t* acc);
struct StageTable {
  PendingTile tiles[kQuadsFormCount];
  void (*finish)(TileRequantize& tiles);
  void (*prepare)(const FusedProgram& program, int64_t first_channel, std::byte* operands);
};
template <class Stage>
void prepare_operands(const FusedProgram& program, int64_t first_channel, std::byte* operands) {
  static_assert(sizeof(BlockOperands<Stage>) <= TileRequantize::kOperandBytes);
  new (operands) BlockOperands<Stage>(program, first_channel);
}
template <int Form, class Stage>
constexpr PendingTile pending_tile() {
  if constexpr (Layout<Form>::kPixels >= kLeastFusedPixels) return tile_after_pending<Form, Stage>;
  return nullptr;
}
template <class Stage, int... Forms>
constexpr StageTable stage_table(std::integer_sequence<int, Forms...> /*forms*/) {
  return {{pending_tile<Forms, Stage>()...}, finish_pending<Stage>, prepare_operands<Stage>};
}
template <class Stage>
constexpr StageTable kStageTable = stage_table<Stage>(AllForms());

/// The stage that requantize_fused would take, if its tiles are compiled.
const StageTable* stage_of(const FusedProgram& program) {
  using Form = FusedProgram::Form;
  if (!program.uniform_end) return nullptr;
  if (program.form == Form::fixed_double && program.high_half && !program.shifts_left) {
    return &kStageTable<HighDoubleStage<false>>;
  }
  if (program.form == Form::fixed_single && program.high_half) return &kStageTable<HighSingleStage>;
  if (program.form != Form::float_half_even) return nullptr;
  switch (program.shape) {
    case FusedProgram::FloatShape::scale:
      return &kStageTable<ScaleStage<HalfEven>>;
    case FusedProgram::FloatShape::scale_bias:
      return &kStageTable<ScaleBiasStage<HalfEven>>;
    case FusedProgram::FloatShape::bias_scale:
      return &kStageTable<BiasScaleStage<HalfEven>>;
    case FusedProgram::FloatShape::bias_scale_bias:
      return &kStageTable<BiasScaleBiasStage<HalfEven>>;
    default:
      return nullptr;
  }
}

void finish_tiles(TileRequantize& tiles) {
  if (tiles.pending_pixels > 0) stage_of(*tiles.program)->finish(tiles);
}

/// Each tile's codes are made while the next is computed.
void requantize_tiles(const TileJob& job, const StageTable& stage) {
  TileRequantize& tiles = *job.requantize;
  std::byte* operands = tiles.operands[tiles.operands[0] == tiles.pending_operands ? 1 : 0];
  stage.prepare(*tiles.program, tiles.first_channel, operands);
  for (const PixelTile* tile = job.tiles; tile != job.tiles + job.tile_count; ++tile) {
    const PixelGroup* groups = job.groups + tile->first_group;
    const PendingTile compute = stage.tiles[tile->form];
    int32_t* acc = tiles.acc[tiles.computed++ % 2];
    if (compute != nullptr) {
      compute(job, groups, acc);
      if (tiles.pending_pixels > 0) stage.finish(tiles);  // what too few steps have left over
    } else {
      stage.finish(tiles);
      kWide.tiles[tile->form](job, groups);
      acc = groups[0].acc;
    }
    tiles.pending_acc = acc;
    tiles.pending_codes = tiles.codes +
                          (tiles.first_pixel + tile->first_pixel) * tiles.code_stride +
                          tiles.first_channel;
    tiles.pending_pixels = tile->pixels;
    tiles.pending_operands = operands;
  }
}

int64_t quads_tile(const TileJob& job) {
  if (job.requantize != nullptr && job.channels == kTileChannels) {
    requantize_tiles(job, *stage_of(*job.requantize->program));
    return HWY_AVX3_DL;
  }
  if (job.requantize != nullptr) finish_tiles(*job.requantize);  // it may wait where we write
  const Tile* const tiles = (job.channels > 16 ? kWide : kNarrow).tiles;
  for_each_tile(job, [&](const PixelGroup* groups, const PixelTile& part)
                         FACSIM_VNNI_ATTR { tiles[part.form](job, groups); });
  return HWY_AVX3_DL;
}

bool requantizes(const FusedProgram& program) { return stage_of(program) != nullptr; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_POP_ATTRIBUTES
#endif  // HWY_TARGET == HWY_AVX3

#if HWY_ONCE
namespace facsim::sim {

TileKernel conv2d_quads_tile() {
#if HWY_TARGETS & HWY_AVX3
  static const bool supported =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni");
  return supported ? N_AVX3::quads_tile : nullptr;
#else
  return nullptr;
#endif
}

bool conv2d_quads_requantizes([[maybe_unused]] const FusedProgram& program) {
#if HWY_TARGETS & HWY_AVX3
  return N_AVX3::requantizes(program);
#else
  return false;
#endif
}

void finish_quads_tiles([[maybe_unused]] TileRequantize& tiles) {
#if HWY_TARGETS & HWY_AVX3
  N_AVX3::finish_tiles(tiles);
#endif
}

}  // namespace facsim::sim
#endif  // HWY_ONCE
