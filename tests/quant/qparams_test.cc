// SPDX-License-Identifier: Apache-2.0
#include "quant/qparams.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "sim/core/error.h"

namespace facsim::quant {
namespace {

QParams choose(float min, float max, const TensorSpec& spec) {
  return choose_qparams(std::vector<float>{min}, std::vector<float>{max}, spec);
}

TensorSpec symmetric() {
  TensorSpec spec;
  spec.zero_point = TensorSpec::ZeroPoint::zero;
  return spec;
}

std::vector<int64_t> codes(const std::vector<float>& values, const QParams& qparams,
                           const TensorSpec& spec) {
  const Tensor real = Tensor::from<float>(Shape{static_cast<int64_t>(values.size())}, values);
  const Tensor q = quantize(real, qparams, spec);
  std::vector<int64_t> out;
  for (int64_t i = 0; i < q.numel(); ++i) out.push_back(q.int_at(i));
  return out;
}

TEST_CASE("choose_qparams: asymmetric ranges are covered and contain zero") {
  const QParams q = choose(-1.0f, 2.0f, {});
  CHECK(q.scale[0] == 3.0f / 255.0f);
  CHECK(q.zero_point[0] == -43);                        // -128 - (-85)
  CHECK(choose(1.0f, 3.0f, {}).zero_point[0] == -128);  // widened to [0, 3]
  CHECK(choose(-3.0f, -1.0f, {}).zero_point[0] == 127);
  CHECK(choose(0.0f, 0.0f, {}).scale[0] == 1.1920928955078125e-07f);
  TensorSpec uint8;
  uint8.type = sim::kUint8;
  CHECK(choose(-1.0f, 2.0f, uint8).zero_point[0] == 85);
}

TEST_CASE("choose_qparams: symmetric ranges divide by the profile's divisor") {
  TensorSpec spec = symmetric();
  CHECK(choose(-1.0f, 0.5f, spec).scale[0] == 1.0f / 127.5f);
  spec.symmetric_divisor = 127;
  CHECK(choose(-1.0f, 0.5f, spec).scale[0] == 1.0f / 127.0f);
  CHECK(choose(-1.0f, 0.5f, spec).zero_point[0] == 0);
  spec = symmetric();
  spec.narrow_range = true;
  spec.type = {4, true};
  CHECK(choose(-1.0f, 0.5f, spec).scale[0] == 1.0f / 7.0f);
  CHECK(choose(-1.0f, 0.5f, spec).quant_min == -7);
}

TEST_CASE("choose_qparams: powers of two cover the range") {
  TensorSpec spec = symmetric();
  spec.scale = TensorSpec::Scale::power_of_two;
  spec.symmetric_divisor = 127;
  CHECK(choose(-1.0f, 0.5f, spec).scale[0] == 0x1p-6f);  // 1/127 > 2^-7
  CHECK(choose(-127.0f, 0.0f, spec).scale[0] == 1.0f);   // exact
  CHECK(choose(-127.1f, 0.0f, spec).scale[0] == 2.0f);
}

TEST_CASE("choose_qparams: one scale per channel; ranges that are none are refused") {
  TensorSpec spec = symmetric();
  spec.granularity = TensorSpec::Granularity::per_channel;
  spec.symmetric_divisor = 127;
  const QParams q =
      choose_qparams(std::vector<float>{-1.0f, -2.0f}, std::vector<float>{0.0f, 0.0f}, spec);
  CHECK(q.channel_axis == 0);
  CHECK(q.scale == std::vector<float>{1.0f / 127.0f, 2.0f / 127.0f});
  const float inf = std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(choose(NAN, 1.0f, {}), Error);
  CHECK_THROWS_AS(choose(-inf, 1.0f, {}), Error);
  CHECK_THROWS_AS(choose(2.0f, 1.0f, {}), Error);
  CHECK_THROWS_AS(choose(-3e38f, 3e38f, {}), Error);  // the width overflows float32
  CHECK_THROWS_AS(choose_qparams(std::vector<float>{0.0f}, {}, {}), Error);
}

TEST_CASE("quantize: the formula decides ties") {
  QParams q;
  q.scale = {0.00214854861f};
  q.zero_point = {-10};
  TensorSpec spec;
  spec.formula = TensorSpec::Formula::division;
  CHECK(codes({0.273939937f}, q, spec)[0] == 117);  // 127.49999
  spec.formula = TensorSpec::Formula::reciprocal;
  CHECK(codes({0.273939937f}, q, spec)[0] == 118);  // 127.5
}

TEST_CASE("quantize: the zero point before or after rounding decides ties") {
  QParams q;
  q.scale = {0.5f};
  q.zero_point = {1};
  TensorSpec spec;
  CHECK(codes({0.25f, -0.25f, 0.75f}, q, spec) == std::vector<int64_t>{1, 1, 3});
  spec.zero_point_add = TensorSpec::ZeroPointAdd::before_rounding;
  CHECK(codes({0.25f, -0.25f, 0.75f}, q, spec) == std::vector<int64_t>{2, 0, 2});
  spec.zero_point_add = TensorSpec::ZeroPointAdd::after_rounding;
  spec.rounding = sim::Rounding::half_away_from_zero;
  CHECK(codes({0.25f, -0.25f, 0.75f}, q, spec) == std::vector<int64_t>{2, 0, 3});
}

TEST_CASE("quantize: clamps, keeps channels apart, refuses NaN with its index") {
  QParams q;
  q.scale = {1.0f};
  q.zero_point = {0};
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(codes({1e30f, -1e30f, inf, -inf, 127.4f}, q, {}) ==
        std::vector<int64_t>{127, -128, 127, -128, 127});
  try {
    codes({0.0f, NAN}, q, {});
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.infos().front().place == "element 1 of (2,)");
  }

