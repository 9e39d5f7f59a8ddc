// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace facsim::sim {

/// Numeric events of one node run, counted per element. A profile allows or refuses them.
struct Events {
  int64_t saturated = 0;  ///< a `resize` that saturated a value
  int64_t wrapped = 0;    ///< a `resize` that wrapped a value
  int64_t accumulator_overflow =
      0;  ///< an accumulator step outside its width (wrapped or saturated)

  Events& operator+=(const Events& o) {
    saturated += o.saturated;
    wrapped += o.wrapped;
    accumulator_overflow += o.accumulator_overflow;
    return *this;
  }
  friend bool operator==(const Events&, const Events&) = default;
};

}  // namespace facsim::sim
