// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/numeric.h"
#include "sim/core/types.h"

namespace facsim::sim::overflow {

/// Smallest and largest value of a type, as integer-likes. An overflow policy is a struct with one
/// function `bring(v, Bounds)`, whose result lies inside; a v inside returns unchanged except where
/// the policy's own bounds are narrower (`saturate_symmetric`).
template <class I>
struct Bounds {
  I min;
  I max;
};

template <class I>
constexpr Bounds<I> bounds_of(IntType type, I like) {
  return {constant_like(like, type.min()), constant_like(like, type.max())};
}

/// The event every policy counts: it changed the value. (`error` changes nothing: see there.)
template <class I>
constexpr auto outside(I v, Bounds<I> b) {
  return v < b.min || v > b.max;
}

}  // namespace facsim::sim::overflow
