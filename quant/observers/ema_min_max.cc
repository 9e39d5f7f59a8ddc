// SPDX-License-Identifier: Apache-2.0
#include "quant/observers/ema_min_max.h"

namespace facsim::quant {

float EMAMinMaxObserver::next(float state, float batch, End /*end*/) const {
  return state * static_cast<float>(ema_ratio_) + batch * static_cast<float>(1.0 - ema_ratio_);
}

}  // namespace facsim::quant
