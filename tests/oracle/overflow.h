// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/wide.h"

/// Slow overflow, written independently of sim: steps of the type's size until the value is inside,
/// or the sentence of the policy. One function per policy of overflow.def, under its name.
namespace facsim::oracle {

using sim::int128;

inline int128 wrap(int128 v, int128 min, int128 max) {
  const int128 size = max - min + 1;
  const int128 offset = (v - min) % size;  // the sign of v - min
  return min + (offset < 0 ? offset + size : offset);
}
inline int128 saturate(int128 v, int128 min, int128 max) {
  if (v < min) return min;
  if (v > max) return max;
  return v;
}
inline int128 saturate_symmetric(int128 v, int128 min, int128 max) {
  return saturate(v, min < 0 ? -max : min, max);
}
inline int128 saturate_zero(int128 v, int128 min, int128 max) { return v < min || v > max ? 0 : v; }
inline int128 error(int128 v, int128 /*min*/, int128 /*max*/) { return v; }

}  // namespace facsim::oracle
