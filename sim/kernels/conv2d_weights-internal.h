// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/scratch-internal.h"
#include "sim/ops/conv2d_range.h"

namespace facsim::sim {

/// The kernels of conv2d_tile-internal.h, by what a strip and the weights hold.
enum class Conv2dKernelKind {
  quads,            ///< u8 input, s8 weights, four products per step
  pairs,            ///< s16 input and weights, centred, two products per step
  depthwise,        ///< s16 centred, one product per step, input vectors over channels
  depthwise_quads,  ///< u8 input, s8 weights, four taps of a row per step, vectors over channels
  ordered,          ///< s16 centred, one product per step, in order
  blocks,           ///< s16 as the multipliers see them, two products per step, their sum saturated
};
inline constexpr size_t kConv2dKernelKinds = 6;
std::string_view to_string(Conv2dKernelKind kind);

/// Kernels that multiply u8 by s8 codes.
constexpr bool reads_bytes(Conv2dKernelKind kind) {
  return kind == Conv2dKernelKind::quads || kind == Conv2dKernelKind::depthwise_quads;
}
constexpr bool is_depthwise(Conv2dKernelKind kind) {
  return kind == Conv2dKernelKind::depthwise || kind == Conv2dKernelKind::depthwise_quads;
}

/// Output channels that one call of the kernel computes.
constexpr int64_t block_channels(Conv2dKernelKind kind) {
  return kind == Conv2dKernelKind::depthwise_quads ? kMaxBlockChannels : kTileChannels;
}

/// block_channels output channels of one group (fewer in the last block of a group).
struct ChannelBlock {
  int64_t first = 0;          ///< output channel
  int64_t channels = 0;       ///< 1..block_channels
  int64_t input_channel = 0;  ///< first input channel of the group (depthwise: strip channel)
};

/// A layer's weights in the order in which a tile kernel reads them:
/// [block][run][step][channel][4 bytes], zero where a run does not fill its last step; the
/// bytes of channels that a block lacks mean nothing.
///
/// A run is what lies together in the padded strip: KW * IC elements for each kh, or, where
/// dilation or groups separate the taps, IC / groups elements for each (kh, kw). For
/// depthwise_quads it is the KW taps of a row, and channel 16 i + 4 k + j of a block is at place
/// 16 k + 4 i + j, where unpacking bytes and words leaves it. Blocks of few channels are written
/// for several pixels at once (depthwise_pixels).
struct Conv2dWeights {
  Conv2dKernelKind kind = Conv2dKernelKind::pairs;
  int64_t runs = 0;
  int64_t run_elements = 0;
  int64_t steps = 0;
  bool runs_span_kw = false;
  std::vector<ChannelBlock> blocks;
  std::vector<int32_t>
      init;  ///< [blocks][channels] where the sum starts: bias and zero point correction
  std::vector<int32_t> bias_last;  ///< [blocks][channels] ordered kernel: added after the taps

  /// Sums of the weights of each run, [blocks][runs][channels], in the order of `init`: what a run
  /// of equal codes adds is a multiple of it. Only of kernels that read bytes, where windows can
  /// lie above or below the image.
  std::vector<int32_t> run_sums;

  /// High bits that a wrapping accumulator narrower than 32 bits lacks; 0 if nothing can reach
  /// them.
  int unused_bits = 0;

  /// The weights of a block from a run on.
  const uint8_t* run(size_t block, int64_t index) const {
    return bytes + (static_cast<int64_t>(block) * runs + index) * steps * bytes_per_step();
  }

  int64_t bytes_per_step() const { return 4 * block_channels(kind); }
  Scratch memory;
  const uint8_t* bytes = nullptr;
};

/// Fills `packed`, whose memory is used again. O(weights). params checked; the kind must be able to
/// hold the values (choose_conv2d_kernel).
void pack_conv2d_weights(const Conv2dParams& params, const Conv2dRange& range,
                         Conv2dKernelKind kind, Conv2dWeights& packed);

/// Where the kernel's sum of an output channel starts: the bias, and what the zero points make of
/// it, modulo 2^32.
int32_t conv2d_sum_start(const Conv2dParams& params, const Conv2dRange& range,
                         Conv2dKernelKind kind, int64_t oc);

/// What must be added to a code of this type to make it the u8 that the quads kernel reads.
constexpr int64_t unsigned_offset(IntType type) { return type.is_signed ? 128 : 0; }

}  // namespace facsim::sim
