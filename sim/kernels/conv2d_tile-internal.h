// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/ops/accumulator.h"

namespace facsim::sim {

/// Output channels that one tile kernel call computes, for every instruction set: packed weights
/// are the same for all.
inline constexpr int64_t kTileChannels = 32;
/// As above for conv2d_depthwise_quads_tile; no kernel computes more.
inline constexpr int64_t kMaxBlockChannels = 64;
/// Pixels that conv2d_depthwise_quads_tile puts into one vector of 64 bytes where a block has few
/// channels: their packed weights stand there as often. Static: a file with instructions of its own
/// calls it, whose copy must not serve the others.
static constexpr int64_t depthwise_pixels(int64_t channels) {
  return channels <= 16 ? 4 : channels <= 32 ? 2 : 1;
}

/// Up to four output pixels side by side. A kernel may read the windows of all four, and writes
/// only `count`.
struct PixelGroup {
  const uint8_t* x;  ///< first byte of the first pixel's window in the padded strip
  int32_t* acc;      ///< accumulators of the first pixel
  int64_t count;     ///< 1..4
};

/// Output pixels that conv2d_quads_tile computes at once, at most: with 32 channels each, 28 of
/// AVX-512's 32 registers are accumulators. Multiples of 7 are the widths of most networks.
inline constexpr int64_t kQuadsPixels = 14;

/// Tiles of fewer pixels are requantized after they are computed.
inline constexpr int64_t kLeastFusedPixels = 12;

/// Groups that conv2d_quads_tile computes at once.
struct PixelTile {
  int32_t form;         ///< a number of quads_tile_forms
  int32_t first_group;  ///< in TileJob::groups
  int64_t first_pixel;  ///< in the strip
  int64_t pixels;       ///< 1..kQuadsPixels
  bool starts_batch;    ///< what was computed before is finished first
};

/// Pixels whose accumulators are finished together: enough to be worth a call, few enough to be in
/// the first cache level still.
inline constexpr int64_t kBatchPixels = 4 * kQuadsPixels;

/// Appends to `tiles` the groups [first, end), whose first pixel is `first_pixel` of the strip, cut
/// into tiles of the forms that exist. Tiles number groups from `first`.
void plan_quads_tiles(std::span<const PixelGroup> groups, size_t first, size_t end,
                      int64_t first_pixel, std::vector<PixelTile>& tiles);

/// What takes the accumulators of a batch of tiles.
struct TileFinish {
  void (*call)(void* context, const int32_t* acc, int64_t first_pixel, int64_t pixels) = nullptr;
  void* context = nullptr;
};

struct FusedProgram;

/// For conv2d_quads_tile to requantize itself: the codes of a tile are made between the steps of
/// the tile computed after it, whatever its block, and those of the last by finish_quads_tiles.
struct TileRequantize {
  static constexpr int64_t kOperandBytes = 1280;

  const FusedProgram* program = nullptr;  ///< one that conv2d_quads_requantizes
  uint8_t* codes = nullptr;               ///< [pixels][code_stride]
  int64_t code_stride = 0;
  int64_t first_pixel = 0;    ///< of the job
  int64_t first_channel = 0;  ///< of the job

  // The kernel's own.
  int64_t computed = 0;
  int64_t pending_pixels = 0;
  const int32_t* pending_acc = nullptr;
  uint8_t* pending_codes = nullptr;
  const std::byte* pending_operands = nullptr;
  alignas(64) std::byte operands[2][kOperandBytes];
  alignas(64) int32_t acc[2][kQuadsPixels * kTileChannels];
};

/// True if conv2d_quads_tile can requantize by the program.
bool conv2d_quads_requantizes(const FusedProgram& program);
void finish_quads_tiles(TileRequantize& tiles);

/// One block of up to 32 output channels over the pixels of a strip:
///   acc[pixel][channel] = init[channel] + sum over runs r and steps s of
///       dot(x[pixel + run_offset[r] + s], weights[r][s][channel])
/// where a step is what 4 bytes of weights hold; arithmetic is modulo 2^32. What a dot is, each
/// kernel says.
struct TileJob {
  const PixelGroup* groups = nullptr;
  int64_t group_count = 0;
  int64_t pixel_stride = 0;             ///< bytes between the windows of neighbouring pixels
  int64_t acc_stride = 0;               ///< int32s between the accumulators of neighbouring pixels
  const int64_t* run_offset = nullptr;  ///< [runs] bytes from the start of a window
  int64_t runs = 0;
  int64_t steps = 0;                 ///< per run
  const uint8_t* weights = nullptr;  ///< [runs][steps][32][4 bytes], 64-byte aligned
  const int32_t* init = nullptr;     ///< [32]
  int64_t channels = 0;  ///< 1..32; accumulators beyond, up to 32, may be written with anything

