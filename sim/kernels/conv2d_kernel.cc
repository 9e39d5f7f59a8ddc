// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/conv2d_kernel-internal.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include "sim/core/float_mode.h"
#include "sim/kernels/conv2d_strip-internal.h"
#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/dispatch-internal.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

constexpr int64_t kMaxStripBytes = int64_t{1} << 26;

bool fits(IntType type, int64_t zero_point, int64_t min, int64_t max) {
  return type.min() - zero_point >= min && type.max() - zero_point <= max;
}

bool centred_weights_fit(const Conv2dRange& range, int64_t min, int64_t max) {
  return range.centred_weight_min() >= min && range.centred_weight_max() <= max;
}

/// True if inputs and weights as the multipliers see them are 16-bit values.
bool operands_fit(const Conv2dParams& p, const Conv2dRange& range) {
  return fits(p.input_type, p.input_zero_point - input_operand_offset(p), INT16_MIN, INT16_MAX) &&
         centred_weights_fit(range, INT16_MIN, INT16_MAX);
}

/// The ordered kernel adds in 32-bit lanes a product (at most 2^30) or the bias to an accumulator
/// of at most 31 bits. In groups of few output channels most of its lanes would idle.
bool ordered_fits(const Conv2dParams& p) {
  const Overflow overflow = p.accumulator.overflow;
  if (p.accumulator.is_structured() || p.accumulator.order != Accumulator::Order::sequential ||
      p.accumulator.bits > 31 || overflow == Overflow::wrap || overflow == Overflow::error ||
      p.weights.shape()[0] / p.groups < 8) {
    return false;
  }
  constexpr int64_t kMaxBias = int64_t{1} << 30;
  for (int64_t c = 0; c < p.bias.numel(); ++c) {
    if (p.bias.int_at(c) < -kMaxBias || p.bias.int_at(c) > kMaxBias) return false;
  }
  return true;
}

/// The blocks kernel saturates the sums of pairs of products and adds them modulo 2^32. Pairs are
/// those of the packed runs, so no pair may cross from one run to the next, and spills are counted
/// over all runs; weights whose codes are
/// multiplied must have no zero point, so that what centring would change is one number per
/// channel. Where events are counted, no sum of saturated pairs may leave the accumulator.
bool blocks_fit(const Conv2dParams& p, const Conv2dRange& range, EventCounting counting) {
  const Accumulator& accumulator = p.accumulator;
  const auto& block = accumulator.block;
  const bool form =
      block && !accumulator.term && block->taps == 2 && block->bits <= 31 &&
      (block->overflow == Overflow::saturate || block->overflow == Overflow::saturate_symmetric) &&
      accumulator.overflow == Overflow::wrap && accumulator.bits == 32;
  if (!form || p.weights.shape()[0] / p.groups < 8) return false;
  const int64_t position_taps = p.weights.shape()[3];
  const int64_t taps = p.weights.numel() / p.weights.shape()[0];
  if (position_taps % 2 != 0 && taps != position_taps) return false;
  const bool by_position = block->span == Accumulator::Block::Span::position;
  if (block->spill_every > 0 && by_position && taps != position_taps) return false;
  for (const int64_t zero : p.weight_zero_point) {
    if (zero != 0 && accumulator.operands != Accumulator::Operands::centred) return false;
  }
  if (counting == EventCounting::off) return true;
  const int64_t largest = (taps / 2 + 1) * (int64_t{1} << (block->bits - 1));
  int64_t most = 0;
  for (int64_t c = 0; c < p.weights.shape()[0]; ++c) {
    const int64_t bias = p.bias.empty() ? 0 : p.bias.int_at(c);
    const int64_t missing = input_operand_offset(p) * range.channel(c).weight_sum;
    most = std::max(most, std::abs(bias) + std::abs(missing));
  }
  return largest + most <= INT32_MAX;
}

/// Brings accumulators that were summed modulo 2^32 into a narrower wrapping width.
void wrap_block(int32_t* acc, int64_t stride, int64_t pixels, int64_t channels, int unused_bits) {
  for (int64_t p = 0; p < pixels; ++p, acc += stride) {
    for (int64_t c = 0; c < channels; ++c) {
      acc[c] = static_cast<int32_t>(static_cast<uint32_t>(acc[c]) << unused_bits) >> unused_bits;
    }
  }
}

TileKernel tile_kernel(Conv2dKernelKind kind, Isa isa) {
  const size_t index = highway_dispatch_index(isa);
  switch (kind) {
    case Conv2dKernelKind::quads:
      return conv2d_quads_tile();
    case Conv2dKernelKind::pairs:
      return conv2d_pairs_tile(index);
    case Conv2dKernelKind::depthwise:
      return conv2d_depthwise_tile(index);
    case Conv2dKernelKind::depthwise_quads:
      return conv2d_depthwise_quads_tile();
    case Conv2dKernelKind::ordered:
      return conv2d_ordered_tile(index);
    case Conv2dKernelKind::blocks:
      return conv2d_blocks_tile(index);
  }
  return nullptr;
}

