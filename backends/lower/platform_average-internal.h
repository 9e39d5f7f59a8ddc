// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

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
};

/// The average pools of accelerators: tosa.reciprocal_average, ethos_u.pooling_scale,
/// onednn.reciprocal_average, nvdla.pdp_average, qonnx.quant_avg_pool2d (algorithms.cc says what
/// each is). Null for another algorithm. Error unsupported for a layer the platform has no form of.
std::shared_ptr<const sim::Op> lower_platform_average(const AverageLayer& layer);

}  // namespace facsim::backends::detail
