// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fused/train/dataset.h"

namespace facsim::fused::train {

/// The order of `n` items in one epoch: Fisher and Yates with random numbers by position, so that
/// it depends on (seed, epoch) alone.
std::vector<int64_t> shuffled_order(int64_t n, uint64_t seed, int64_t epoch);

enum class Augmentation {
  none,
  shift_flip,  ///< mirror by a coin flip, then move by up to 2 pixels each way, filled with 0
};

/// Raw images [n, H, W, C] and labels of one batch.
struct Batch {
  Tensor images;
  std::vector<int32_t> labels;
};

/// The items order[0..n). Augmentation of an item depends on (seed, epoch, its number in the data
/// set).
Batch make_batch(const Dataset& data, std::span<const int64_t> order, Augmentation augmentation,
                 uint64_t seed, int64_t epoch);

}  // namespace facsim::fused::train
