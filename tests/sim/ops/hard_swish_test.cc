// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/hard_swish.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/activation_tester.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

/// Input scale 0.392, output scale 0.237: TFLite Micro's SimpleHardSwishTestInt8_4.
HardSwishParams recorded() {
  HardSwishParams params;
  params.input_zero_point = -26;
  params.output_zero_point = -126;
  params.output_multiplier = 27137;
  params.output_exponent = -6;
  params.reluish_multiplier = 17134;
  params.reluish_exponent = 6;
  return params;
}

}  // namespace

TEST_CASE("hard_swish: int8 codes give TFLite Micro's results") {
  const Tensor x = tensor<int8_t>(
      {1, 16}, {-24, -26, 30, -75, 62, -32, 44, 117, -18, 8, 111, 22, -28, -29, -31, 118});
  const Tensor y = run_everywhere(HardSwish(recorded()), {&x});
  CHECK(ints(y) == std::vector<int64_t>{-124, -126, -33, -126, 20, -127, -10, 111, -113, -70, 101,
                                        -47, -127, -128, -127, 113});
}

TEST_CASE("hard_swish: uint8 codes are int8's plus 128") {
  HardSwishParams params = recorded();
  const Tensor signed_codes = all_codes(kInt8);
  const Tensor expected = run_everywhere(HardSwish(params), {&signed_codes});
  params.type = kUint8;
  params.input_zero_point += 128;
  params.output_zero_point += 128;
  const Tensor x = all_codes(kUint8);
  const Tensor y = run_everywhere(HardSwish(params), {&x});
  for (int64_t i = 0; i < y.numel(); ++i) REQUIRE(y.int_at(i) == expected.int_at(i) + 128);
}

TEST_CASE("hard_swish: 16-bit steps at their ends") {
  using namespace hard_swish_s16;
  CHECK(rounding_high_mul(1, 16384) == 1);   // 0.5 goes up
  CHECK(rounding_high_mul(-1, 16384) == 0);  // -0.5 too
  CHECK(truncating_high_mul(-1, 32767) == 0);
  CHECK(truncating_high_mul(-3, 16384) == -1);  // -1.5
  CHECK(truncating_high_mul(3, 16384) == 1);
  CHECK(saturating_left_shift(1, 14) == 16384);
  CHECK(saturating_left_shift(1, 15) == 32767);
  CHECK(saturating_left_shift(-1, 15) == -32768);
  CHECK(saturating_left_shift(-1, 30) == -32768);
  CHECK(saturating_left_shift(0, 30) == 0);
  CHECK(saturating_left_shift(-32768, 0) == -32768);
}

TEST_CASE("hard_swish: a right shift of the gate, and exponents at their ends") {
  HardSwishParams params = recorded();
  params.reluish_exponent = -1;
  params.reluish_multiplier = 30155;
  params.input_zero_point = params.output_zero_point = -58;
  params.output_multiplier = 16384;
  // SimpleHardSwishTestInt8: scale 0.0054 on both sides.
  const Tensor x = tensor<int8_t>({1, 8}, {-128, -89, -53, -27, 4, 48, 91, 126});
  CHECK(ints(run_everywhere(HardSwish(params), {&x})) ==
        std::vector<int64_t>{-89, -73, -55, -42, -24, 5, 36, 64});
  for (const int exponent : {-15, 31}) {
    params.reluish_exponent = exponent;
    const Tensor codes = all_codes(kInt8);
    run_everywhere(HardSwish(params), {&codes});
  }
}

TEST_CASE("hard_swish: refuses types and constants outside their ranges") {
  HardSwishParams params = recorded();
  params.type = kInt16;
  CHECK(error_of([&] { HardSwish{params}; }, "int16; expected int8 or uint8") ==
        ErrorCode::unsupported);
  params = recorded();
  params.output_exponent = 1;
  CHECK(error_of([&] { HardSwish{params}; }, "output_exponent: 1") == ErrorCode::unsupported);
  params = recorded();
  params.reluish_exponent = -16;
  CHECK(error_of([&] { HardSwish{params}; }, "reluish_exponent: -16") == ErrorCode::unsupported);
  params = recorded();
  params.reluish_multiplier = 32768;
  CHECK(error_of([&] { HardSwish{params}; }, "multiplier: 32768") == ErrorCode::bad_value);
  params = recorded();
  params.output_zero_point = 128;
  CHECK(error_of([&] { HardSwish{params}; }, "zero_point: 128") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
