// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/unary_real.h"

#include <doctest/doctest.h>

#include <cfenv>
#include <cmath>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

/// f32 / scale, half_even, + zero point, saturated: ONNX's QuantizeLinear.
Requantizer quantizer_to(IntType type, float scale, int64_t zero_point) {
  StepProgram program;
  program.input_is_real = true;
  program.steps = {{.kind = StepKind::fdiv, .a = Operand::constant_f32(scale), .b = {}},
                   {.kind = StepKind::fclamp,
                    .a = Operand::constant_f32(-1e6f),
                    .b = Operand::constant_f32(1e6f)},
                   {.kind = StepKind::round, .a = {}, .b = {}},
                   {.kind = StepKind::add, .a = Operand::constant(zero_point), .b = {}},
                   {.kind = StepKind::resize, .a = {}, .b = {}, .type = type}};
  return Requantizer(program, {}, type);
}

UnaryRealParams params_of(RealFunction function) {
  UnaryRealParams params;
  params.function = function;
  params.zero_point = 3;
  params.scale = 0.1f;
  params.alpha = 0.25f;
  params.output = quantizer_to(kInt8, 0.0078125f, -5);
  return params;
}

constexpr RealFunction kFunctions[] = {RealFunction::leaky_relu, RealFunction::sigmoid_exp,
                                       RealFunction::sigmoid_rational_fma, RealFunction::tanh};

}  // namespace

TEST_CASE("unary_real: each code is dequantized, evaluated in float32 and quantized") {
  Tensor codes(DType::int8, {1, 256});
  for (int64_t i = 0; i < 256; ++i) codes.set_int(i, i - 128);
  for (const RealFunction function : kFunctions) {
    CAPTURE(to_string(function));
    const UnaryReal op(params_of(function));
    const Tensor y = run_everywhere(op, {&codes});
    for (int64_t i = 0; i < 256; ++i) {
      const float x = static_cast<float>(i - 128 - 3) * 0.1f;
      const float real = apply_real_function(function, x, 0.25f);
      const double code = std::nearbyint(real / 0.0078125f) - 5;
      if (y.int_at(i) != std::clamp(code, -128.0, 127.0)) FAIL("code " << i - 128);
    }
  }
}

TEST_CASE("unary_real: the functions are the mathematical ones to a few float32 steps") {
  for (int i = -4000; i <= 4000; ++i) {
    const float x = static_cast<float>(i) * 0.005f;
    const double wide = x;
    const double sigmoid = 1 / (1 + std::exp(-wide));
    CHECK(std::abs(apply_real_function(RealFunction::sigmoid_exp, x, 0) - sigmoid) < 1e-7);
    CHECK(std::abs(apply_real_function(RealFunction::sigmoid_rational_fma, x, 0) - sigmoid) < 2e-7);
    CHECK(std::abs(apply_real_function(RealFunction::tanh, x, 0) - std::tanh(wide)) < 1e-7);
  }
}

TEST_CASE("unary_real: the two sigmoids are different functions") {
  // Beyond 18 the rational one stays where it is; neither leaves 0..1.
  CHECK(apply_real_function(RealFunction::sigmoid_rational_fma, 40, 0) ==
        apply_real_function(RealFunction::sigmoid_rational_fma, 18, 0));
  CHECK(apply_real_function(RealFunction::sigmoid_rational_fma, -40, 0) >= 0);
  CHECK(apply_real_function(RealFunction::sigmoid_exp, -100, 0) == 0);  // exp(100) overflows
  int different = 0;
  for (int i = -100; i <= 100; ++i) {
    const float x = static_cast<float>(i) * 0.1f;
    different += apply_real_function(RealFunction::sigmoid_exp, x, 0) !=
                 apply_real_function(RealFunction::sigmoid_rational_fma, x, 0);
  }
  CHECK(different > 20);
}

TEST_CASE("unary_real: leaky_relu keeps 0 and positive values") {
  CHECK(apply_real_function(RealFunction::leaky_relu, 2, 0.1f) == 2);
  CHECK(apply_real_function(RealFunction::leaky_relu, -2, 0.1f) == -0.2f);
  CHECK(apply_real_function(RealFunction::leaky_relu, 0, 0.1f) == 0);
}

TEST_CASE("unary_real: explains alike in every rounding mode of the caller") {
  const Tensor codes = random_codes(kInt8, {1, 64}, 3);
  const std::vector<const Tensor*> inputs = {&codes};
  for (const RealFunction function : kFunctions) {
    CAPTURE(to_string(function));
    const UnaryReal op(params_of(function));
    for (const int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      for (int64_t i = 0; i < codes.numel(); ++i) {
        const Explanation expected = op.explain(inputs, i);
        std::fesetround(environment);
        const Explanation found = op.explain(inputs, i);
        std::fesetround(FE_TONEAREST);
        CHECK(found.result == expected.result);
        REQUIRE(found.steps.size() == expected.steps.size());
        for (size_t s = 0; s < found.steps.size(); ++s) {
          CHECK(found.steps[s].real == expected.steps[s].real);
        }
      }
    }
  }
}

TEST_CASE("unary_real: parameters that make no function are refused") {
  const auto refused = [](auto change, const char* text) {
    UnaryRealParams params = params_of(RealFunction::tanh);
    change(params);
    return error_of([&] { UnaryReal op(std::move(params)); }, text);
  };
  using P = UnaryRealParams;
  CHECK(refused([](P& p) { p.scale = 0; }, "scale") == ErrorCode::bad_value);
  CHECK(refused([](P& p) { p.scale = NAN; }, "scale") == ErrorCode::bad_value);
  CHECK(refused([](P& p) { p.zero_point = 128; }, "zero_point: 128") == ErrorCode::bad_value);
  CHECK(refused([](P& p) { p.alpha = INFINITY; }, "alpha") == ErrorCode::bad_value);
  CHECK(refused(
            [](P& p) {
              p.input_type = IntType{32, true};
            },
            "16 bits") == ErrorCode::unsupported);
  CHECK(refused([](P& p) { p.output = Requantizer({}, {}, kInt8); }, "output") ==
        ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
