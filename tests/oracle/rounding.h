// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/wide.h"

/// Slow rounding, written independently of sim: a rational number p / q, its two integer neighbours
/// found by C's truncating division, the nearer or the prescribed one chosen by the rule's
/// sentence. One function per mode of rounding.def, under its name.
namespace facsim::oracle {

using sim::int128;

/// A rational p / q between the integers `below` and `above` (equal if it is one).
struct Rational {
  int128 p, q;  ///< q > 0
  int128 below, above;

  Rational(int128 numerator, int128 denominator) : p(numerator), q(denominator) {
    const int128 truncated = p / q;  // toward zero
    const bool whole = truncated * q == p;
    below = whole || p > 0 ? truncated : truncated - 1;
    above = whole || p < 0 ? truncated : truncated + 1;
  }
  bool is_negative() const { return p < 0; }
  /// Negative: nearer to `below`; 0: in the middle; positive: nearer to `above`.
  int side() const {
    const int128 to_below = p - below * q;
    const int128 to_above = above * q - p;
    return to_below < to_above ? -1 : to_below > to_above ? 1 : 0;
  }
  int128 toward_zero_neighbour() const { return is_negative() ? above : below; }
  int128 outward_neighbour() const { return is_negative() ? below : above; }
  int128 even_neighbour() const { return below % 2 == 0 ? below : above; }
  int128 odd_neighbour() const { return below % 2 != 0 ? below : above; }
  int128 nearest(int128 tie) const { return side() < 0 ? below : side() > 0 ? above : tie; }
};

inline int128 half_up(Rational x) { return x.nearest(x.above); }
inline int128 half_down(Rational x) { return x.nearest(x.below); }
inline int128 half_away_from_zero(Rational x) { return x.nearest(x.outward_neighbour()); }
inline int128 half_toward_zero(Rational x) { return x.nearest(x.toward_zero_neighbour()); }
inline int128 half_even(Rational x) { return x.nearest(x.even_neighbour()); }
inline int128 half_odd(Rational x) { return x.nearest(x.odd_neighbour()); }
inline int128 floor(Rational x) { return x.below; }
inline int128 ceil(Rational x) { return x.above; }
inline int128 toward_zero(Rational x) { return x.toward_zero_neighbour(); }
inline int128 away_from_zero(Rational x) { return x.outward_neighbour(); }
inline int128 neg_half_up_pos_half_even(Rational x) {
  return x.nearest(x.is_negative() ? x.above : x.even_neighbour());
}

}  // namespace facsim::oracle
