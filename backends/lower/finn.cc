// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/platform-internal.h"
#include "sim/core/error.h"
#include "sim/ops/multi_threshold.h"

namespace facsim::backends::detail {

/// Output code k holds from the smallest input code x on with s_in (x - z_in) >= s_out (k - z_out -
/// 1/2), in float64: an exact half_up requantization.
std::shared_ptr<const sim::Op> lower_finn_multi_threshold(const NodeView& node) {
  require_unary(node);
  const quant::QParams& input = node.qparams(0);
  const quant::QParams& output = node.output();
  if (output.type.bits > 16) {
    throw Error({ErrorCode::unsupported, "output", sim::to_string(output.type), "at most 16 bits",
                 "one threshold per code"});
  }
  const double ratio = static_cast<double>(output.scale.front()) / input.scale.front();
  const auto lowest = static_cast<double>(input.type.min());
  const double above = static_cast<double>(input.type.max()) + 1;
  std::vector<int64_t> thresholds;
  for (int64_t k = output.quant_min + 1; k <= output.quant_max; ++k) {
    const double steps = static_cast<double>(k - output.zero_point.front()) - 0.5;
    const double x = static_cast<double>(input.zero_point.front()) + steps * ratio;
    thresholds.push_back(
        static_cast<int64_t>(std::clamp(sim::round_real(sim::Rounding::ceil, x), lowest, above)));
  }
  sim::MultiThresholdParams params;
  params.input_type = input.type;
  params.output_type = output.type;
  params.thresholds = {std::move(thresholds)};
  params.bias = output.quant_min;
  return std::make_shared<sim::MultiThreshold>(std::move(params));
}

}  // namespace facsim::backends::detail
