// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "quant/observers/observer.h"

namespace facsim::quant {

/// The widest range seen: min = min(min, batch min), max = max(max, batch max).
/// PyTorch MinMaxObserver and PerChannelMinMaxObserver, MQBench MinMaxObserver.
class MinMaxObserver final : public Observer {
 public:
  using Observer::Observer;
  std::string_view name() const override { return "min_max"; }

 protected:
  float next(float state, float batch, End end) const override;
};

}  // namespace facsim::quant
