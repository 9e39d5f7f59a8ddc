// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/conv2d_weights-internal.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "sim/core/check.h"
#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

/// Products per step.
int64_t elements_per_step(Conv2dKernelKind kind) {
  switch (kind) {
    case Conv2dKernelKind::quads:
    case Conv2dKernelKind::depthwise_quads:
      return 4;
    case Conv2dKernelKind::pairs:
    case Conv2dKernelKind::blocks:
      return 2;
    case Conv2dKernelKind::depthwise:
    case Conv2dKernelKind::ordered:
      return 1;
  }
  return 1;
}

std::vector<ChannelBlock> channel_blocks(const Conv2dParams& p, Conv2dKernelKind kind) {
  const int64_t oc = p.weights.shape()[0];
  const int64_t group_ic = p.weights.shape()[3];
  std::vector<ChannelBlock> blocks;
  const bool depthwise = is_depthwise(kind);
  const int64_t most = block_channels(kind);
  const int64_t groups = depthwise ? 1 : p.groups;
  const int64_t group_oc = oc / groups;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t c = 0; c < group_oc; c += most) {
      blocks.push_back(
          {g * group_oc + c, std::min(most, group_oc - c), depthwise ? c : g * group_ic});
    }
  }
  return blocks;
}

/// Packs `count` elements of one channel's run, from the first element of a step on: element e goes
/// to step e / PerStep, place e % PerStep of the channel's 4 bytes; what is left of the last step
/// is 0.
template <class Packed, int PerStep, class Code>
void pack_elements(const Code* codes, int64_t count, int32_t zero_point, int64_t bytes_per_step,
                   uint8_t* lane) {
  constexpr int kPlaces = 4 / static_cast<int>(sizeof(Packed));
  const auto step = [&](int64_t first, int64_t elements) {
    Packed packed[kPlaces] = {};
    for (int64_t i = 0; i < elements; ++i) {
      packed[i] = static_cast<Packed>(static_cast<int32_t>(codes[first + i]) - zero_point);
    }
    std::memcpy(lane, packed, 4);
    lane += bytes_per_step;
  };
  int64_t e = 0;
  for (; e + PerStep <= count; e += PerStep) step(e, PerStep);
  if (e < count) step(e, count - e);
}

/// The quads of 8-bit codes whose zero point is the middle of the type (int8: 0, uint8: 128): only
/// the top bit may have to change, so that four codes are one word.
template <class Code>
void pack_centred_quads(const Code* codes, int64_t count, int64_t bytes_per_step, uint8_t* lane) {
  constexpr uint32_t kFlip = std::is_signed_v<Code> ? 0 : 0x80808080u;
  int64_t e = 0;
  for (; e + 4 <= count; e += 4, lane += bytes_per_step) {
    uint32_t quad;
    std::memcpy(&quad, codes + e, 4);
    quad ^= kFlip;
    std::memcpy(lane, &quad, 4);
  }
  constexpr int32_t kMiddle = std::is_signed_v<Code> ? 0 : 128;
  pack_elements<int8_t, 4>(codes + e, count - e, kMiddle, bytes_per_step, lane);
}

template <class Code>
void pack_channel(Conv2dKernelKind kind, const Code* codes, int64_t count, int32_t zero_point,
                  uint8_t* lane) {
  const int64_t bytes_per_step = 4 * block_channels(kind);
  switch (kind) {
    case Conv2dKernelKind::quads:
    case Conv2dKernelKind::depthwise_quads:
      if constexpr (sizeof(Code) == 1) {
        if (zero_point == (std::is_signed_v<Code> ? 0 : 128)) {
          pack_centred_quads(codes, count, bytes_per_step, lane);
        } else {
          pack_elements<int8_t, 4>(codes, count, zero_point, bytes_per_step, lane);
        }
      }
      return;
    case Conv2dKernelKind::pairs:
    case Conv2dKernelKind::blocks:
      pack_elements<int16_t, 2>(codes, count, zero_point, bytes_per_step, lane);
      return;
    case Conv2dKernelKind::depthwise:
    case Conv2dKernelKind::ordered:
      pack_elements<int16_t, 1>(codes, count, zero_point, bytes_per_step, lane);
      return;
  }
}

/// Where a channel of a block stands among the lanes of its packed weights (Conv2dWeights).
class Places {
 public:
  void add(int64_t lane) { lanes_[static_cast<size_t>(count_++)] = lane; }
  const int64_t* begin() const { return lanes_.data(); }
  const int64_t* end() const { return lanes_.data() + count_; }

 private:
  std::array<int64_t, 4> lanes_{};
  int count_ = 0;
};

Places places_of(Conv2dKernelKind kind, const ChannelBlock& block, int64_t channel) {
  Places places;
  if (kind != Conv2dKernelKind::depthwise_quads) {
    places.add(channel);
    return places;
  }
  const int64_t copies = depthwise_pixels(block.channels);
  for (int64_t copy = 0; copy < copies; ++copy) {
    const int64_t byte = channel + copy * kMaxBlockChannels / copies;
    places.add(16 * (byte / 4 % 4) + 4 * (byte / 16) + byte % 4);
  }
  return places;
}

/// The layer's sum in the kernel's operands. Quads: x + offset is what the kernel multiplies, so
/// the sum of (x - zx) * w is the kernel's minus (zx + offset) * sum of w. Blocks: the same with
/// the offset of the accumulator's operands. The others read centred values.
int32_t correction(const Conv2dParams& p, const Conv2dRange& range, Conv2dKernelKind kind,
                   int64_t channel) {
  if (kind == Conv2dKernelKind::blocks) {
    return static_cast<int32_t>(-input_operand_offset(p) * range.channel(channel).weight_sum);
  }
  if (!reads_bytes(kind)) return 0;
  const int64_t zero = p.input_zero_point + unsigned_offset(p.input_type);
  return static_cast<int32_t>(-zero * range.channel(channel).weight_sum);
}

