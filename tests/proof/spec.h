// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/proof/bits.h"

/// The meaning of each rounding mode as a property of the result, not as a way to compute it. An
/// integer r stands for v / unit; error = v - r * unit. Exactly one r has each property.
namespace facsim::proof::spec {

struct Rounding {
  Truth v_negative;
  Truth r_odd;
  Bits error;  ///< wide enough that error * 2 does not overflow
  Bits unit;   ///< > 0
};

inline Bits zero(const Rounding& x) { return constant_like(x.error, 0); }
inline Truth error_negative(const Rounding& x) { return x.error < zero(x); }  // r is above v / unit
inline Truth error_positive(const Rounding& x) { return x.error > zero(x); }  // r is below
inline Bits magnitude(const Rounding& x) { return select(error_negative(x), -x.error, x.error); }
/// r is a nearest integer, and the one with `tie` if there are two.
inline Truth nearest(const Rounding& x, const Truth& tie) {
  const Bits twice = magnitude(x) + magnitude(x);
  return twice < x.unit || (twice == x.unit && tie);
}
/// r is one of the two neighbours.
inline Truth neighbour(const Rounding& x) { return magnitude(x) < x.unit; }
inline Truth away_from_zero_side(const Rounding& x) {
  return (x.v_negative && !error_negative(x)) || (!x.v_negative && !error_positive(x));
}
inline Truth toward_zero_side(const Rounding& x) {
  return (x.v_negative && !error_positive(x)) || (!x.v_negative && !error_negative(x));
}

inline Truth half_up(const Rounding& x) { return nearest(x, error_negative(x)); }
inline Truth half_down(const Rounding& x) { return nearest(x, error_positive(x)); }
inline Truth half_away_from_zero(const Rounding& x) { return nearest(x, away_from_zero_side(x)); }
inline Truth half_toward_zero(const Rounding& x) { return nearest(x, toward_zero_side(x)); }
inline Truth half_even(const Rounding& x) { return nearest(x, !x.r_odd); }
inline Truth half_odd(const Rounding& x) { return nearest(x, x.r_odd); }
inline Truth floor(const Rounding& x) { return neighbour(x) && !error_negative(x); }
inline Truth ceil(const Rounding& x) { return neighbour(x) && !error_positive(x); }
inline Truth toward_zero(const Rounding& x) { return neighbour(x) && toward_zero_side(x); }
inline Truth away_from_zero(const Rounding& x) { return neighbour(x) && away_from_zero_side(x); }
inline Truth neg_half_up_pos_half_even(const Rounding& x) {
  return nearest(x, (x.v_negative && error_negative(x)) || (!x.v_negative && !x.r_odd));
}

/// r against v / 2^n, in twice the width of v and a few bits, where nothing wraps.
inline Rounding shifted(const Bits& v, const Bits& n, const Bits& r) {
  const int wide = 2 * v.width() + 4;
  const Bits shift{z3::zext(n.e, static_cast<unsigned>(wide - n.width()))};
  const Bits unit = shift_left(constant_like(resized(v, wide), 1), shift);
  const Bits one = constant_like(r, 1);
  return {v < constant_like(v, 0), (r & one) == one,
          resized(v, wide) - shift_left(resized(r, wide), shift), unit};
}

}  // namespace facsim::proof::spec
