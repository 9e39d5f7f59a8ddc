// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <vector>

#include "sim/core/wide.h"
#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// What must be added to x - input_zero_point to make it what the multipliers see
/// (Accumulator::Operands).
int64_t input_operand_offset(const Conv2dParams& params);

/// Which accumulators the actual weights allow, for any input of the input type.
///
/// With x - zx in [xl, xh] (xl <= 0 <= xh, because the zero point and the padding value are codes
/// of the type), P and N the sums of the positive and of the negative w - zw of a channel, every
/// partial sum of products, in any order, lies in [P*xl + N*xh, P*xh + N*xl], and both ends are
/// reached. The bias shifts this interval; when it is added last the unshifted one counts as well.
///
/// The same bounds over the taps of each group, with the operands that the multipliers see, show
/// whether groups, terms and operands can change anything: if not, the accumulator is plain. The
/// bounds of one that is not plain are those of its width.
class Conv2dRange {
 public:
  struct Bounds {
    int128 partial_min, partial_max;  ///< any partial sum
    int128 total_min, total_max;      ///< the accumulator, bias included
    int64_t weight_sum;               ///< sum of w - zw
  };

  /// params already checked. O(weights).
  explicit Conv2dRange(const Conv2dParams& params);

  const Bounds& channel(int64_t oc) const { return channels_[static_cast<size_t>(oc)]; }
  /// Largest |partial sum| of a channel, INT64_MAX if larger.
  int64_t magnitude(int64_t oc) const { return magnitude(channel(oc)); }
  int64_t magnitude() const { return magnitude(all_); }
  /// An interval that holds every w - zw: the type's where that is in 8 bits, else the actual one.
  int64_t centred_weight_min() const { return centred_weight_min_; }
  int64_t centred_weight_max() const { return centred_weight_max_; }
  /// Over all channels.
  const Bounds& all() const { return all_; }
  /// True if no group or term leaves its width or is rounded, so that only the accumulator's own
  /// width counts.
  bool plain() const { return plain_; }
  /// True if no partial sum leaves the accumulator.
  bool exact(const Accumulator& accumulator) const {
    return plain_ && inside(accumulator.min(), accumulator.max());
  }
  /// Error unsupported: an accumulator of order `any`, which could leave its width and does not
  /// wrap; its result would depend on the order.
  void check_order(const Accumulator& accumulator) const;
  /// True if no partial sum leaves [min, max].
  bool inside(int64_t min, int64_t max) const {
    return all_.partial_min >= min && all_.partial_max <= max;
  }

 private:
  static int64_t magnitude(const Bounds& bounds) {
    const int128 largest = std::max(-bounds.partial_min, bounds.partial_max);
    return static_cast<int64_t>(std::min<int128>(largest, INT64_MAX));
  }

  void mark_structured(const Accumulator& accumulator);

  std::vector<Bounds> channels_;
  bool plain_ = true;
  Bounds all_{};
  int64_t centred_weight_min_ = 0, centred_weight_max_ = 0;
};

}  // namespace facsim::sim
