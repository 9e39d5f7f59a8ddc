// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "quant/observers/observer.h"

namespace facsim::quant {

/// Exponential average of the batch ranges, the first batch copied:
///   state = state * ratio + batch * (1 - ratio), ratio 0.9, in float32.
/// MQBench EMAMinMaxObserver (a batch weighs 1 - ratio; the same idea as PyTorch's moving average
/// with averaging_constant 0.1, another formula).
class EMAMinMaxObserver final : public Observer {
 public:
  EMAMinMaxObserver(int channel_axis, int64_t channels, double ema_ratio = 0.9)
      : Observer(channel_axis, channels), ema_ratio_(ema_ratio) {}
  std::string_view name() const override { return "ema_min_max"; }

 protected:
  float next(float state, float batch, End end) const override;

 private:
  double ema_ratio_;
};

}  // namespace facsim::quant
