// SPDX-License-Identifier: Apache-2.0
#include "fused/train/batches.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "fused/train/counter_random.h"

namespace facsim::fused::train {
namespace {

/// Images whose pixels say where they come from: 16 * item + position.
Dataset numbered(int64_t n, int64_t height, int64_t width, int64_t channels) {
  Dataset data{Tensor(DType::uint8, Shape{n, height, width, channels}), {}};
  for (int64_t i = 0; i < n; ++i) {
    data.labels.push_back(static_cast<int32_t>(i));
    for (int64_t k = 0; k < height * width * channels; ++k) {
      data.images.set_int(i * height * width * channels + k, (16 * i + k + 1) % 256);
    }
  }
  return data;
}

TEST_CASE("counter_random: depends on seed, stream and position") {
  const CounterRandom a(7, 1), b(7, 2), c(8, 1);
  CHECK(a.bits(5) == CounterRandom(7, 1).bits(5));
  CHECK(a.bits(0) != a.bits(1));
  CHECK(a.bits(0) != b.bits(0));
  CHECK(a.bits(0) != c.bits(0));
}

TEST_CASE("counter_random: below is in range and even") {
  const CounterRandom random(1, 1);
  std::vector<int> seen(6);
  constexpr int kDraws = 60'000;
  for (uint64_t i = 0; i < kDraws; ++i) ++seen.at(random.below(i, 6));
  // Standard deviation of a count: sqrt(60000 * 1/6 * 5/6) = 91.
  for (const int count : seen) CHECK(std::abs(count - kDraws / 6) < 5 * 91);
  CHECK(random.below(3, 1) == 0);
}

TEST_CASE("shuffled_order: a permutation that depends on seed and epoch alone") {
  const std::vector<int64_t> order = shuffled_order(1000, 5, 2);
  CHECK(order == shuffled_order(1000, 5, 2));
  CHECK(order != shuffled_order(1000, 5, 3));
  CHECK(order != shuffled_order(1000, 6, 2));
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int64_t> identity(1000);
  std::iota(identity.begin(), identity.end(), int64_t{0});
  CHECK(sorted == identity);
  int64_t fixed = 0;
  for (size_t i = 0; i < order.size(); ++i) fixed += order[i] == static_cast<int64_t>(i);
  CHECK(fixed < 10);  // one is expected
  CHECK(shuffled_order(0, 1, 0).empty());
}

TEST_CASE("make_batch: takes the items in order") {
  const Dataset data = numbered(5, 2, 3, 2);
  const int64_t order[] = {4, 0, 3};
  const Batch batch = make_batch(data, order, Augmentation::none, 1, 0);
  CHECK(batch.images.shape() == Shape{3, 2, 3, 2});
  CHECK(batch.labels == std::vector<int32_t>{4, 0, 3});
  for (int64_t k = 0; k < 12; ++k) {
    CHECK(batch.images.int_at(k) == data.images.int_at(4 * 12 + k));
    CHECK(batch.images.int_at(12 + k) == data.images.int_at(k));
  }
}

TEST_CASE("make_batch: augmentation mirrors and moves, the same for the same seed and item") {
  const Dataset data = numbered(12, 4, 5, 1);
  std::vector<int64_t> order(12);
  std::iota(order.begin(), order.end(), int64_t{0});
  const Batch all = make_batch(data, order, Augmentation::shift_flip, 3, 1);
  const int64_t one[] = {7};
  const Batch alone = make_batch(data, one, Augmentation::shift_flip, 3, 1);
  for (int64_t k = 0; k < 20; ++k) CHECK(alone.images.int_at(k) == all.images.int_at(7 * 20 + k));

  // Each result is one of the 2 x 5 x 5 the definition allows.
  bool moved = false;
  for (int64_t i = 0; i < 12; ++i) {
    bool found = false;
    for (int variant = 0; variant < 50; ++variant) {
      const bool flip = variant % 2 == 1;
      const int64_t dh = variant / 2 % 5 - 2, dw = variant / 10 - 2;
      bool same = true;
      for (int64_t h = 0; h < 4; ++h) {
        for (int64_t w = 0; w < 5; ++w) {
          const int64_t sh = h - dh, sw = flip ? 4 - (w - dw) : w - dw;
          const bool inside = sh >= 0 && sh < 4 && sw >= 0 && sw < 5;
          const int64_t expected = inside ? data.images.int_at(i * 20 + sh * 5 + sw) : 0;
          same = same && all.images.int_at(i * 20 + h * 5 + w) == expected;
        }
      }
      found = found || same;
      moved = moved || (same && (flip || dh != 0 || dw != 0));
    }
    CHECK(found);
  }
  CHECK(moved);
}

}  // namespace
}  // namespace facsim::fused::train
