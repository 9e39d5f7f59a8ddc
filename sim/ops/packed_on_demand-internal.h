// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <mutex>

#include "sim/kernels/conv2d_weights-internal.h"
#include "sim/ops/conv2d.h"
#include "sim/ops/conv2d_range.h"

namespace facsim::sim {

/// Weights packed for a kernel when a run first needs it: each run may name another isa.
class PackedOnDemand {
 public:
  const Conv2dWeights& get(const Conv2dParams& params, const Conv2dRange& range,
                           Conv2dKernelKind kind) const {
    Entry& entry = entries_[static_cast<size_t>(kind)];
    std::call_once(entry.once, [&] { pack_conv2d_weights(params, range, kind, entry.weights); });
    return entry.weights;
  }

 private:
  struct Entry {
    std::once_flag once;
    Conv2dWeights weights;
  };
  mutable std::array<Entry, kConv2dKernelKinds> entries_;
};

}  // namespace facsim::sim