/// Rows of a strip whose windows have the same runs inside the image. The others read nothing but
/// padding, and what they sum to is known.
struct RowSegment {
  int64_t first_group = 0, group_count = 0;
  int64_t first_tile = 0, tile_count = 0;
  int64_t run_begin = 0, run_end = 0;
};

/// What one thread needs; kept between runs (see Scratch).
struct StripMemory {
  Scratch input, accumulators;
  std::vector<PixelGroup> groups;
  std::vector<PixelTile> tiles;
  std::vector<RowSegment> segments;
  std::vector<int64_t> run_offsets;
  std::vector<int32_t> init;
};

/// Gives the accumulators of a batch of tiles to the output.
struct TileSink {
  const Conv2dOutput& output;
  const ChannelBlock& channels;
  int64_t first_pixel;  ///< of the strip
  int64_t stride;
  int unused_bits;
  Events events;

  static void take(void* self, const int32_t* acc, int64_t first_pixel, int64_t pixels) {
    auto* to = static_cast<TileSink*>(self);
    if (to->unused_bits > 0) {
      wrap_block(const_cast<int32_t*>(acc), to->stride, pixels, to->channels.channels,
                 to->unused_bits);
    }
    to->events += to->output.take({acc, to->stride, to->first_pixel + first_pixel, pixels,
                                   to->channels.first, to->channels.channels});
  }
};

/// What all blocks and segments of a strip have in common.
TileJob strip_job(const Conv2dParams& params, const PaddedInput& padded,
                  const Conv2dWeights& weights, const Conv2dShape& shape) {
  TileJob job;
  job.pixel_stride = padded.pixel_stride();
  job.steps = weights.steps;
  job.accumulator = params.accumulator;
  if (params.accumulator.block) {
    const Accumulator::Block& group = *params.accumulator.block;
    const Accumulator width{.bits = group.bits, .overflow = group.overflow};
    job.block_min = width.min();
    job.block_max = width.max();
    job.spill_steps = group.spill_every / 2;
  }
  job.tap_stride = padded.tap_stride();
  job.row_taps = shape.kw;
  return job;
}

/// Where the accumulators of each group go: those of a strip one after the other, or those of each
/// batch of tiles to the same place.
void place_accumulators(StripMemory& memory, int32_t* acc, int64_t stride, bool by_tile) {
  if (!by_tile) {
    for (PixelGroup& group : memory.groups) {
      group.acc = acc;
      acc += group.count * stride;
    }
    return;
  }
  int32_t* next = acc;
  PixelGroup* group = memory.groups.data();  // tiles follow each other as groups do
  for (const PixelTile& tile : memory.tiles) {
    if (tile.starts_batch) next = acc;
    for (int64_t pixel = 0; pixel < tile.pixels; pixel += group->count, ++group) {
      group->acc = next;
      next += group->count * stride;
    }
  }
}

/// The runs of a row of windows that lie in the image. Kernels whose sums depend on the order, or
/// without sums of runs, take all.
std::array<int64_t, 2> runs_inside(const Conv2dShape& shape, const Conv2dWeights& weights,
                                   int64_t oh) {
  if (weights.run_sums.empty()) return {0, weights.runs};
  const int64_t dilation = shape.window.dilation[0];
  const int64_t first = oh * shape.window.stride[0] - shape.window.padding.top;
  const auto taps_before = [&](int64_t row) {  // taps of the window above input row `row`
    return std::clamp<int64_t>((row - first + dilation - 1) / dilation, 0, shape.kh);
  };
  const int64_t begin = first >= 0 ? 0 : taps_before(0);
  const int64_t end = first >= shape.ih ? begin : std::max(begin, taps_before(shape.ih));
  const int64_t runs_per_row = weights.runs / shape.kh;
  return {begin * runs_per_row, end * runs_per_row};
}

/// Cuts the strip's rows into segments and, for kernels that want them, the segments into tiles.
void plan_segments(const Conv2dShape& shape, const Conv2dWeights& weights, const Strip& strip,
                   StripMemory& memory) {
  memory.segments.clear();
  memory.tiles.clear();
  const int64_t rows = strip.oh_end - strip.oh_begin;
  const int64_t row_groups = static_cast<int64_t>(memory.groups.size()) / rows;
  for (int64_t row = 0; row < rows; ++row) {
    const auto [begin, end] = runs_inside(shape, weights, strip.oh_begin + row);
    if (memory.segments.empty() || memory.segments.back().run_begin != begin ||
        memory.segments.back().run_end != end) {
      memory.segments.push_back({row * row_groups, 0, 0, 0, begin, end});
    }
    memory.segments.back().group_count += row_groups;
  }
  if (!reads_bytes(weights.kind)) return;
  const int64_t columns = strip.ow_end - strip.ow_begin;
  for (RowSegment& segment : memory.segments) {
    segment.first_tile = static_cast<int64_t>(memory.tiles.size());
    plan_quads_tiles(memory.groups, static_cast<size_t>(segment.first_group),
                     static_cast<size_t>(segment.first_group + segment.group_count),
                     segment.first_group / row_groups * columns, memory.tiles);
    segment.tile_count = static_cast<int64_t>(memory.tiles.size()) - segment.first_tile;
  }
}

