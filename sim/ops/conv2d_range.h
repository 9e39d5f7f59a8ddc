// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/core/wide.h"
#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// Which accumulators the actual weights allow, for any input of the input type.
///
/// With x - zx in [xl, xh] (xl <= 0 <= xh, because the zero point and the padding value are codes
/// of the type), P and N the sums of the positive and of the negative w - zw of a channel, every
/// partial sum of products, in any order, lies in [P*xl + N*xh, P*xh + N*xl], and both ends are
/// reached. The bias shifts this interval; when it is added last the unshifted one counts as well.
class Conv2dRange {
 public:
  struct Bounds {
    int128 partial_min, partial_max;  ///< any partial sum
    int128 total_min, total_max;      ///< the accumulator, bias included
  };

  /// params already checked. O(weights).
  explicit Conv2dRange(const Conv2dParams& params);

  const Bounds& channel(int64_t oc) const { return channels_[static_cast<size_t>(oc)]; }
  /// Over all channels.
  const Bounds& all() const { return all_; }
  /// True if no partial sum leaves [min, max].
  bool inside(int64_t min, int64_t max) const {
    return all_.partial_min >= min && all_.partial_max <= max;
  }

 private:
  std::vector<Bounds> channels_;
  Bounds all_{};
};

}  // namespace facsim::sim
