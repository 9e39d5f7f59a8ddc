// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/softmax.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/activation_tester.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

SoftmaxParams gemmlowp_exp(int64_t multiplier, int64_t left_shift, int64_t difference_min,
                           IntType input, IntType output) {
  SoftmaxParams params;
  params.input_type = input;
  params.output_type = output;
  params.difference_min = difference_min;
  params.scale = tflite_double(multiplier, left_shift, 0, kInt32);
  return params;
}

SoftmaxParams lut513(int64_t multiplier, int64_t shift) {
  SoftmaxParams params;
  params.algorithm = SoftmaxParams::Algorithm::lut513;
  params.input_type = params.output_type = kInt16;
  params.scale = tflite_double(multiplier, shift, 0, kInt32);
  return params;
}

}  // namespace

TEST_CASE("softmax: int8 codes give CMSIS-NN's results") {
  const Softmax op(gemmlowp_exp(1077952640, 19, -3968, kInt8, kInt8));
  const Tensor x = tensor<int8_t>({2, 5}, {101, 49, 6, -34, -75, -79, -38, 120, -55, 115});
  CHECK(ints(run_everywhere(op, {&x})) ==
        std::vector<int64_t>{-57, -70, -79, -86, -92, -94, -88, -54, -91, -56});
}

TEST_CASE("softmax: int8 codes to int16 give TFLite Micro's results") {
  const Softmax op(gemmlowp_exp(1717986944, 23, -248, kInt8, kInt16));
  const Tensor x = tensor<int8_t>({2, 5}, {10, 20, 30, 40, 50, -10, -20, -30, -40, -50});
  CHECK(ints(run_everywhere(op, {&x})) == std::vector<int64_t>{-32004, -30692, -27123, -17425, 8940,
                                                               8940, -17425, -27123, -30692,
                                                               -32004});
}

TEST_CASE("softmax: int16 codes give CMSIS-NN's results") {
  const Softmax op(lut513(1718013132, -2));
  const Tensor x = tensor<int16_t>(
      {1, 10}, {-9644, -28042, -8526, 29765, -5843, -5893, -21496, 20033, 23677, 18875});
  CHECK(ints(run_everywhere(op, {&x})) ==
        std::vector<int64_t>{1986, 1133, 2055, 6611, 2230, 2227, 1383, 4912, 5490, 4742});
}

TEST_CASE("softmax tables: entries of the arrays that CMSIS-NN's tests carry") {
  struct Case {
    size_t index;
    int16_t exp, reciprocal;
  };
  for (const Case c : {Case{0, 2, 32767}, Case{1, 2, 32704}, Case{2, 2, 32640},
                       Case{100, 11, 27413}, Case{256, 221, 21845}, Case{400, 3677, 18396},
                       Case{510, 31512, 16416}, Case{511, 32133, 16400}, Case{512, 32767, 16384}}) {
    CAPTURE(c.index);
    CHECK(softmax_exp_table()[c.index] == c.exp);
    CHECK(softmax_reciprocal_table()[c.index] == c.reciprocal);
  }
}

TEST_CASE("softmax: uint8 codes are int8's plus 128") {
  const Tensor signed_codes = random_codes(kInt8, {4, 3, 11}, 7);
  Tensor x(DType::uint8, signed_codes.shape());
  for (int64_t i = 0; i < x.numel(); ++i) x.set_int(i, signed_codes.int_at(i) + 128);
  const Tensor expected =
      run_everywhere(Softmax(gemmlowp_exp(1717986944, 21, -992, kInt8, kInt8)), {&signed_codes});
  const Tensor y =
      run_everywhere(Softmax(gemmlowp_exp(1717986944, 21, -992, kUint8, kUint8)), {&x});
  for (int64_t i = 0; i < y.numel(); ++i) REQUIRE(y.int_at(i) == expected.int_at(i) + 128);
}

TEST_CASE("softmax: rows of every length run the same bits") {
  for (const int64_t depth : {1, 2, 37, 256, 257, 400}) {
    const Tensor x = random_codes(kInt8, {3, depth}, 21);
    // Scale 0.2: differences below -124 count nothing.
    run_everywhere(Softmax(gemmlowp_exp(1717986944, 24, -124, kInt8, kInt8)), {&x});
    run_everywhere(Softmax(gemmlowp_exp(1717986944, 24, -124, kInt8, kInt16)), {&x});
    const Tensor wide = random_codes(kInt16, {2, depth}, 22);
    run_everywhere(Softmax(lut513(1718013132, -2)), {&wide});
  }
}

TEST_CASE("softmax: one code takes everything, far codes nothing") {
  const Softmax op(gemmlowp_exp(1073741824, 26, -31, kInt8, kInt8));  // scale 0.5
  const Tensor x = tensor<int8_t>({2, 3}, {0, -31, -32, 127, -128, 127});
  CHECK(ints(run_everywhere(op, {&x})) == std::vector<int64_t>{127, -128, -128, 0, -128, 0});
}

TEST_CASE("softmax: a row whose sum the platform does not compute is refused") {
  const Softmax op(gemmlowp_exp(1073741824, 26, -31, kInt8, kInt8));
  const Tensor fits(DType::int8, Shape{1, 511});
  const Tensor y = run(op, {&fits}, {});
  CHECK(y.int_at(0) == -127);  // 1/511 is half a step of 1/256 and a bit
  const Tensor x(DType::int8, Shape{1, 512});
  for (const Isa isa : available_isas()) {
    CHECK(error_of([&] { run(op, {&x}, {isa}); }, "sum to 512; expected a sum below 512") ==
          ErrorCode::unsupported);
  }
  const Softmax wide(gemmlowp_exp(1073741824, 26, -31, kInt8, kInt16));
  CHECK(run(wide, {&x}, {}).int_at(0) == -32768 + 128);
}

TEST_CASE("softmax: refuses types, programs and shapes it has no rule for") {
  CHECK(error_of([&] { Softmax(gemmlowp_exp(1 << 30, 20, -100, kInt16, kInt16)); },
                 "int16 to int16; expected int8 or uint8") == ErrorCode::unsupported);
  CHECK(error_of([&] { Softmax(gemmlowp_exp(1 << 30, 20, -100, kUint8, kInt8)); },
                 "uint8 to int8") == ErrorCode::unsupported);
  SoftmaxParams params = lut513(1 << 30, 0);
  params.output_type = kInt8;
  CHECK(error_of([&] { Softmax{params}; }, "int16 to int8; expected int16 to int16") ==
        ErrorCode::unsupported);
  CHECK(error_of([&] { Softmax(gemmlowp_exp(1 << 30, 20, 1, kInt8, kInt8)); },
                 "difference_min: 1") == ErrorCode::bad_value);
  // -3 * 2^30 wraps: difference_min is too low for the multiplier.
  CHECK(error_of([&] { Softmax(gemmlowp_exp(1 << 30, 30, -255, kInt8, kInt8)); },
                 "softmax scale") == ErrorCode::bad_value);
  params = lut513(1 << 30, 0);
  params.scale = tflite_double(1 << 30, 0, 5, kInt32);
  CHECK(error_of([&] { Softmax{params}; }, "0 becomes 5") == ErrorCode::bad_value);
  const Softmax op(gemmlowp_exp(1073741824, 26, -31, kInt8, kInt8));
  CHECK(error_of(
            [&] {
              op.output_shape(std::vector<Shape>{Shape{2, 0}});
            },
            "last axis") == ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
