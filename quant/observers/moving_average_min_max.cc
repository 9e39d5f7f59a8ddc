// SPDX-License-Identifier: Apache-2.0
#include "quant/observers/moving_average_min_max.h"

namespace facsim::quant {

float MovingAverageMinMaxObserver::next(float state, float batch, End /*end*/) const {
  return state + static_cast<float>(averaging_constant_) * (batch - state);
}

}  // namespace facsim::quant
