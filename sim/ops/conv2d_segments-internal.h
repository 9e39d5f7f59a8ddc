// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sim/ops/conv2d.h"
#include "sim/ops/conv2d_range.h"

namespace facsim::sim {

/// A convolution whose accumulators are proved to fit 64 bits but not 32 (int16 activations), as a
/// sum of convolutions over a part of the input channels each, whose sums are proved to fit 32
/// bits: those run by the 32-bit kernels, their sums meet in 64 bits. Any order of exact additions
/// gives the norm's bits.
class Conv2dSegments {
 public:
  /// Null if the accumulator could leave its width, is not a plain sum, has groups, or would need
  /// more than 16 segments.
  static std::unique_ptr<const Conv2dSegments> make(const Conv2dParams& params,
                                                    const Conv2dRange& range);
  ~Conv2dSegments();

  /// Takes accumulators [pixels, OC], bias included, of pixels from first_pixel on in [N * OH *
  /// OW]. Called from several threads.
  using Sink = std::function<Events(const int64_t* acc, int64_t first_pixel, int64_t pixels)>;
  /// nullopt: a kernel needs too much memory or does not exist for this isa.
  std::optional<Events> run(const Tensor& input, const Shape& output, Isa isa, ThreadPool* pool,
                            const Sink& sink) const;
  int64_t count() const { return static_cast<int64_t>(segments_.size()); }

 private:
  struct Segment;
  Conv2dSegments();
  bool add_segment(const Segment& segment, const Tensor& images, Isa isa, ThreadPool* pool,
                   int64_t* totals) const;

  std::vector<int64_t> bias_;  ///< [OC]
  std::vector<std::unique_ptr<const Segment>> segments_;
};

}  // namespace facsim::sim
