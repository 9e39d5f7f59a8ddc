// SPDX-License-Identifier: Apache-2.0
#include "quant/fbgemm_qparams.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/rounding/rounding.h"

namespace facsim::quant {

namespace {

constexpr float kSmallestScale = 6.1e-5f;

struct Chosen {
  float scale;
  int64_t zero_point;
};

Chosen choose(float min, float max, int64_t quant_min, int64_t quant_max, bool symmetric) {
  const bool both_signs = min < 0 && max > 0;
  const auto low_code = static_cast<double>(quant_min);
  const auto high_code = static_cast<double>(quant_max);
  if (both_signs && symmetric) {
    const double high_steps = static_cast<double>((quant_max - quant_min) / 2);
    const double low_steps = -(high_steps + 1);
    const double step = std::max(std::fabs(min / low_steps), std::fabs(max / high_steps));
    min = static_cast<float>(step * low_steps);
    max = static_cast<float>(step * high_steps);
  }
  min = std::min(min, 0.0f);
  max = std::max(max, 0.0f);
  double scale = (static_cast<double>(max) - min) / (high_code - low_code);
  if (static_cast<float>(scale) == 0.0f || std::isinf(1.0f / static_cast<float>(scale)))
    scale = 0.1;
  if (scale < static_cast<double>(kSmallestScale)) {
    const auto original = static_cast<float>(scale);
    scale = static_cast<double>(kSmallestScale);
    if (min == 0.0f) {
      max = kSmallestScale * static_cast<float>(quant_max - quant_min);
    } else if (max == 0.0f) {
      min = -kSmallestScale * static_cast<float>(quant_max - quant_min);
    } else {
      min *= kSmallestScale / original;
      max *= kSmallestScale / original;
    }
  }
  const double from_min = low_code - min / scale;
  const double from_max = high_code - max / scale;
  const double min_error = std::fabs(low_code) - std::fabs(min / scale);
  const double max_error = std::fabs(high_code) - std::fabs(max / scale);
  double zero_point = min_error < max_error ? from_min : from_max;
  if (both_signs && symmetric) zero_point = (low_code + high_code) / 2;
  zero_point = std::clamp(zero_point, low_code, high_code);
  return {static_cast<float>(scale),
          static_cast<int64_t>(sim::round_real(sim::Rounding::half_even, zero_point))};
}

}  // namespace

QParams choose_qparams_fbgemm(std::span<const float> min, std::span<const float> max,
                              const TensorSpec& spec) {
  FACSIM_CHECK_EQ(min.size(), max.size());
  QParams out;
  out.type = spec.type;
  out.quant_min = spec.quant_min();
  out.quant_max = spec.quant_max();
  out.channel_axis =
      spec.granularity == TensorSpec::Granularity::per_channel ? spec.channel_axis : -1;
  out.scale.clear();
  out.zero_point.clear();
  const bool symmetric = spec.zero_point != TensorSpec::ZeroPoint::any;
  for (size_t c = 0; c < min.size(); ++c) {
    const Chosen chosen = choose(min[c], max[c], out.quant_min, out.quant_max, symmetric);
    out.scale.push_back(chosen.scale);
    out.zero_point.push_back(chosen.zero_point);
  }
  check(out, "observed range");
  return out;
}

}  // namespace facsim::quant
