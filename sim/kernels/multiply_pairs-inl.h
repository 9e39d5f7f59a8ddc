// SPDX-License-Identifier: Apache-2.0
// 16-bit pairs in 32-bit lanes: what the convolution kernels for int16 operands share.
#if defined(FACSIM_SIM_KERNELS_MULTIPLY_PAIRS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FACSIM_SIM_KERNELS_MULTIPLY_PAIRS_INL_H_
#undef FACSIM_SIM_KERNELS_MULTIPLY_PAIRS_INL_H_
#else
#define FACSIM_SIM_KERNELS_MULTIPLY_PAIRS_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// At most 16 lanes: two vectors never pass the 32 channels of a tile.
using Lanes32 = hn::CappedTag<int32_t, 16>;
using Vec32 = hn::Vec<Lanes32>;

/// acc + x.low * w.low + x.high * w.high in each 32-bit lane, modulo 2^32 (vpmaddwd, vpaddd).
/// ReorderWidenMulAccumulate assigns products to lanes differently per target; only x86 sums the
/// pair in its own lane, so the others multiply sign-extended halves.
HWY_INLINE Vec32 multiply_pairs(Lanes32 d, Vec32 x, Vec32 w, Vec32 acc) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  const hn::Repartition<int16_t, Lanes32> d16;
  Vec32 unused = hn::Zero(d);
  return hn::ReorderWidenMulAccumulate(d, hn::BitCast(d16, x), hn::BitCast(d16, w), acc, unused);
#else
  (void)d;
  const auto x_low = hn::ShiftRight<16>(hn::ShiftLeft<16>(x));
  const auto w_low = hn::ShiftRight<16>(hn::ShiftLeft<16>(w));
  const auto high = hn::Mul(hn::ShiftRight<16>(x), hn::ShiftRight<16>(w));
  return hn::Add(acc, hn::Add(hn::Mul(x_low, w_low), high));
#endif
}

/// The four bytes at x (two int16) in every lane.
HWY_INLINE Vec32 broadcast_pair(Lanes32 d, const uint8_t* x) {
  int32_t pair;
  std::memcpy(&pair, x, sizeof pair);
  return hn::Set(d, pair);
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#endif
