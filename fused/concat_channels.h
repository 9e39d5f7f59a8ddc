// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/core/parallel.h"
#include "sim/core/tensor.h"

namespace facsim::fused {

/// Float32 tensors side by side along the last axis: [..., sum of C]. Error shape_mismatch if other
/// axes differ.
Tensor concat_channels(std::span<const Tensor> parts, sim::ThreadPool* pool);
/// The parts of `channels` channels each, in order (they add up to the last axis: CHECK).
std::vector<Tensor> split_channels(const Tensor& whole, std::span<const int64_t> channels,
                                   sim::ThreadPool* pool);

}  // namespace facsim::fused
