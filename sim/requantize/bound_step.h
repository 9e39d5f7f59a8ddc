// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/requantize/step.h"

namespace facsim::sim {

/// The values of an operand: one for all channels, or one per channel. Empty where the step has
/// none.
template <class T>
class PerChannel {
 public:
  PerChannel() = default;
  explicit PerChannel(std::vector<T> values) : values_(std::move(values)) {}

  T operator[](int64_t channel) const {
    return values_[values_.size() == 1 ? 0 : static_cast<size_t>(channel)];
  }
  bool is_per_tensor() const { return values_.size() == 1; }
  const std::vector<T>& values() const { return values_; }

 private:
  std::vector<T> values_;
};

/// A step whose operands have values: `a`, `b` of integer steps, `real_a`, `real_b` of float32
/// steps.
struct BoundStep {
  StepKind kind;
  Rounding rounding;
  IntType type;
  Overflow overflow;
  PerChannel<int64_t> a, b;
  PerChannel<float> real_a, real_b;
};

}  // namespace facsim::sim