/// Conv2dWeights::run_sums of packed s8 weights.
void sum_runs(Conv2dWeights& packed) {
  const int64_t lanes = block_channels(packed.kind);
  const auto runs = static_cast<int64_t>(packed.blocks.size()) * packed.runs;
  packed.run_sums.assign(static_cast<size_t>(runs * lanes), 0);
  const auto* bytes = reinterpret_cast<const int8_t*>(packed.bytes);
  for (int64_t run = 0; run < runs; ++run) {
    int32_t* sums = packed.run_sums.data() + run * lanes;
    for (int64_t s = 0; s < packed.steps; ++s, bytes += 4 * lanes) {
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const int8_t* quad = bytes + 4 * lane;
        sums[lane] += quad[0] + quad[1] + quad[2] + quad[3];
      }
    }
  }
}

}  // namespace

std::string_view to_string(Conv2dKernelKind kind) {
  switch (kind) {
    case Conv2dKernelKind::quads:
      return "quads";
    case Conv2dKernelKind::pairs:
      return "pairs";
    case Conv2dKernelKind::depthwise:
      return "depthwise";
    case Conv2dKernelKind::depthwise_quads:
      return "depthwise_quads";
    case Conv2dKernelKind::ordered:
      return "ordered";
    case Conv2dKernelKind::blocks:
      return "blocks";
  }
  return "";
}

int32_t conv2d_sum_start(const Conv2dParams& p, const Conv2dRange& range, Conv2dKernelKind kind,
                         int64_t oc) {
  const int32_t bias = p.bias.empty() ? 0 : static_cast<int32_t>(p.bias.int_at(oc));
  return static_cast<int32_t>(static_cast<uint32_t>(bias) +
                              static_cast<uint32_t>(correction(p, range, kind, oc)));
}

void pack_conv2d_weights(const Conv2dParams& p, const Conv2dRange& range, Conv2dKernelKind kind,
                         Conv2dWeights& packed) {
  const Shape& shape = p.weights.shape();  // OC, KH, KW, IC / groups
  const int64_t taps = p.weights.numel() / shape[0];
  packed.kind = kind;
  packed.runs_span_kw =
      kind == Conv2dKernelKind::depthwise_quads ||
      (!is_depthwise(kind) && p.groups == 1 && (p.window.dilation[1] == 1 || shape[2] == 1));
  packed.runs = packed.runs_span_kw ? shape[1] : shape[1] * shape[2];
  packed.run_elements = taps / packed.runs;
  const int64_t per_step = elements_per_step(kind);
  packed.steps = (packed.run_elements + per_step - 1) / per_step;
  packed.blocks = channel_blocks(p, kind);
  packed.unused_bits = 0;
  if (!range.exact(p.accumulator) && p.accumulator.overflow == Overflow::wrap) {
    packed.unused_bits = 32 - p.accumulator.bits;
  }
  const int64_t bytes_per_step = packed.bytes_per_step();
  const int64_t run_bytes = packed.steps * bytes_per_step;
  const int64_t lanes = block_channels(kind);
  const int64_t blocks = static_cast<int64_t>(packed.blocks.size());
  uint8_t* bytes = packed.memory.reserve<uint8_t>(blocks * packed.runs * run_bytes);
  packed.bytes = bytes;
  packed.init.assign(static_cast<size_t>(blocks * lanes), 0);
  packed.bias_last.assign(packed.init.size(), 0);
  const bool bias_last =
      kind == Conv2dKernelKind::ordered && p.accumulator.init == Accumulator::Init::zero;
  for (int64_t b = 0; b < blocks; ++b) {
    const ChannelBlock& block = packed.blocks[static_cast<size_t>(b)];
    for (int64_t lane = 0; lane < block.channels; ++lane) {
      const int64_t oc = block.first + lane;
      std::vector<int32_t>& start = bias_last ? packed.bias_last : packed.init;
      for (const int64_t place : places_of(kind, block, lane)) {
        start[static_cast<size_t>(b * lanes + place)] = conv2d_sum_start(p, range, kind, oc);
      }
    }
  }
  // In pieces of a run, so that the steps which the channels of a block fill together stay in the
  // first cache level.
  constexpr int64_t kPiece = 64;
  detail::with_integer(p.weights.dtype(), [&]<class Code>() {
    const Code* codes = p.weights.data<Code>();
    for (int64_t b = 0; b < blocks; ++b) {
      const ChannelBlock& block = packed.blocks[static_cast<size_t>(b)];
      for (int64_t r = 0; r < packed.runs; ++r, bytes += run_bytes) {
        for (int64_t e = 0; e < packed.run_elements; e += kPiece) {
          const int64_t count = std::min(kPiece, packed.run_elements - e);
          uint8_t* piece = bytes + e / per_step * bytes_per_step;
          for (int64_t lane = 0; lane < block.channels; ++lane) {
            const int64_t oc = block.first + lane;
            const size_t zero = p.weight_zero_point.size() == 1 ? 0 : static_cast<size_t>(oc);
            for (const int64_t place : places_of(kind, block, lane)) {
              pack_channel(kind, codes + oc * taps + r * packed.run_elements + e, count,
                           static_cast<int32_t>(p.weight_zero_point[zero]), piece + 4 * place);
            }
          }
        }
      }
    }
  });
  packed.run_sums.clear();
  if (reads_bytes(kind) && p.window.padding.top + p.window.padding.bottom > 0) sum_runs(packed);
}

}  // namespace facsim::sim
