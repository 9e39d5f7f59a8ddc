// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "quant/observers/observer.h"

namespace facsim::quant {

/// Moving average of the batch ranges, the first batch copied:
///   state = state + averaging_constant * (batch - state), averaging_constant 0.01, in float32.
/// PyTorch MovingAverageMinMaxObserver and MovingAveragePerChannelMinMaxObserver.
class MovingAverageMinMaxObserver final : public Observer {
 public:
  MovingAverageMinMaxObserver(int channel_axis, int64_t channels, double averaging_constant = 0.01)
      : Observer(channel_axis, channels), averaging_constant_(averaging_constant) {}
  std::string_view name() const override { return "moving_average_min_max"; }

 protected:
  float next(float state, float batch, End end) const override;

 private:
  double averaging_constant_;
};

}  // namespace facsim::quant
