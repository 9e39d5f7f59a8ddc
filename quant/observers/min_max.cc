// SPDX-License-Identifier: Apache-2.0
#include "quant/observers/min_max.h"

#include <algorithm>

namespace facsim::quant {

float MinMaxObserver::next(float state, float batch, End end) const {
  return end == End::min ? std::min(state, batch) : std::max(state, batch);
}

}  // namespace facsim::quant
