// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "sim/core/events.h"
#include "sim/core/parallel.h"
#include "sim/kernels/conv2d_weights-internal.h"
#include "sim/kernels/isa.h"
#include "sim/kernels/requantize.h"
#include "sim/ops/conv2d_shape.h"

namespace facsim::sim {

/// Whether elements whose accumulation left the width are counted.
enum class EventCounting { off, on };

/// The kernel that computes exactly what the norm does for these parameters and any input, or none.
/// Kernels that sum in any order modulo 2^32 qualify when range analysis shows that no partial sum
/// leaves the accumulator and the total fits 32 bits, or when the accumulator is the 32 low bits
/// and nobody counts events. `isa` is resolved (not best).
std::optional<Conv2dKernelKind> choose_conv2d_kernel(const Conv2dParams& params,
                                                     const Conv2dRange& range, Isa isa,
                                                     EventCounting counting);

/// Accumulators of up to 32 channels for pixels that lie together in the output.
struct AccumulatorBlock {
  const int32_t* acc;   ///< [pixels][channels]
  int64_t stride;       ///< int32s from pixel to pixel
  int64_t first_pixel;  ///< in [N * OH * OW]
  int64_t pixels;
  int64_t first_channel;
  int64_t channels;
};
/// Called from several threads, for each pixel and channel once, inside a FloatMode.
using AccumulatorSink = std::function<Events(const AccumulatorBlock&)>;

/// The codes [N * OH * OW, OC] of a layer's accumulators. Nothing lies between a tile and its
/// requantization, where an AccumulatorSink costs more than some tiles do.
struct CodeOutput {
  PreparedRequantize requantize;
  std::byte* codes;
  int64_t oc;
  int64_t code_bytes;

  Events take(const AccumulatorBlock& block) const {
    std::byte* out = codes + (block.first_pixel * oc + block.first_channel) * code_bytes;
    return requantize.run(
        {block.acc, block.stride, block.pixels, block.first_channel, block.channels, out, oc});
  }
};

/// Where accumulators go: to `codes` if there are any, otherwise to the sink.
struct Conv2dOutput {
  AccumulatorSink sink;
  /// May be null. The int32 tensor [N, OH, OW, OC] that full blocks are written to directly; the
  /// sink then sees them there.
  int32_t* in_place = nullptr;
  std::optional<CodeOutput> codes = std::nullopt;

  Events take(const AccumulatorBlock& block) const {
    return codes ? codes->take(block) : sink(block);
  }
};

struct Conv2dKernelRun {
  Events events;
  int64_t target = 0;  ///< the Highway target the kernel was compiled for (0: nothing to do)
};

/// Convolves with a packed layer.
/// nullopt: the padded input of one strip would need an unreasonable amount of memory (windows of
/// millions of pixels); the norm has to do it.
std::optional<Conv2dKernelRun> run_conv2d_kernel(const Conv2dParams& params,
                                                 const Conv2dWeights& weights,
                                                 const Conv2dShape& shape, const Tensor& input,
                                                 Isa isa, EventCounting counting, ThreadPool* pool,
                                                 const Conv2dOutput& output);

}  // namespace facsim::sim
