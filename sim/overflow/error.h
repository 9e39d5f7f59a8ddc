// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/overflow/bounds.h"

namespace facsim::sim::overflow {

/// A value outside is refused: `bring_into` throws. As a branch-free primitive it leaves v
/// unchanged, and whoever runs it must look at `outside` first.
struct error {
  template <class I>
  static constexpr I bring(I v, Bounds<I> /*b*/) {
    return v;
  }
};

}  // namespace facsim::sim::overflow
