// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/lut.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

LutParams reversed(IntType input, IntType output) {
  LutParams params;
  params.input_type = input;
  params.output_type = output;
  const int64_t entries = int64_t{1} << input.bits;
  for (int64_t i = 0; i < entries; ++i) params.table.push_back(output.max() - i % 200);
  return params;
}

}  // namespace

TEST_CASE("lut: each code takes its entry, the lowest code the first") {
  struct Case {
    IntType input, output;
  };
  for (const Case c : {Case{kInt8, kInt8}, Case{kUint8, kInt16}, Case{kInt16, kUint8},
                       Case{{4, true}, kInt8}, Case{{4, false}, {16, false}}}) {
    const LutParams params = reversed(c.input, c.output);
    const Tensor x = random_codes(c.input, {2, 300}, 61);
    const Tensor y = run_everywhere(Lut(params), {&x});
    for (int64_t i = 0; i < y.numel(); ++i) {
      REQUIRE(y.int_at(i) == params.table[static_cast<size_t>(x.int_at(i) - c.input.min())]);
    }
  }
}

TEST_CASE("lut: refuses tables and codes outside their types") {
  LutParams params = reversed(kInt8, kInt8);
  params.table.pop_back();
  CHECK(error_of([&] { Lut{params}; }, "255 entries; expected 256") == ErrorCode::bad_value);
  params = reversed(kInt8, kInt8);
  params.table[7] = 128;
  CHECK(error_of([&] { Lut{params}; }, "table[7]: 128") == ErrorCode::bad_value);
  params = reversed({4, true}, kInt8);
  const Tensor x = tensor<int8_t>({1, 2}, {7, -9});
  CHECK(error_of([&] { run(Lut(params), {&x}, {}); }, "lut input[1]: code -9; expected -8..7") ==
        ErrorCode::bad_value);
  params.input_type = kInt32;
  CHECK(error_of([&] { Lut{params}; }, "at most 16 bits") == ErrorCode::unsupported);
}

}  // namespace facsim::sim::test
