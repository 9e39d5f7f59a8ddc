// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "backends/lower/requantize-internal.h"

namespace facsim::backends::detail {

/// One average pool with the rules it is lowered under.
struct AverageLayer {
  const OpRules& rules;
  const sim::Window2d& window;
  bool global = false;  ///< the window is the whole image
  bool count_include_pad = false;
  const quant::QParams& input;
  const quant::QParams& output;
  ClampBounds clamp;
  int64_t ih = 1, iw = 1;

  std::array<int64_t, 2> window_extents() const {
    return global ? std::array<int64_t, 2>{ih, iw} : window.kernel;
  }
  /// Taps of a window that lies inside the image.
  int64_t window_size() const { return window_extents()[0] * window_extents()[1]; }
  /// Numbers of taps a window can have, in the order of the program's arguments.
  std::vector<int64_t> tap_counts() const;
  /// `steps`, add zero_point, and the output's type and clamp.
  std::vector<sim::Step> with_output_steps(std::vector<sim::Step> steps, int64_t zero_point) const {
    return joined(std::move(steps), output_steps(zero_point, output.type, clamp));
  }
};

/// The average pools of accelerators: tosa.reciprocal_average, ethos_u.pooling_scale,
/// onednn.reciprocal_average, nvdla.pdp_average, qonnx.quant_avg_pool2d (algorithms.cc says what
/// each is). Null for another algorithm. Error unsupported for a layer the platform has no form of.
std::shared_ptr<const sim::Op> lower_platform_average(const AverageLayer& layer);

}  // namespace facsim::backends::detail
