// SPDX-License-Identifier: Apache-2.0
// SIMD lanes as integer-likes (sim/core/numeric.h): a vector of int32 and its products in int64.
#if defined(FACSIM_SIM_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FACSIM_SIM_KERNELS_LANES_INL_H_
#undef FACSIM_SIM_KERNELS_LANES_INL_H_
#else
#define FACSIM_SIM_KERNELS_LANES_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "sim/core/numeric.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using TagI32 = hn::ScalableTag<int32_t>;
using VecI32 = hn::Vec<TagI32>;

#if HWY_TARGET == HWY_SCALAR
// One lane: the plain integer itself.
using LanesI32 = int32_t;
using LanesI64 = int64_t;
using LanesFactor = int64_t;
HWY_INLINE LanesFactor factor(LanesI32 x) { return x; }
HWY_INLINE LanesI32 to_lanes(VecI32 v) { return hn::GetLane(v); }
HWY_INLINE VecI32 to_vector(LanesI32 x) { return hn::Set(TagI32(), x); }
HWY_INLINE int64_t join_halves(LanesI32 high, LanesI32 low) {
  return static_cast<int64_t>(static_cast<uint64_t>(high) << 32 | static_cast<uint32_t>(low));
}
#else
using TagI64 = hn::Repartition<int64_t, TagI32>;
using TagU64 = hn::Repartition<uint64_t, TagI32>;
using VecI64 = hn::Vec<TagI64>;

struct LanesI32 {
  VecI32 v;
};
HWY_INLINE LanesI32 to_lanes(VecI32 v) { return {v}; }
HWY_INLINE VecI32 to_vector(LanesI32 x) { return x.v; }

struct LanesMask {
  hn::Mask<TagI32> m;
};
HWY_INLINE LanesMask operator&&(LanesMask a, LanesMask b) { return {hn::And(a.m, b.m)}; }
HWY_INLINE LanesMask operator||(LanesMask a, LanesMask b) { return {hn::Or(a.m, b.m)}; }
HWY_INLINE LanesMask operator!(LanesMask a) { return {hn::Not(a.m)}; }

HWY_INLINE LanesI32 operator+(LanesI32 a, LanesI32 b) { return {hn::Add(a.v, b.v)}; }
HWY_INLINE LanesI32 operator-(LanesI32 a, LanesI32 b) { return {hn::Sub(a.v, b.v)}; }
HWY_INLINE LanesI32 operator&(LanesI32 a, LanesI32 b) { return {hn::And(a.v, b.v)}; }
HWY_INLINE LanesI32 operator~(LanesI32 a) { return {hn::Not(a.v)}; }
HWY_INLINE LanesMask operator<(LanesI32 a, LanesI32 b) { return {hn::Lt(a.v, b.v)}; }
HWY_INLINE LanesMask operator>(LanesI32 a, LanesI32 b) { return {hn::Gt(a.v, b.v)}; }
HWY_INLINE LanesMask operator==(LanesI32 a, LanesI32 b) { return {hn::Eq(a.v, b.v)}; }

HWY_INLINE LanesI32 constant_like(LanesI32, int64_t value) {
  return {hn::Set(TagI32(), static_cast<int32_t>(value))};
}
HWY_INLINE LanesI32 select(LanesMask condition, LanesI32 a, LanesI32 b) {
  return {hn::IfThenElse(condition.m, a.v, b.v)};
}
HWY_INLINE LanesI32 shift_left(LanesI32 v, LanesI32 n) { return {v.v << n.v}; }
HWY_INLINE LanesI32 shift_right_floor(LanesI32 v, LanesI32 n) { return {v.v >> n.v}; }
HWY_INLINE LanesI32 low_mask(LanesI32 n) { return ~shift_left(constant_like(n, -1), n); }
HWY_INLINE LanesI32 sign_mask(LanesI32 v) { return {hn::BroadcastSignBit(v.v)}; }

/// An int32 vector that stands for its lanes in int64: only multiplied and shifted by, so that
/// nothing needs to be extended.
struct LanesWidened {
  VecI32 v;
};
/// int64 for each int32 lane: those of the even lanes and those of the odd lanes.
struct LanesI64 {
  VecI64 even, odd;
};

HWY_INLINE LanesWidened widen(LanesI32 a) { return {a.v}; }
/// The odd lanes where MulEven looks; what is left in the odd lanes does not matter to it.
HWY_INLINE VecI32 odd_lanes(VecI32 v) {
  return hn::BitCast(TagI32(), hn::ShiftRight<32>(hn::BitCast(TagU64(), v)));
}
HWY_INLINE LanesI64 operator*(LanesWidened a, LanesWidened b) {
  return {hn::MulEven(a.v, b.v), hn::MulEven(odd_lanes(a.v), odd_lanes(b.v))};
}
/// As LanesWidened, for factors of many products.
struct LanesFactor {
  VecI32 even, odd;
};
HWY_INLINE LanesFactor factor(LanesI32 a) { return {a.v, odd_lanes(a.v)}; }
HWY_INLINE LanesI64 operator*(LanesWidened a, LanesFactor b) {
  return {hn::MulEven(a.v, b.even), hn::MulEven(odd_lanes(a.v), b.odd)};
}
/// high * 2^32 + low, low as an unsigned number.
HWY_INLINE LanesI64 join_halves(LanesI32 high, LanesI32 low) {
  const TagI32 d;
  const auto even_high = hn::BitCast(d, hn::ShiftLeft<32>(hn::BitCast(TagU64(), high.v)));
  return {hn::BitCast(TagI64(), hn::OddEven(even_high, low.v)),
          hn::BitCast(TagI64(), hn::OddEven(high.v, odd_lanes(low.v)))};
}
HWY_INLINE LanesI64 operator+(LanesI64 a, LanesI64 b) {
  return {hn::Add(a.even, b.even), hn::Add(a.odd, b.odd)};
}
HWY_INLINE LanesI64 constant_like(LanesI64, int64_t value) {
  const auto v = hn::Set(TagI64(), value);
  return {v, v};
}
/// n >= 0 in every lane.
HWY_INLINE LanesI64 shift_right_floor(LanesI64 v, LanesWidened n) {
  const auto even = hn::And(hn::BitCast(TagI64(), n.v), hn::Set(TagI64(), 0xFFFFFFFF));
  const auto odd = hn::BitCast(TagI64(), odd_lanes(n.v));
  return {v.even >> even, v.odd >> odd};
}
template <int Shift>
HWY_INLINE LanesI32 narrow_right(LanesI64 v) {
  const TagI32 d;
  const TagU64 d64;
  const auto even = hn::ShiftRight<Shift>(hn::BitCast(d64, v.even));
  if constexpr (Shift == 32) {
    return {hn::OddEven(hn::BitCast(d, hn::BitCast(d64, v.odd)), hn::BitCast(d, even))};
  }
  const auto odd = hn::ShiftLeft<32 - Shift>(hn::BitCast(d64, v.odd));
  return {hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, even))};
}
#endif  // HWY_TARGET == HWY_SCALAR

#include "sim/requantize/fixed_point-inl.h"

HWY_INLINE LanesI32 load_lanes(const int32_t* from) { return to_lanes(hn::LoadU(TagI32(), from)); }

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();
#endif  // include guard
