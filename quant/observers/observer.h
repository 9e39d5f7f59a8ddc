// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "quant/state.h"
#include "sim/core/tensor.h"

namespace facsim::quant {

/// Follows the range of a tensor over batches: [min, max] per tensor, or per index of an axis.
class Observer {
 public:
  /// One range per tensor (`channel_axis` -1, `channels` 1), or `channels` of them along the axis.
  Observer(int channel_axis, int64_t channels);
  virtual ~Observer() = default;
  /// The word of observers.def.
  virtual std::string_view name() const = 0;

  /// Takes the range of a float32 tensor. Error shape_mismatch if the channel axis does not fit,
  /// bad_value if a value is not finite.
  void observe(const Tensor& x);
  /// Takes a batch's range that the caller knows: one entry per channel.
  void observe_range(std::span<const float> min, std::span<const float> max);

  /// True until the first batch.
  bool empty() const;
  int channel_axis() const { return channel_axis_; }
  int64_t channels() const { return min_.numel(); }
  std::span<const float> min() const { return min_.values<float>(); }
  std::span<const float> max() const { return max_.values<float>(); }
  /// min, max, batches.
  State state() const;

 protected:
  enum class End { min, max };
  /// The range's new end from the old one and a later batch's (the first batch's is copied).
  virtual float next(float state, float batch, End end) const = 0;

 private:
  int channel_axis_;
  Tensor min_, max_;
  Tensor batches_;  // [1] int64
};

/// Range of each channel of a float32 tensor (one of all elements for channel_axis -1). Error
/// bad_value for a value that is not finite, shape_mismatch for an axis outside.
struct Range {
  std::vector<float> min, max;
};
Range range_of(const Tensor& x, int channel_axis);

/// An observer by its word. Error bad_value lists the words.
std::unique_ptr<Observer> make_observer(std::string_view name, int channel_axis, int64_t channels);
/// All words in the order of observers.def.
const std::vector<std::string_view>& all_observers();

}  // namespace facsim::quant