/// Where the sums of a segment start: what its runs of padding add is added to the block's `init`.
const int32_t* segment_init(const Conv2dWeights& weights, size_t block, const RowSegment& segment,
                            int32_t padding, std::vector<int32_t>& memory) {
  const int64_t lanes = block_channels(weights.kind);
  const int32_t* init = weights.init.data() + static_cast<int64_t>(block) * lanes;
  if (padding == 0 || (segment.run_begin == 0 && segment.run_end == weights.runs)) return init;
  memory.assign(init, init + lanes);
  for (int64_t run = 0; run < weights.runs; ++run) {
    if (run >= segment.run_begin && run < segment.run_end) continue;
    const int32_t* sums =
        weights.run_sums.data() + (static_cast<int64_t>(block) * weights.runs + run) * lanes;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      uint32_t sum = static_cast<uint32_t>(memory[static_cast<size_t>(lane)]);
      sum += static_cast<uint32_t>(padding) * static_cast<uint32_t>(sums[lane]);
      memory[static_cast<size_t>(lane)] = static_cast<int32_t>(sum);
    }
  }
  return memory.data();
}

/// The program by which the kernel itself makes codes, if it does.
const FusedProgram* tile_program(const Conv2dWeights& weights, const Conv2dOutput& output) {
  if (weights.kind != Conv2dKernelKind::quads || weights.unused_bits > 0 || !output.codes) {
    return nullptr;
  }
  const FusedProgram* program = output.codes->requantize.fused_program();
  return program != nullptr && conv2d_quads_requantizes(*program) ? program : nullptr;
}

/// Parts of the channel blocks that are worked on apart, beside the strips: where the weights are
/// what fills the caches, each thread should read its own.
int64_t channel_parts(const Conv2dWeights& weights, const StripPlan& plan, int64_t threads) {
  const auto blocks = static_cast<int64_t>(weights.blocks.size());
  if (threads == 1 || plan.count() >= 2 * threads) return 1;
  return std::min(blocks, (2 * threads + plan.count() - 1) / plan.count());
}

}  // namespace

std::optional<Conv2dKernelKind> choose_conv2d_kernel(const Conv2dParams& p,
                                                     const Conv2dRange& range, Isa isa,
                                                     EventCounting counting) {
  if (isa == Isa::scalar) return std::nullopt;
  const bool pairs_fit = fits(p.input_type, p.input_zero_point, INT16_MIN, INT16_MAX) &&
                         centred_weights_fit(range, INT16_MIN, INT16_MAX);
  const Accumulator& accumulator = p.accumulator;
  const bool exact = range.exact(accumulator) && range.inside(INT32_MIN, INT32_MAX);
  const bool modular = accumulator.overflow == Overflow::wrap && accumulator.bits <= 32 &&
                       range.plain() && counting == EventCounting::off;
  if (!exact && !modular) {
    if (operands_fit(p, range) && blocks_fit(p, range, counting)) return Conv2dKernelKind::blocks;
    if (pairs_fit && ordered_fits(p)) return Conv2dKernelKind::ordered;
    return std::nullopt;
  }
  const bool bytes_fit = isa == Isa::avx3_dl && conv2d_quads_tile() != nullptr &&
                         p.input_type.bits <= 8 && p.weight_type.bits <= 8 &&
                         centred_weights_fit(range, INT8_MIN, INT8_MAX);
  if (p.weights.shape()[3] == 1 && p.groups > 1) {
    if (bytes_fit) return Conv2dKernelKind::depthwise_quads;
    if (pairs_fit) return Conv2dKernelKind::depthwise;
    return std::nullopt;
  }
  if (bytes_fit) return Conv2dKernelKind::quads;
  if (pairs_fit) return Conv2dKernelKind::pairs;
  return std::nullopt;
}

