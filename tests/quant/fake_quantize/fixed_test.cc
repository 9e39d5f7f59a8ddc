// SPDX-License-Identifier: Apache-2.0
#include "quant/fake_quantize/fixed.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "sim/core/error.h"
#include "sim/rounding/rounding.h"

using namespace facsim;
using quant::TensorSpec;

namespace {

quant::QParams params(float scale, int64_t zero_point, int64_t min, int64_t max, bool is_signed) {
  quant::QParams q;
  q.scale = {scale};
  q.zero_point = {zero_point};
  q.type = {8, is_signed};
  q.quant_min = min;
  q.quant_max = max;
  return q;
}

}  // namespace

TEST_CASE("fake_quantize: the formula variants differ at ties, as their toolkits do") {
  TensorSpec spec;
  spec.type = sim::kUint8;
  const Tensor x = Tensor::from<float>({1}, std::array{0.25f});
  const auto qparams = params(0.5f, 1, 0, 255, false);
  spec.formula = TensorSpec::Formula::reciprocal;
  spec.zero_point_add = TensorSpec::ZeroPointAdd::after_rounding;
  CHECK(quant::fake_quantize(x, qparams, spec).real.data<float>()[0] == 0.0f);  // PyTorch's kernel
  spec.zero_point_add = TensorSpec::ZeroPointAdd::before_rounding;  // ONNX's and its own docstring
  CHECK(quant::fake_quantize(x, qparams, spec).real.data<float>()[0] == 0.5f);
}

TEST_CASE("fake_quantize: clips, remembers where, and sends what is no int64 to quant_min") {
  TensorSpec spec;
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from<float>({7}, std::array{-129.0f, -128.0f, 127.0f, 127.6f, inf, -inf,
                                                       std::numeric_limits<float>::quiet_NaN()});
  const auto out = quant::fake_quantize(x, params(1, 0, -128, 127, true), spec);
  const std::array<int, 7> codes{-128, -128, 127, 127, -128, -128, -128};
  const std::array<int, 7> inside{0, 1, 1, 0, 0, 0, 0};
  for (int i = 0; i < 7; ++i) {
    CAPTURE(i);
    CHECK(out.codes.int_at(i) == codes[static_cast<size_t>(i)]);
    CHECK(out.inside.int_at(i) == inside[static_cast<size_t>(i)]);
  }
  const Tensor dy = Tensor::from<float>({7}, std::array{1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f});
  const Tensor dx = quant::straight_through(dy, out.inside);
  CHECK(dx.data<float>()[0] == 0.0f);
  CHECK(dx.data<float>()[1] == 2.0f);
  CHECK(dx.data<float>()[2] == 3.0f);
  CHECK(dx.data<float>()[3] == 0.0f);
}

TEST_CASE("fake_quantize: equals sim's rounding of the formula for every mode, per channel") {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 40);
  Tensor x(DType::float32, {3, 50});
  for (float& v : x.values<float>()) v = normal(random);
  quant::QParams qparams = params(1, 0, 0, 200, false);
  qparams.channel_axis = 0;
  qparams.scale = {0.5f, 0.37f, 1.9f};
  qparams.zero_point = {100, 3, 190};
  for (const auto mode : sim::all_roundings()) {
    for (const auto formula : {TensorSpec::Formula::reciprocal, TensorSpec::Formula::division}) {
      TensorSpec spec;
      spec.type = sim::kUint8;
      spec.rounding = mode;
      spec.formula = formula;
      const auto out = quant::fake_quantize(x, qparams, spec);
      for (int64_t i = 0; i < x.numel(); ++i) {
        const auto c = static_cast<size_t>(i / 50);
        const float v = x.data<float>()[i];
        const float scaled = formula == TensorSpec::Formula::division
                                 ? v / qparams.scale[c]
                                 : v * (1.0f / qparams.scale[c]);
        const double q = sim::round_real(mode, scaled) + static_cast<double>(qparams.zero_point[c]);
        const double expected = std::fmin(std::fmax(q, 0), 200);
        REQUIRE(static_cast<double>(out.codes.int_at(i)) == expected);
        REQUIRE((out.inside.int_at(i) != 0) == (q == expected));
      }
    }
  }
}

TEST_CASE("FakeQuantizer: takes its parameters from the observer and is not ready before") {
  TensorSpec spec;
  spec.zero_point = TensorSpec::ZeroPoint::zero;
  spec.narrow_range = true;
  const auto quantizer = quant::make_fake_quantizer("fixed", spec, "min_max", 1);
  CHECK_FALSE(quantizer->ready());
  CHECK_THROWS_AS(quantizer->qparams(), Error);
  quantizer->observe(Tensor::from<float>({2}, std::array{-127.0f, 12.0f}));
  CHECK(quantizer->qparams().scale == std::vector<float>{1.0f});
  CHECK(quantizer->qparams().quant_min == -127);
  CHECK_THROWS_AS(quant::make_fake_quantizer("pact", spec, "min_max", 1), Error);
}
