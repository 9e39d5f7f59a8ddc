// SPDX-License-Identifier: Apache-2.0
#include "fused/train/loss.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace facsim::fused::train {
namespace {

Tensor logits(Shape shape, std::vector<float> values) {
  return Tensor::from<float>(std::move(shape), values);
}

TEST_CASE("classes_of: the first of equal logits") {
  CHECK(classes_of(logits({3, 3}, {1, 2, 2, 5, 5, 1, -3, -1, -2})) ==
        std::vector<int32_t>{1, 0, 1});
}

TEST_CASE("softmax_cross_entropy: equals the formula") {
  const Tensor z = logits({2, 3}, {0.5f, -1.0f, 2.0f, 3.0f, 3.0f, 0.0f});
  const int32_t labels[] = {2, 1};
  const LossResult r = softmax_cross_entropy(z, labels);
  double loss = 0;
  for (int n = 0; n < 2; ++n) {
    double sum = 0;
    for (int c = 0; c < 3; ++c) sum += std::exp(static_cast<double>(z.data<float>()[3 * n + c]));
    loss += (std::log(sum) - z.data<float>()[3 * n + labels[n]]) / 2;
    for (int c = 0; c < 3; ++c) {
      const double expected =
          (std::exp(static_cast<double>(z.data<float>()[3 * n + c])) / sum - (c == labels[n])) / 2;
      CHECK(r.gradient.data<float>()[3 * n + c] == doctest::Approx(expected).epsilon(1e-6));
    }
  }
  CHECK(r.loss == doctest::Approx(loss).epsilon(1e-12));
  CHECK(r.correct == 1);  // the tie of the second row goes to class 0
}

TEST_CASE("softmax_cross_entropy: gradient equals finite differences") {
  const int32_t labels[] = {0, 3};
  std::vector<float> values = {0.1f, -0.7f, 1.5f, 0.3f, -2.0f, 0.9f, 0.25f, 1.0f};
  const LossResult r = softmax_cross_entropy(logits({2, 4}, values), labels);
  constexpr float kStep = 1.0f / 1024;
  for (size_t i = 0; i < values.size(); ++i) {
    std::vector<float> up = values, down = values;
    up[i] += kStep;
    down[i] -= kStep;
    const double slope = (softmax_cross_entropy(logits({2, 4}, up), labels).loss -
                          softmax_cross_entropy(logits({2, 4}, down), labels).loss) /
                         (static_cast<double>(up[i]) - down[i]);
    CHECK(r.gradient.data<float>()[i] == doctest::Approx(slope).epsilon(1e-5));
  }
}

TEST_CASE("softmax_cross_entropy: large logits do not overflow; NaN shows in the loss") {
  const int32_t label[] = {1};
  const LossResult r = softmax_cross_entropy(logits({1, 2}, {3e38f, -3e38f}), label);
  CHECK(r.loss == doctest::Approx(6e38).epsilon(1e-6));
  CHECK(r.gradient.data<float>()[0] == 1.0f);
  CHECK(r.gradient.data<float>()[1] == -1.0f);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(softmax_cross_entropy(logits({1, 2}, {nan, 0}), label).loss));
}

}  // namespace
}  // namespace facsim::fused::train
