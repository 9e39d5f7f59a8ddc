// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/kernels/scratch-internal.h"
#include "sim/ops/conv2d_range.h"

namespace facsim::sim {

/// The kernels of conv2d_tile-internal.h, by what a strip and the weights hold.
enum class Conv2dKernelKind {
  quads,      ///< u8 input, s8 weights, four products per step
  pairs,      ///< s16 input and weights, centred, two products per step
  depthwise,  ///< s16 centred, one product per step, input vectors over channels
  ordered,    ///< s16 centred, one product per step, in order
  blocks,     ///< s16 as the multipliers see them, two products per step, their sum saturated
};
inline constexpr size_t kConv2dKernelKinds = 5;
std::string_view to_string(Conv2dKernelKind kind);

/// 32 output channels of one group (fewer in the last block of a group).
struct ChannelBlock {
  int64_t first = 0;          ///< output channel
  int64_t channels = 0;       ///< 1..32
  int64_t input_channel = 0;  ///< first input channel of the group (depthwise: strip channel)
};

/// A layer's weights in the order in which a tile kernel reads them:
/// [block][run][step][32 channels][4 bytes], zero where a run does not fill its last step; the
/// bytes of channels that a block lacks mean nothing.
///
/// A run is what lies together in the padded strip: KW * IC elements for each kh, or, where
/// dilation or groups separate the taps, IC / groups elements for each (kh, kw).
struct Conv2dWeights {
  Conv2dKernelKind kind = Conv2dKernelKind::pairs;
  int64_t runs = 0;
  int64_t run_elements = 0;
  int64_t steps = 0;
  bool runs_span_kw = false;
  std::vector<ChannelBlock> blocks;
  std::vector<int32_t> init;  ///< [blocks][32] where the sum starts: bias and zero point correction
  std::vector<int32_t> bias_last;  ///< [blocks][32] ordered kernel: added after the taps

  /// High bits that a wrapping accumulator narrower than 32 bits lacks; 0 if nothing can reach
  /// them.
  int unused_bits = 0;

  const uint8_t* block(size_t index) const {
    return bytes + static_cast<int64_t>(index) * runs * steps * kBytesPerStep;
  }

  static constexpr int64_t kBytesPerStep = 4 * 32;
  Scratch memory;
  const uint8_t* bytes = nullptr;
};

/// Fills `packed`, whose memory is used again. O(weights). params checked; the kind must be able to
/// hold the values (choose_conv2d_kernel).
void pack_conv2d_weights(const Conv2dParams& params, const Conv2dRange& range,
                         Conv2dKernelKind kind, Conv2dWeights& packed);

/// What must be added to a code of this type to make it the u8 that the quads kernel reads.
constexpr int64_t unsigned_offset(IntType type) { return type.is_signed ? 128 : 0; }

}  // namespace facsim::sim
