// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <z3++.h>

#include <cstdint>
#include <string>

namespace facsim::proof {

/// A solver's truth value.
struct Truth {
  z3::expr e;
};
inline Truth operator&&(const Truth& a, const Truth& b) { return {a.e && b.e}; }
inline Truth operator||(const Truth& a, const Truth& b) { return {a.e || b.e}; }
inline Truth operator!(const Truth& a) { return {!a.e}; }
inline Truth operator==(const Truth& a, const Truth& b) { return {a.e == b.e}; }

/// An integer-like of sim/core/numeric.h whose value is a solver's bit-vector of any width: the
/// templates of sim run on it as on int32_t, and stand for every input at once. Both operands of an
/// operation have the same width.
struct Bits {
  z3::expr e;

  int width() const { return static_cast<int>(e.get_sort().bv_size()); }
};

inline Bits operator+(const Bits& a, const Bits& b) { return {a.e + b.e}; }
inline Bits operator-(const Bits& a, const Bits& b) { return {a.e - b.e}; }
/// While one lives, every product (of this thread) is `product` in place of a multiplier's circuit.
/// A claim proved for any product in a range holds for those that two numbers have; one refuted
/// says nothing. Only for claims that multiply one pair of numbers.
class FreeProduct {
 public:
  explicit FreeProduct(const Bits& product) : product_(product) { current() = this; }
  ~FreeProduct() { current() = nullptr; }
  FreeProduct(const FreeProduct&) = delete;
  FreeProduct& operator=(const FreeProduct&) = delete;

  static const FreeProduct*& current() {
    thread_local const FreeProduct* scope = nullptr;
    return scope;
  }
  const Bits& product() const { return product_; }

 private:
  Bits product_;
};
inline Bits operator*(const Bits& a, const Bits& b) {
  const FreeProduct* scope = FreeProduct::current();
  return scope == nullptr ? Bits{a.e * b.e} : scope->product();
}
inline Bits operator&(const Bits& a, const Bits& b) { return {a.e & b.e}; }
inline Bits operator|(const Bits& a, const Bits& b) { return {a.e | b.e}; }
inline Bits operator^(const Bits& a, const Bits& b) { return {a.e ^ b.e}; }
inline Bits operator~(const Bits& a) { return {~a.e}; }
inline Bits operator-(const Bits& a) { return {-a.e}; }
inline Truth operator<(const Bits& a, const Bits& b) { return {z3::slt(a.e, b.e)}; }
inline Truth operator>(const Bits& a, const Bits& b) { return {z3::sgt(a.e, b.e)}; }
inline Truth operator<=(const Bits& a, const Bits& b) { return {z3::sle(a.e, b.e)}; }
inline Truth operator>=(const Bits& a, const Bits& b) { return {z3::sge(a.e, b.e)}; }
inline Truth operator==(const Bits& a, const Bits& b) { return {a.e == b.e}; }
inline Truth operator!=(const Bits& a, const Bits& b) { return {a.e != b.e}; }

/// The same value in more bits, or its low bits.
inline Bits resized(const Bits& v, int width) {
  const int extra = width - v.width();
  if (extra >= 0) return {z3::sext(v.e, static_cast<unsigned>(extra))};
  return {v.e.extract(static_cast<unsigned>(width - 1), 0)};
}

inline Bits constant_like(const Bits& like, int64_t value) {
  return resized({like.e.ctx().bv_val(value, 64)}, like.width());
}
inline Bits select(const Truth& condition, const Bits& a, const Bits& b) {
  return {z3::ite(condition.e, a.e, b.e)};
}
inline Bits shift_left(const Bits& v, const Bits& n) { return {z3::shl(v.e, n.e)}; }
inline Bits shift_right_floor(const Bits& v, const Bits& n) { return {z3::ashr(v.e, n.e)}; }
inline Bits sign_mask(const Bits& v) {
  return select(v < constant_like(v, 0), constant_like(v, -1), constant_like(v, 0));
}
inline Bits widen(const Bits& v) { return resized(v, 2 * v.width()); }
inline Bits narrow(const Bits& v) { return resized(v, v.width() / 2); }
template <int Shift>
Bits narrow_right(const Bits& v) {
  return narrow(shift_right_floor(v, constant_like(v, Shift)));
}

inline Bits value(z3::context& context, int64_t v, int width) {
  return resized({context.bv_val(v, 64)}, width);
}
/// A free variable: every value of that width.
inline Bits any(z3::context& context, const char* name, int width) {
  return {context.bv_const(name, static_cast<unsigned>(width))};
}
/// What `divide_floor` and `remainder_floor` return: the free variables "quotient" and "remainder",
/// of which the claim may assume 0 <= remainder < d. A rounding mode can know no more of them.
/// (That C++'s / and % give the right ones is enumerated, tests/exhaustive.)
inline Bits divide_floor(const Bits& v, const Bits& /*d*/) {
  return any(v.e.ctx(), "quotient", v.width());
}
inline Bits remainder_floor(const Bits& v, const Bits& /*d*/) {
  return any(v.e.ctx(), "remainder", v.width());
}

inline Truth always(z3::context& context) { return {context.bool_val(true)}; }
/// min <= v <= max, signed.
inline Truth between(const Bits& v, int64_t min, int64_t max) {
  return v >= constant_like(v, min) && v <= constant_like(v, max);
}

}  // namespace facsim::proof
