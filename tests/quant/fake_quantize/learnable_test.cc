// SPDX-License-Identifier: Apache-2.0
#include "quant/fake_quantize/learnable.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

using namespace facsim;
using quant::TensorSpec;

TEST_CASE("LearnableFakeQuantize: gradients follow the LSQ formula") {
  TensorSpec spec;
  spec.type = {4, true};
  spec.zero_point = TensorSpec::ZeroPoint::zero;
  quant::LearnableFakeQuantize quantizer(spec, quant::make_observer("min_max", -1, 1));
  quant::QParams qparams;
  qparams.type = spec.type;
  qparams.quant_min = -8;
  qparams.quant_max = 7;
  qparams.scale = {0.5f};
  quantizer.set_qparams(qparams);
  const Tensor x = Tensor::from<float>({4}, std::array{-9.0f, 9.0f, 0.6f, -0.3f});
  const Tensor dy = Tensor::from<float>({4}, std::array{1.0f, 2.0f, 3.0f, 4.0f});
  const auto forward = quantizer.forward(x);
  const Tensor dx = quantizer.backward(dy, x, forward);
  CHECK(dx.data<float>()[0] == 0.0f);
  CHECK(dx.data<float>()[2] == 3.0f);
  const double k = 1 / std::sqrt(4.0 * 7.0);
  // -8*1 + 7*2 + (0.5 - 0.6)/0.5*3 + (-0.5 + 0.3)/0.5*4
  const double expected = k * (-8 + 14 + (0.5 - 0.6) / 0.5 * 3 + (-0.5 + 0.3) / 0.5 * 4);
  auto learned = quantizer.learned();
  REQUIRE(learned.size() == 1);  // a symmetric spec has no zero point to learn
  CHECK(learned[0].grad.data<float>()[0] == doctest::Approx(expected).epsilon(1e-5));
  learned[0].value.data<float>()[0] = -0.25f;  // training may push a scale below zero
  CHECK(quantizer.qparams().scale[0] == 0.25f);
}

TEST_CASE("LearnableFakeQuantize: a learned zero point is clamped, then rounded half to even") {
  TensorSpec spec;
  spec.type = sim::kUint8;
  quant::LearnableFakeQuantize quantizer(spec, quant::make_observer("min_max", -1, 1));
  quantizer.observe(Tensor::from<float>({2}, std::array{-1.0f, 1.0f}));
  auto learned = quantizer.learned();
  REQUIRE(learned.size() == 2);
  learned[1].value.data<float>()[0] = 6.5f;
  CHECK(quantizer.qparams().zero_point[0] == 6);
  learned[1].value.data<float>()[0] = 300.0f;
  CHECK(quantizer.qparams().zero_point[0] == 255);
}
