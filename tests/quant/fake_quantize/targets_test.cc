// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <hwy/targets.h>

#include <cstring>
#include <limits>

#include "quant/fake_quantize/affine.h"

using namespace facsim;
using namespace facsim::quant;

namespace {

/// Ties, both ends of the clamp, far values and what is no number, around two scales.
Tensor awkward_values() {
  Tensor x(DType::float32, Shape{2, 1031});  // past whole vectors of every target
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto step = static_cast<float>(i % 601 - 300);
    x.data<float>()[i] = step * 0.25f * (i % 7 == 0 ? 1.0f : 0.9999999f);
  }
  const float special[] = {std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN(),
                           8388607.5f,
                           -8388609.0f,
                           1e30f,
                           -0.0f,
                           0x1p-140f};
  std::copy(std::begin(special), std::end(special), x.data<float>() + 40);
  return x;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

}  // namespace

TEST_CASE("fake_quantize: the same bits on every SIMD target and for any number of threads") {
  const Tensor x = awkward_values();
  QParams qparams;
  qparams.channel_axis = 0;
  qparams.scale = {0.5f, 1.0f};
  qparams.zero_point = {3, -2};
  TensorSpec spec;
  for (const sim::Rounding rounding :
       {sim::Rounding::half_even, sim::Rounding::half_away_from_zero, sim::Rounding::floor}) {
    spec.rounding = rounding;
    for (const auto add : {TensorSpec::ZeroPointAdd::before_rounding,
                           TensorSpec::ZeroPointAdd::before_rounding_fused,
                           TensorSpec::ZeroPointAdd::after_rounding}) {
      spec.zero_point_add = add;
      const FakeQuantized expected = fake_quantize(x, qparams, spec);
      for (int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
        hwy::GetChosenTarget().Update(left & -left);
        CAPTURE(hwy::TargetName(left & -left));
        sim::ThreadPool pool(3);
        const FakeQuantized got = fake_quantize(x, qparams, spec, &pool);
        CHECK(same(got.codes, expected.codes));
        CHECK(same(got.real, expected.real));
        CHECK(same(got.inside, expected.inside));
      }
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
  }
}
