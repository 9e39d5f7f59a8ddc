// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/log2_code.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {
namespace {

TEST_CASE("log2_code: z puts the largest value at code 127") {
  const Log2Code unit = Log2Code::of_largest(1.0);
  CHECK(unit.z == -127);
  CHECK(unit.quantize(1.0F) == 127);
  CHECK(unit.dequantize(127) == 1.0F);
  CHECK(unit.quantize(-1.0F) == 0xFF);
  CHECK(unit.dequantize(0xFF) == -1.0F);
  CHECK(unit.quantize(0.5F) == 127 - 16);
  CHECK(unit.quantize(8.0F) == 127);  // cut at the largest code
  // 16 log2 3 = 25.36.
  CHECK(Log2Code::of_largest(3.0).z == 25 - 127);
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(Log2Code::of_largest(bad), Error);
  }
}

TEST_CASE("log2_code: +0 is a small value and -0 is zero") {
  const Log2Code code{-16};
  CHECK(code.dequantize(0x00) == 0.5F);
  CHECK(code.dequantize(0x80) == 0.0F);
  CHECK(code.dequantize(0x81) == -static_cast<float>(std::exp2(-15.0 / 16)));
  CHECK(code.quantize(0.0F) == 0x80);
  CHECK(code.quantize(std::numeric_limits<float>::quiet_NaN()) == 0x80);
  // The smallest positive code catches down to an octave below it: 2^-2 itself is zero.
  CHECK(code.quantize(0.25F) == 0x80);
  CHECK(code.quantize(std::nextafter(0.25F, 1.0F)) == 0x00);
  // Negative values have no code 0: the smallest is 1, down to -2^(-31/16).
  const auto edge = static_cast<float>(std::exp2(-31.0 / 16));
  CHECK(code.quantize(-0.25F) == 0x80);
  CHECK(code.quantize(-edge * 1.001F) == 0x81);
  CHECK(code.quantize(-edge * 0.999F) == 0x80);
}

TEST_CASE("log2_code: every code but those two is its value's own code") {
  const Log2Code code{-200};
  for (int c = 0; c < 256; ++c) {
    const auto byte = static_cast<uint8_t>(c);
    CHECK(code.quantize(code.dequantize(byte)) == byte);
  }
}

TEST_CASE("log2_code: the op maps tensors both ways") {
  const Log2Map quantize({Log2MapParams::Direction::quantize, {-127}});
  const Tensor x = tensor<float>({2, 3}, {1.0F, -0.5F, 0.0F, 0.3F, 100.0F, -1e-9F});
  const Tensor codes = run_everywhere(quantize, {&x});
  CHECK(codes.int_at(0) == 127);
  CHECK(codes.int_at(1) == (0x80 | 111));
  CHECK(codes.int_at(2) == 0x80);
  CHECK(codes.int_at(4) == 127);
  CHECK(codes.int_at(5) == 0x80);
  const Log2Map dequantize({Log2MapParams::Direction::dequantize, {-127}});
  const Tensor back = run_everywhere(dequantize, {&codes});
  CHECK(back.data<float>()[0] == 1.0F);
  CHECK(back.data<float>()[1] == -0.5F);
  CHECK(back.data<float>()[2] == 0.0F);
  CHECK(quantize.kind() == "log2_quantize");
  CHECK(dequantize.kind() == "log2_dequantize");
}

}  // namespace
}  // namespace facsim::sim::test
