// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "sim/core/types.h"
#include "sim/overflow/overflow.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {

/// How products are summed.
///
/// acc starts at 0 (or at the bias, `init == bias`), takes one product (x - zx) * (w - zw) per tap
/// in the order kh, kw, ic when `order == sequential`, and is brought into `bits` by `overflow`
/// after each addition; the bias is added last when `init == zero`. With `order == any` the
/// platform promises nothing about the order; overflow must then be `wrap` (order-free modulo
/// 2^bits) or be proved impossible.
///
/// `operands`, `term` and `block` say what each addend is where that is not the exact product.
///
/// Event accumulator_overflow, at most one per output element: with `order == sequential` when any
/// addition (the bias included) left its width, with `order == any` when the exact total did; a
/// term or block that left its own width counts in either case.
struct Accumulator {
  enum class Order { any, sequential };
  enum class Init { zero, bias };

  /// What the multipliers see. Other than centred, the sum is of products of codes; what is missing
  /// to the sum of (x - zx) * (w - zw) is added as one exact addend after the taps, before a last
  /// bias.
  enum class Operands {
    centred,         ///< (x - zx) * (w - zw)
    codes,           ///< x * w (FBGEMM: uint8 activations)
    unsigned_codes,  ///< (x + 128) * w for int8 codes, x * w for uint8 (oneDNN, ONNX Runtime x86)
  };

  /// Every product is rounded and cast before it is added:
  ///   term = bring(overflow, round(product / 2^shift), bits)
  /// so the accumulator counts steps of 2^shift products. A negative shift multiplies exactly.
  /// Source: hls4ml nnet_dense_latency.h, where products are stored as accum_t (ap_fixed).
  struct Term {
    int shift = 0;  ///< -16..62
    Rounding rounding = Rounding::floor;
    int bits = 32;  ///< 2..62
    Overflow overflow = Overflow::wrap;
    friend bool operator==(const Term&, const Term&) = default;
  };

  /// Groups of `taps` consecutive products are summed exactly and brought into a narrower register
  /// before they are added:
  ///   group = bring(overflow, sum of terms, bits)
  /// With spill_every > 0 the groups meet in a register of the same width first, which is added to
  /// the accumulator and cleared after every spill_every taps:
  ///   register = bring(overflow, register + group, bits)
  /// Sources: x86 vpmaddubsw (taps 2, 16 bits, saturate); FBGEMM matmul_u8i8acc16_ref (the same
  /// with spill_every); CMSIS-NN arm_convolve_s16, whose 32-bit sum meets a 64-bit bias (kAllTaps,
  /// 32 bits, wrap); NVDLA CMAC (64 channels, 22 bits).
  struct Block {
    static constexpr int64_t kAllTaps = int64_t{1} << 28;
    enum class Span {
      layer,     ///< groups run on over kh, kw, ic as if those were one axis (im2col)
      position,  ///< each kernel position starts a new group
    };
    int64_t taps = 1;  ///< 1..kAllTaps
    int bits = 16;     ///< 8..62
    Overflow overflow = Overflow::saturate;
    int64_t spill_every = 0;  ///< 0, or a multiple of taps
    Span span = Span::layer;
    friend bool operator==(const Block&, const Block&) = default;
  };

  int bits = 32;  ///< 8..64
  Overflow overflow = Overflow::wrap;
  Order order = Order::any;
  Init init = Init::zero;
  Operands operands = Operands::centred;
  std::optional<Term> term{};
  std::optional<Block> block{};

  constexpr IntType type() const { return {bits, true}; }
  /// The values that the overflow policy leaves alone: the type's, without the lowest if symmetric.
  constexpr int64_t min() const {
    return overflow == Overflow::saturate_symmetric ? -type().max() : type().min();
  }
  constexpr int64_t max() const { return type().max(); }
  /// True if an addend is something else than the exact product.
  constexpr bool is_structured() const {
    return operands != Operands::centred || term.has_value() || block.has_value();
  }
  friend bool operator==(const Accumulator&, const Accumulator&) = default;
};

}  // namespace facsim::sim
