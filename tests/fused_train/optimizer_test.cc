// SPDX-License-Identifier: Apache-2.0
#include "fused/train/optimizer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "sim/core/error.h"

namespace facsim::fused::train {
namespace {

Parameter parameter(Shape shape, std::vector<float> values) {
  return {"w", Tensor::from<float>(shape, values), Tensor(DType::float32, shape)};
}

/// Gradient of sum of k * (w - 1)^2 with k = 1, 2, …
void set_gradient(Parameter& p) {
  for (int64_t i = 0; i < p.value.numel(); ++i) {
    p.grad.data<float>()[i] = static_cast<float>(2 * (i + 1)) * (p.value.data<float>()[i] - 1);
  }
}

TEST_CASE("sgd: two steps by hand, decay only on weights") {
  Parameter weight = parameter({1, 2}, {2.0f, -1.0f});
  Parameter bias = parameter({1}, {2.0f});
  Parameter* const all[] = {&weight, &bias};
  auto sgd = make_optimizer({.momentum = 0.5f, .weight_decay = 0.25f});
  const auto set = [&](float a, float b, float c) {
    weight.grad.data<float>()[0] = a;
    weight.grad.data<float>()[1] = b;
    bias.grad.data<float>()[0] = c;
  };
  set(1, 2, 4);
  sgd->step(all, 0.5f);
  // velocity = grad + 0.25 * w: 1.5, 1.75, 4
  CHECK(weight.value.data<float>()[0] == 2.0f - 0.75f);
  CHECK(weight.value.data<float>()[1] == -1.0f - 0.875f);
  CHECK(bias.value.data<float>()[0] == 0.0f);
  set(0, 0, 0);
  sgd->step(all, 0.5f);
  // velocity = 0.5 * 1.5 + 0.25 * 1.25
  CHECK(weight.value.data<float>()[0] == 1.25f - 0.5f * (0.75f + 0.3125f));
  CHECK(bias.value.data<float>()[0] == -1.0f);
}

TEST_CASE("adam: follows torch.optim.Adam's formula in double") {
  Parameter w = parameter({3}, {3.0f, -2.0f, 0.5f});
  Parameter* const all[] = {&w};
  auto adam = make_optimizer({.kind = OptimizerKind::adam});
  std::vector<double> expected = {3, -2, 0.5}, mean(3), square(3);
  for (int t = 1; t <= 20; ++t) {
    set_gradient(w);
    adam->step(all, 0.1f);
    for (size_t i = 0; i < 3; ++i) {
      const double g = 2 * static_cast<double>(i + 1) * (expected[i] - 1);
      mean[i] = 0.9 * mean[i] + 0.1 * g;
      square[i] = 0.999 * square[i] + 0.001 * g * g;
      const double m = mean[i] / (1 - std::pow(0.9, t)), v = square[i] / (1 - std::pow(0.999, t));
      expected[i] -= 0.1 * m / (std::sqrt(v) + 1e-8);
    }
  }
  for (size_t i = 0; i < 3; ++i) {
    CHECK(w.value.data<float>()[i] == doctest::Approx(expected[i]).epsilon(1e-4));
  }
}

TEST_CASE("optimizer: saved and loaded, it continues to the same bits") {
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam}) {
    CAPTURE(to_string(kind));
    Parameter straight = parameter({2, 2}, {3, -2, 0.5f, 7});
    Parameter* const all[] = {&straight};
    auto first = make_optimizer({.kind = kind});
    for (int i = 0; i < 3; ++i) {
      set_gradient(straight);
      first->step(all, 0.01f);
    }
    Parameter resumed{"w", straight.value.clone(), straight.grad.clone()};
    Parameter* const other[] = {&resumed};
    auto second = make_optimizer({.kind = kind});
    second->load_state(first->state());
    for (int i = 0; i < 3; ++i) {
      set_gradient(straight);
      first->step(all, 0.01f);
      set_gradient(resumed);
      second->step(other, 0.01f);
    }
    CHECK(std::memcmp(straight.value.raw(), resumed.value.raw(), straight.value.bytes()) == 0);
  }
}

TEST_CASE("optimizer: state of another network is refused") {
  Parameter small = parameter({2}, {1, 2}), large = parameter({3}, {1, 2, 3});
  Parameter* const a[] = {&small};
  Parameter* const b[] = {&large};
  auto first = make_optimizer({});
  first->step(a, 0.1f);
  auto second = make_optimizer({});
  second->load_state(first->state());
  CHECK_THROWS_AS(second->step(b, 0.1f), Error);
  CHECK_THROWS_AS(make_optimizer({.kind = OptimizerKind::adam})->load_state({}), Error);
}

}  // namespace
}  // namespace facsim::fused::train
