// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "sim/kernels/requantize.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim::detail {

/// A program from float32 to codes, prepared for many elements: the same bits and events as
/// Requantizer::apply_real for each.
///
/// Made for per-tensor programs of the form: float32 steps, fclamp, round, integer steps. Each
/// float32 step is one IEEE operation per element whatever the order of elements, the clamp bounds
/// the rounded integers, and the integer steps are a RequantizeKernel over that range.
class RealKernel {
 public:
  /// Nothing for programs of another form: they run the norm.
  static std::optional<RealKernel> make(const Requantizer& requantizer);

  Events run(const float* values, int64_t count, void* codes, Isa isa, bool count_events) const;

 private:
  struct RealStep {
    StepKind kind;
    float a, b;
  };
  std::vector<RealStep> steps_;
  Rounding rounding_ = Rounding::half_even;
  DType output_ = DType::int8;
  RequantizeKernel integer_steps_;
};

}  // namespace facsim::sim::detail
