// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/add_fma.h"

#include <doctest/doctest.h>

#include <cfenv>
#include <cmath>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

AddFmaParams params() {
  AddFmaParams p;
  p.lhs_scale = 0.031f;
  p.rhs_scale = 0.017f;
  p.output_scale = 0.043f;
  p.lhs_zero_point = 131;
  p.rhs_zero_point = 97;
  p.output_zero_point = 120;
  return p;
}

/// One fused multiply-add. The product has 32 bits and the sum at most 64 (codes of 8 bits, terms
/// of similar size), so long double holds it exactly and the conversion is the only rounding.
float fused(float a, float b, float c) {
  const long double exact = static_cast<long double>(a) * b + c;
  return static_cast<float>(exact);
}

}  // namespace

TEST_CASE("add_fma: all pairs of uint8 codes equal ONNX Runtime's formula") {
  const AddFmaParams p = params();
  Tensor lhs(DType::uint8, {256, 256}), rhs(DType::uint8, {256, 256});
  for (int64_t i = 0; i < lhs.numel(); ++i) {
    lhs.set_int(i, i / 256);
    rhs.set_int(i, i % 256);
  }
  const Tensor sum = run(AddFma(p), {&lhs, &rhs}, {});
  const float ra = p.lhs_scale / p.output_scale, rb = p.rhs_scale / p.output_scale;
  const float k = 120.0f - fused(ra, 131.0f, rb * 97.0f);
  for (int64_t i = 0; i < sum.numel(); ++i) {
    const float inner = fused(static_cast<float>(rhs.int_at(i)), rb, k);
    const float outer = fused(static_cast<float>(lhs.int_at(i)), ra, inner);
    REQUIRE(sum.int_at(i) ==
            std::clamp<int64_t>(static_cast<int64_t>(std::nearbyint(outer)), 0, 255));
  }
}

TEST_CASE("add_fma: every isa computes all pairs of codes as the norm, up to ties and clamps") {
  for (const IntType type : {kInt8, kUint8}) {
    Tensor lhs(type.storage(), {256, 256}), rhs(type.storage(), {256, 256});
    for (int64_t i = 0; i < lhs.numel(); ++i) {
      lhs.set_int(i, type.min() + i / 256);
      rhs.set_int(i, type.min() + i % 256);
    }
    for (const float scale : {0.031f, 0.5f, 1e-30f, 3e4f, 1e30f}) {
      AddFmaParams p = params();
      p.lhs_type = p.rhs_type = p.output_type = type;
      p.lhs_zero_point = type.min() + 3;
      p.rhs_zero_point = type.max() - 5;
      p.output_zero_point = type.min() + 100;
      p.clamp_min = type.min() + 1;
      p.clamp_max = type.max();
      p.lhs_scale = scale;
      p.rhs_scale = 0.5f;
      p.output_scale = 1;  // with 0.5: ties
      const AddFma add(p);
      const Tensor norm = run(add, {&lhs, &rhs}, {Isa::scalar, nullptr, false});
      for (const Isa isa : available_isas()) {
        CAPTURE(to_string(isa));
        CAPTURE(scale);
        CHECK(ints(run(add, {&lhs, &rhs}, {isa, nullptr, false})) == ints(norm));
      }
    }
  }
}

TEST_CASE("add_fma: every way to run and explain agree; clamps; broadcasts") {
  AddFmaParams p = params();
  p.clamp_min = 120;
  p.clamp_max = 200;
  const Tensor lhs = random_codes(kUint8, {2, 3, 3, 5}, 5), rhs = random_codes(kUint8, {5}, 6);
  const Tensor sum = run_everywhere(AddFma(p), {&lhs, &rhs});
  CHECK(sum.shape() == lhs.shape());
  for (const int64_t code : ints(sum)) {
    CHECK(code >= 120);
    CHECK(code <= 200);
  }
}

TEST_CASE("add_fma: the same bits in every floating-point mode of the caller") {
  const Tensor lhs = random_codes(kUint8, {64, 64}, 7), rhs = random_codes(kUint8, {64, 64}, 8);
  const std::vector<int64_t> expected = ints(run(AddFma(params()), {&lhs, &rhs}, {}));
  for (const int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(environment);
    const std::vector<int64_t> got = ints(run(AddFma(params()), {&lhs, &rhs}, {}));
    std::fesetround(FE_TONEAREST);
    CHECK(got == expected);
  }
}

TEST_CASE("add_fma: refuses bad parameters by name") {
  const auto refused = [](auto change, const std::string& text) {
    AddFmaParams p = params();
    change(p);
    return error_of([&] { AddFma{p}; }, text);
  };
  CHECK(refused([](auto& p) { p.lhs_scale = 0; }, "lhs_scale") == ErrorCode::bad_value);
  CHECK(refused([](auto& p) { p.rhs_scale = NAN; }, "rhs_scale") == ErrorCode::bad_value);
  CHECK(refused([](auto& p) { p.output_scale = INFINITY; }, "output_scale") ==
        ErrorCode::bad_value);
  CHECK(refused([](auto& p) { p.output_zero_point = 256; }, "output_zero_point: 256") ==
        ErrorCode::bad_value);
  CHECK(refused([](auto& p) { p.clamp_min = 9, p.clamp_max = 8; }, "clamp_min: 9") ==
        ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
