// SPDX-License-Identifier: Apache-2.0
#include "quant/observers/ema_min_max.h"

#include <doctest/doctest.h>

#include <array>

using namespace facsim;

TEST_CASE("EMAMinMaxObserver: copies the first batch, then state * ratio + batch * (1 - ratio)") {
  quant::EMAMinMaxObserver observer(-1, 1, 0.75);
  observer.observe(Tensor::from<float>({2}, std::array{-4.0f, 8.0f}));
  CHECK(observer.min()[0] == -4.0f);
  CHECK(observer.max()[0] == 8.0f);
  observer.observe(Tensor::from<float>({2}, std::array{0.0f, 4.0f}));
  CHECK(observer.min()[0] == -3.0f);
  CHECK(observer.max()[0] == 7.0f);
}

TEST_CASE("EMAMinMaxObserver: state restores it") {
  quant::EMAMinMaxObserver a(-1, 1), b(-1, 1);
  a.observe(Tensor::from<float>({2}, std::array{-4.0f, 8.0f}));
  const auto from = a.state();
  auto to = b.state();
  for (size_t i = 0; i < from.size(); ++i) {
    CHECK(from[i].name == to[i].name);
    std::copy_n(static_cast<const std::byte*>(from[i].value.raw()), from[i].value.bytes(),
                static_cast<std::byte*>(to[i].value.raw()));
  }
  const Tensor batch = Tensor::from<float>({2}, std::array{-1.0f, 1.0f});
  a.observe(batch);
  b.observe(batch);
  CHECK(a.min()[0] == b.min()[0]);
  CHECK(a.max()[0] == b.max()[0]);
  CHECK(a.min()[0] != -1.0f);
}