  q.scale = {1.0f, 0.5f};
  q.zero_point = {0, 10};
  q.channel_axis = 1;
  const std::vector<float> values = {1, 1, 1, 1, 2, 2, 2, 2};
  const Tensor real = Tensor::from<float>(Shape{2, 2, 2}, values);
  const Tensor c = quantize(real, q, {});
  const std::vector<int64_t> expected = {1, 1, 12, 12, 2, 2, 14, 14};
  const Tensor back = dequantize(c, q);
  for (int64_t i = 0; i < 8; ++i) {
    CHECK(c.int_at(i) == expected[static_cast<size_t>(i)]);
    CHECK(back.data<float>()[i] == values[static_cast<size_t>(i)]);
  }
  CHECK_THROWS_AS(quantize(real.reshaped(Shape{8}), q, {}), Error);
}

TEST_CASE("qparams check: scales and zero points that are none") {
  const auto refused = [](float scale, int64_t zero_point) {
    QParams q;
    q.scale = {scale};
    q.zero_point = {zero_point};
    try {
      check(q, "tensor x");
    } catch (const Error& e) {
      return e.infos().front().place == "tensor x";
    }
    return false;
  };
  for (const float scale :
       {0.0f, -0.0f, -1.0f, 1e-40f, NAN, std::numeric_limits<float>::infinity()}) {
    CHECK(refused(scale, 0));
  }
  CHECK(refused(1.0f, 128));
  CHECK(refused(1.0f, -129));
  CHECK(!refused(2.9e-13f, 0));  // real deployed models have such scales
  CHECK(!refused(std::numeric_limits<float>::min(), 127));
  QParams lengths;
  lengths.scale = {1.0f, 1.0f};
  CHECK_THROWS_AS(check(lengths, ""), Error);
  lengths.zero_point = {0, 0};
  CHECK_THROWS_AS(check(lengths, ""), Error);  // no channel axis
}

}  // namespace
}  // namespace facsim::quant
