// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <stdexcept>

#include "tests/proof/bits.h"

/// What sim/kernels/lanes-inl.h uses of Highway, over a solver's bit-vectors: a vector of two int32
/// lanes, which is one int64 lane, in little-endian lane order. Wider vectors repeat this pair. The
/// operations are those of Highway's quick reference; that the compiled targets keep to it is what
/// the kernel tests of every target and tests/exhaustive check.
#define HWY_BEFORE_NAMESPACE() static_assert(true)
#define HWY_AFTER_NAMESPACE() static_assert(true)
#define HWY_NAMESPACE N_SYMBOLIC
#define HWY_SCALAR 1
#define HWY_TARGET 2
#define HWY_TARGET_TOGGLE
#define HWY_INLINE inline

namespace hwy::N_SYMBOLIC {

using facsim::proof::Bits;
using facsim::proof::Truth;

/// The context of the constants that `Set` makes.
inline z3::context*& current_context() {
  thread_local z3::context* context = nullptr;
  return context;
}

template <class T>
struct ScalableTag {};
template <class T, class Tag>
using Repartition = ScalableTag<T>;

template <class T>
struct Vector;
template <>
struct Vector<int32_t> {
  std::array<Bits, 2> lane;  ///< even, odd
};
template <>
struct Vector<int64_t> {
  Bits lane;
};
template <>
struct Vector<uint64_t> {
  Bits lane;
};
struct Mask32 {
  std::array<Truth, 2> lane;
};

template <class Tag>
struct Types;
template <class T>
struct Types<ScalableTag<T>> {
  using Vec = Vector<T>;
};
template <class Tag>
using Vec = typename Types<Tag>::Vec;
template <class Tag>
using Mask = Mask32;

using V32 = Vector<int32_t>;
using V64 = Vector<int64_t>;
using U64 = Vector<uint64_t>;

inline V32 Set(ScalableTag<int32_t> /*d*/, int32_t v) {
  const Bits lane = facsim::proof::value(*current_context(), v, 32);
  return {{lane, lane}};
}
inline V64 Set(ScalableTag<int64_t> /*d*/, int64_t v) {
  return {facsim::proof::value(*current_context(), v, 64)};
}
inline V32 LoadU(ScalableTag<int32_t> /*d*/, const int32_t* /*from*/) {
  throw std::logic_error("proofs load nothing");
}

template <class F>
V32 by_lane(const V32& a, const V32& b, F&& f) {
  return {{f(a.lane[0], b.lane[0]), f(a.lane[1], b.lane[1])}};
}
template <class F>
Mask32 compared(const V32& a, const V32& b, F&& f) {
  return {{f(a.lane[0], b.lane[0]), f(a.lane[1], b.lane[1])}};
}
inline V32 Add(const V32& a, const V32& b) { return by_lane(a, b, std::plus()); }
inline V32 Sub(const V32& a, const V32& b) { return by_lane(a, b, std::minus()); }
inline V32 And(const V32& a, const V32& b) { return by_lane(a, b, std::bit_and()); }
inline V32 Not(const V32& a) { return {{~a.lane[0], ~a.lane[1]}}; }
inline Mask32 Lt(const V32& a, const V32& b) { return compared(a, b, std::less()); }
inline Mask32 Gt(const V32& a, const V32& b) { return compared(a, b, std::greater()); }
inline Mask32 Eq(const V32& a, const V32& b) { return compared(a, b, std::equal_to()); }
inline Mask32 And(const Mask32& a, const Mask32& b) {
  return {{a.lane[0] && b.lane[0], a.lane[1] && b.lane[1]}};
}
inline Mask32 Or(const Mask32& a, const Mask32& b) {
  return {{a.lane[0] || b.lane[0], a.lane[1] || b.lane[1]}};
}
inline Mask32 Not(const Mask32& a) { return {{!a.lane[0], !a.lane[1]}}; }
inline V32 IfThenElse(const Mask32& m, const V32& a, const V32& b) {
  return {{select(m.lane[0], a.lane[0], b.lane[0]), select(m.lane[1], a.lane[1], b.lane[1])}};
}
inline V32 operator<<(const V32& v, const V32& n) {
  return by_lane(v, n, [](const Bits& a, const Bits& b) { return shift_left(a, b); });
}
inline V32 operator>>(const V32& v, const V32& n) {
  return by_lane(v, n, [](const Bits& a, const Bits& b) { return shift_right_floor(a, b); });
}
inline V64 operator>>(const V64& v, const V64& n) { return {shift_right_floor(v.lane, n.lane)}; }
inline V32 BroadcastSignBit(const V32& v) { return {{sign_mask(v.lane[0]), sign_mask(v.lane[1])}}; }
inline V64 Add(const V64& a, const V64& b) { return {a.lane + b.lane}; }
inline V64 And(const V64& a, const V64& b) { return {a.lane & b.lane}; }

/// The product of the even lanes, in both lanes' bits.
inline V64 MulEven(const V32& a, const V32& b) { return {widen(a.lane[0]) * widen(b.lane[0])}; }
/// The odd lanes of a, the even lanes of b.
inline V32 OddEven(const V32& a, const V32& b) { return {{b.lane[0], a.lane[1]}}; }

inline V32 BitCast(ScalableTag<int32_t> /*d*/, const U64& v) {
  return {{Bits{v.lane.e.extract(31, 0)}, Bits{v.lane.e.extract(63, 32)}}};
}
inline U64 BitCast(ScalableTag<uint64_t> /*d*/, const V32& v) {
  return {Bits{z3::concat(v.lane[1].e, v.lane[0].e)}};
}
inline U64 BitCast(ScalableTag<uint64_t> /*d*/, const V64& v) { return {v.lane}; }
inline V64 BitCast(ScalableTag<int64_t> /*d*/, const V32& v) {
  return {Bits{z3::concat(v.lane[1].e, v.lane[0].e)}};
}
template <int n>
U64 ShiftRight(const U64& v) {
  return {Bits{z3::lshr(v.lane.e, constant_like(v.lane, n).e)}};
}
template <int n>
U64 ShiftLeft(const U64& v) {
  return {shift_left(v.lane, constant_like(v.lane, n))};
}
template <class V>
int32_t GetLane(const V& /*v*/) {
  throw std::logic_error("the symbolic target has no scalar form");
}

}  // namespace hwy::N_SYMBOLIC
