// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>

#include "sim/core/wide.h"

namespace facsim::sim {

/// The vocabulary in which every numeric primitive of sim is written, so that one source runs on
/// plain integers (the norm), on SIMD lanes (the kernels) and on solver expressions (the proofs).
///
/// An *integer-like* type I is a two's complement integer of a fixed width. It has
/// `+ - * & | ^ ~`, the signed comparisons `< > ==` whose results take `&& ||` and, found by
/// argument-dependent lookup, the functions below. Primitives never branch on a value: they choose
/// with `select`. Plain integers are int32_t, int64_t and int128; an intermediate must not overflow
/// them (each primitive states its range), only `shift_left` and `narrow` discard high bits.
template <class T>
concept PlainInteger =
    std::same_as<T, int32_t> || std::same_as<T, int64_t> || std::same_as<T, int128>;

namespace detail {
template <class T>
struct UnsignedOf;
template <>
struct UnsignedOf<int32_t> {
  using type = uint32_t;
};
template <>
struct UnsignedOf<int64_t> {
  using type = uint64_t;
};
template <>
struct UnsignedOf<int128> {
  using type = uint128;
};
}  // namespace detail

/// `value` as an integer of the type (and, for a solver, the context) of `like`.
template <PlainInteger I>
constexpr I constant_like(I /*like*/, int64_t value) {
  return static_cast<I>(value);
}

/// condition ? a : b, without a branch where the type has none.
template <class I>
constexpr I select(bool condition, I a, I b) {
  return condition ? a : b;
}

/// v * 2^n modulo 2^width; n 0..width-1.
template <PlainInteger I>
constexpr I shift_left(I v, I n) {
  return static_cast<I>(static_cast<typename detail::UnsignedOf<I>::type>(v) << n);
}

/// floor(v / 2^n); n 0..width-1.
template <PlainInteger I>
constexpr I shift_right_floor(I v, I n) {
  return v >> n;  // arithmetic since C++20
}

/// floor(v / d), d > 0.
template <PlainInteger I>
constexpr I divide_floor(I v, I d) {
  return v / d - (v % d < 0 ? 1 : 0);
}

/// v - d * floor(v / d), in 0..d-1; d > 0. (The product may overflow where this does not.)
template <PlainInteger I>
constexpr I remainder_floor(I v, I d) {
  const I remainder = v % d;
  return remainder + select<I>(remainder < 0, d, 0);
}

/// The same value in twice the width.
constexpr int64_t widen(int32_t v) { return v; }
constexpr int128 widen(int64_t v) { return v; }

/// The low half of the bits.
constexpr int32_t narrow(int64_t v) { return static_cast<int32_t>(v); }
constexpr int64_t narrow(int128 v) { return static_cast<int64_t>(v); }

/// The low half of floor(v / 2^Shift), Shift 0..width/2.
template <int Shift>
constexpr int32_t narrow_right(int64_t v) {
  return narrow(v >> Shift);
}
template <int Shift>
constexpr int64_t narrow_right(int128 v) {
  return narrow(v >> Shift);
}

/// -1 if v < 0, else 0.
template <PlainInteger I>
constexpr I sign_mask(I v) {
  return v >> (8 * sizeof(I) - 1);
}

/// 2^n - 1; n 0..width-1. (Not 1 << n minus 1: that overflows at width-1.)
template <class I>
constexpr I low_mask(I n) {
  return ~shift_left(constant_like(n, -1), n);
}

/// min and max by `select`.
template <class I>
constexpr I smaller_of(I a, I b) {
  return select(a < b, a, b);
}
template <class I>
constexpr I larger_of(I a, I b) {
  return select(a > b, a, b);
}

}  // namespace facsim::sim
