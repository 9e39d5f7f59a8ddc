// SPDX-License-Identifier: Apache-2.0
#include "quant/observers/min_max.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>

#include "sim/core/error.h"

using namespace facsim;

TEST_CASE("MinMaxObserver: keeps the widest range over batches") {
  quant::MinMaxObserver observer(-1, 1);
  CHECK(observer.empty());
  observer.observe(Tensor::from<float>({3}, std::array{1.0f, -2.0f, 0.5f}));
  observer.observe(Tensor::from<float>({2}, std::array{-1.0f, 3.0f}));
  CHECK(observer.min()[0] == -2.0f);
  CHECK(observer.max()[0] == 3.0f);
}

TEST_CASE("MinMaxObserver: one range per index of the channel axis") {
  quant::MinMaxObserver observer(1, 2);
  observer.observe(Tensor::from<float>({2, 2}, std::array{1.0f, -2.0f, 4.0f, 8.0f}));
  CHECK(observer.min()[0] == 1.0f);
  CHECK(observer.max()[0] == 4.0f);
  CHECK(observer.min()[1] == -2.0f);
  CHECK(observer.max()[1] == 8.0f);
  CHECK_THROWS_AS(observer.observe(Tensor(DType::float32, {2, 3})), Error);
  CHECK_THROWS_AS(observer.observe(Tensor(DType::float32, {2})), Error);
}

TEST_CASE("Observer: refuses values that are not finite, empty tensors and unknown words") {
  quant::MinMaxObserver observer(-1, 1);
  for (float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    CHECK_THROWS_AS(observer.observe(Tensor::from<float>({2}, std::array{0.0f, bad})), Error);
  }
  CHECK_THROWS_AS(observer.observe(Tensor(DType::float32, {0})), Error);
  CHECK(observer.empty());
  CHECK_THROWS_AS(quant::make_observer("histogram", -1, 1), Error);
  for (auto word : quant::all_observers()) CHECK(quant::make_observer(word, -1, 1)->name() == word);
}
