// SPDX-License-Identifier: Apache-2.0
#include "fused/train/batches.h"

#include <algorithm>
#include <numeric>

#include "fused/train/counter_random.h"

namespace facsim::fused::train {

namespace {

constexpr uint64_t kShuffleStream = 1, kAugmentStream = 2;

uint64_t of_epoch(uint64_t stream, int64_t epoch) {
  return stream << 32 | static_cast<uint32_t>(epoch);
}

/// Copies an H x W x C image mirrored and moved; what comes from outside is 0.
void copy_shift_flip(const uint8_t* from, uint8_t* to, const Shape& shape,
                     const CounterRandom& random, int64_t item) {
  constexpr int64_t kMaxShift = 2;
  const int64_t height = shape[1], width = shape[2], channels = shape[3];
  const auto i = static_cast<uint64_t>(item) * 3;
  const bool flip = random.below(i, 2) == 1;
  const int64_t dh = static_cast<int64_t>(random.below(i + 1, 2 * kMaxShift + 1)) - kMaxShift;
  const int64_t dw = static_cast<int64_t>(random.below(i + 2, 2 * kMaxShift + 1)) - kMaxShift;
  for (int64_t h = 0; h < height; ++h) {
    for (int64_t w = 0; w < width; ++w, to += channels) {
      const int64_t sh = h - dh, sw = flip ? width - 1 - (w - dw) : w - dw;
      if (sh < 0 || sh >= height || sw < 0 || sw >= width) {
        std::fill_n(to, channels, uint8_t{0});
      } else {
        std::copy_n(from + (sh * width + sw) * channels, channels, to);
      }
    }
  }
}

}  // namespace

std::vector<int64_t> shuffled_order(int64_t n, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  const CounterRandom random(seed, of_epoch(kShuffleStream, epoch));
  for (auto i = static_cast<uint64_t>(n); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(i, i)]);
  }
  return order;
}

Batch make_batch(const Dataset& data, std::span<const int64_t> order, Augmentation augmentation,
                 uint64_t seed, int64_t epoch) {
  Shape shape = data.images.shape();
  shape[0] = static_cast<int64_t>(order.size());
  Batch batch{Tensor::uninitialized(DType::uint8, shape), {}};
  batch.labels.reserve(order.size());
  const CounterRandom random(seed, of_epoch(kAugmentStream, epoch));
  const int64_t size = shape[1] * shape[2] * shape[3];
  uint8_t* to = batch.images.data<uint8_t>();
  for (const int64_t item : order) {
    const uint8_t* from = data.images.data<uint8_t>() + item * size;
    switch (augmentation) {
      case Augmentation::none:
        std::copy_n(from, size, to);
        break;
      case Augmentation::shift_flip:
        copy_shift_flip(from, to, shape, random, item);
        break;
    }
    to += size;
    batch.labels.push_back(data.labels[static_cast<size_t>(item)]);
  }
  return batch;
}

}  // namespace facsim::fused::train