  // Only conv2d_quads_tile and conv2d_depthwise_quads_tile: their tiles, and what to call after
  // each batch with the accumulators of its first pixel.
  const PixelTile* tiles = nullptr;
  int64_t tile_count = 0;
  TileFinish finish;
  /// Only conv2d_quads_tile, for blocks of 32 channels: null or used instead of `finish`.
  TileRequantize* requantize = nullptr;

  // Only conv2d_depthwise_quads_tile: bytes between neighbouring taps of a row, and how many a row
  // has.
  int64_t tap_stride = 0;
  int64_t row_taps = 0;

  // Only conv2d_blocks_tile: what a pair of products saturates to, and the steps after which the
  // register that pairs then meet in, of the same bounds, is added to the accumulator (0: none).
  int64_t block_min = 0, block_max = 0;
  int64_t spill_steps = 0;

  // Only conv2d_ordered_tile (the count also conv2d_blocks_tile): limits and policy, and where to
  // count elements that left the width.
  Accumulator accumulator;
  const int32_t* bias_last = nullptr;  ///< [32], added after the taps
  int64_t* overflow_count = nullptr;   ///< null: not counted
};

/// Runs `compute(groups, tile)` for each tile and finishes each batch. A template over a lambda of
/// its own, so that every kernel file compiles one for its instruction set.
template <class Compute>
void for_each_tile(const TileJob& job, Compute compute) {
  const PixelTile* first = job.tiles;
  int64_t pixels = 0;
  const auto finish = [&] {
    if (job.finish.call == nullptr || pixels == 0) return;
    job.finish.call(job.finish.context, job.groups[first->first_group].acc, first->first_pixel,
                    pixels);
  };
  for (const PixelTile* tile = job.tiles; tile != job.tiles + job.tile_count; ++tile) {
    if (tile->starts_batch) {
      finish();
      first = tile;
      pixels = 0;
    }
    compute(job.groups + tile->first_group, *tile);
    pixels += tile->pixels;
  }
  finish();
}

/// Kernels return the Highway target they were compiled for, so that tests can prove what ran.
using TileKernel = int64_t (*)(const TileJob&);

/// dot = four unsigned by signed 8-bit products (vpdpbusd): x u8, weights s8 [4]. Null without
/// AVX-512 VNNI in this build or CPU.
TileKernel conv2d_quads_tile();

/// dot = two 16-bit products: x s16, weights s16 [2]. `target` indexes Highway's dispatch table.
TileKernel conv2d_pairs_tile(size_t dispatch_index);

/// As pairs with one product per step, x s16 and weights s16 [w, 0]; x is read as a vector of
/// channels (not broadcast): depthwise convolution.
TileKernel conv2d_depthwise_tile(size_t dispatch_index);

/// Depthwise, up to 64 channels: a step is four taps of one row and all channels, x u8, weights s8
/// [channel][4], in the order of packed weights. Null as conv2d_quads_tile.
TileKernel conv2d_depthwise_quads_tile();

/// One product per step as above, x s16 broadcast, each addition brought into the accumulator's
/// width at once, in the order of runs and steps. At most 31 bits, no policy `error`.
TileKernel conv2d_ordered_tile(size_t dispatch_index);

/// dot = two 16-bit products as pairs, their sum saturated to block_min..block_max.
TileKernel conv2d_blocks_tile(size_t dispatch_index);

}  // namespace facsim::sim
