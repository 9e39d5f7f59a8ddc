// SPDX-License-Identifier: Apache-2.0
#include "quant/observers/moving_average_min_max.h"

#include <doctest/doctest.h>

#include <array>

using namespace facsim;

TEST_CASE("MovingAverageMinMaxObserver: copies the first batch, then state + c * (batch - state)") {
  quant::MovingAverageMinMaxObserver observer(0, 2, 0.25);
  observer.observe(Tensor::from<float>({2, 2}, std::array{-4.0f, 8.0f, 1.0f, 2.0f}));
  CHECK(observer.max()[0] == 8.0f);
  observer.observe(Tensor::from<float>({2, 2}, std::array{0.0f, 4.0f, 5.0f, 10.0f}));
  CHECK(observer.min()[0] == -3.0f);
  CHECK(observer.max()[0] == 7.0f);
  CHECK(observer.min()[1] == 2.0f);
  CHECK(observer.max()[1] == 4.0f);
}