std::optional<Conv2dKernelRun> run_conv2d_kernel(const Conv2dParams& params,
                                                 const Conv2dWeights& weights,
                                                 const Conv2dShape& original_shape,
                                                 const Tensor& input, Isa isa,
                                                 EventCounting counting, ThreadPool* pool,
                                                 const Conv2dOutput& output) {
  Conv2dKernelRun total;
  if (original_shape.output().numel() == 0) return total;
  const Conv2dShape shape = flattened(original_shape);
  const int64_t threads = pool == nullptr ? 1 : pool->threads();
  const auto blocks = static_cast<int64_t>(weights.blocks.size());
  // Strips that share weights which do not stay in the cache are fewer; channels make up for them.
  const bool few_strips = shape.oc * shape.taps() > shape.n * shape.ih * shape.iw * shape.ic;
  const StripPlan plan(shape, weights.kind, few_strips || threads == 1 ? 1 : 2 * threads, threads);
  const int64_t parts = channel_parts(weights, plan, threads);
  const PaddedInput padded(shape, params, weights.kind, plan, highway_dispatch_index(isa));
  if (padded.memory_bytes() > kMaxStripBytes) return std::nullopt;
  const std::vector<int64_t> window_runs = padded.run_offsets(weights);
  const TileKernel kernel = tile_kernel(weights.kind, isa);
  const int32_t padding = padded.padding_element();
  int32_t* const in_place = output.in_place;
  const bool by_tile = reads_bytes(weights.kind) && in_place == nullptr;
  const int64_t lanes = block_channels(weights.kind);
  const FusedProgram* const program = tile_program(weights, output);
  std::mutex mutex;
  std::atomic<int64_t> ran{0};
  parallel_for(pool, plan.count() * parts, [&](int64_t index) {
    static thread_local StripMemory memory;
    const FloatMode mode;  // for sinks that requantize
    const Strip strip = plan.strip(index % plan.count());
    const int64_t part = index / plan.count();  // neighbouring indices share weights
    const int64_t pixels = strip.pixels();
    const int64_t first_pixel = (strip.n * shape.oh + strip.oh_begin) * shape.ow + strip.ow_begin;
    padded.load(input, strip, memory.input, memory.groups);
    int32_t* scratch =
        memory.accumulators.reserve<int32_t>((by_tile ? kBatchPixels : pixels) * lanes);
    memory.run_offsets.resize(window_runs.size());
    plan_segments(shape, weights, strip, memory);
    if (by_tile) place_accumulators(memory, scratch, lanes, true);
    Events events;
    TileJob job = strip_job(params, padded, weights, shape);
    job.overflow_count = counting == EventCounting::on ? &events.accumulator_overflow : nullptr;
    int64_t target = 0;
    TileRequantize requantize;
    if (program != nullptr) {
      requantize.program = program;
      requantize.codes = reinterpret_cast<uint8_t*>(output.codes->codes);
      requantize.code_stride = shape.oc;
      requantize.first_pixel = first_pixel;
      job.requantize = &requantize;
    }
    for (int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
      const ChannelBlock& channels = weights.blocks[static_cast<size_t>(b)];
      const bool direct = in_place != nullptr && channels.channels == lanes;
      const int64_t stride = direct ? shape.oc : lanes;
      int32_t* acc = direct ? in_place + first_pixel * shape.oc + channels.first : scratch;
      if (!by_tile) place_accumulators(memory, acc, stride, false);
      for (size_t r = 0; r < window_runs.size(); ++r) {
        memory.run_offsets[r] = window_runs[r] + channels.input_channel * padded.element_bytes();
      }
      TileSink tile_sink{output, channels, first_pixel, lanes, weights.unused_bits, {}};
      if (by_tile) job.finish = {TileSink::take, &tile_sink};
      requantize.first_channel = channels.first;
      job.acc_stride = stride;
      job.channels = channels.channels;
      job.bias_last = weights.bias_last.data() + b * lanes;
      for (const RowSegment& segment : memory.segments) {
        job.groups = memory.groups.data() + segment.first_group;
        job.group_count = segment.group_count;
        job.tiles = memory.tiles.data() + segment.first_tile;
        job.tile_count = segment.tile_count;
        job.run_offset = memory.run_offsets.data() + segment.run_begin;
        job.runs = segment.run_end - segment.run_begin;
        job.weights = weights.run(static_cast<size_t>(b), segment.run_begin);
        job.init = segment_init(weights, static_cast<size_t>(b), segment, padding, memory.init);
        target = kernel(job);
      }
      events += tile_sink.events;
      if (by_tile) continue;
      if (weights.unused_bits > 0) {
        wrap_block(acc, stride, pixels, channels.channels, weights.unused_bits);
      }
      events += output.take({acc, stride, first_pixel, pixels, channels.first, channels.channels});
    }
    if (program != nullptr) finish_quads_tiles(requantize);
    if (target != 0 && ran.load(std::memory_order_relaxed) != target) ran = target;
    if (events == Events{}) return;
    const std::lock_guard lock(mutex);
    total.events += events;
  });
  total.target = ran;
  return total;
}

}  // namespace facsim::sim
