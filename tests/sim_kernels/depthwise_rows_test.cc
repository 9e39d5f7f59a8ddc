// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/depthwise_rows-internal.h"

#include "sim/kernels/conv2d_kernel-internal.h"
#include "sim/kernels/requantize.h"
#include "tests/sim_kernels/conv2d_tester.h"

namespace facsim::sim {
namespace {

using test::Conv2dCase;
using test::Fill;

/// A program with a kernel, and the form that it must be matched as.
struct RowProgram {
  const char* form;
  StepProgram program;
  int64_t shift;  ///< the least of its shifts
  bool left_shift = false;
};

std::vector<RowProgram> row_programs(IntType output) {
  using programs::FloatBias, programs::FloatScale;
  const Rounding even = Rounding::half_even, away = Rounding::half_away_from_zero;
  const auto after = programs::float_zero_point_after;
  const auto before = programs::float_zero_point_before;
  return {
      {"fixed_double", programs::fixed_point_double(output), 4},
      {"fixed_double", programs::fixed_point_double(output), 4, true},
      {"fixed_single", programs::fixed_point_single(output), 36},
      {"rounding_shift", programs::rounding_shift(output, Rounding::half_up), 4},
      {"rounding_shift", programs::rounding_shift(output, even), 4},
      {"float_half_even", after(output, even, FloatBias::none, FloatScale::multiply), 0},
      {"float_half_even", after(output, even, FloatBias::after_scale, FloatScale::multiply), 0},
      {"float_half_even", before(output, even, FloatBias::before_scale, FloatScale::multiply), 0},
      {"float_half_even", before(output, even, FloatBias::after_scale, FloatScale::multiply), 0},
      {"float_half_away", before(output, away, FloatBias::before_scale, FloatScale::multiply), 0},
      {"float_half_away", after(output, away, FloatBias::none, FloatScale::multiply), 0}};
}

Requantizer row_requantizer(const RowProgram& p, IntType output, int64_t channels, bool per_tensor,
                            int64_t zero_point, bool relu, std::mt19937_64& random) {
  Arguments a;
  for (int64_t c = 0; c < (per_tensor ? 1 : channels); ++c) {
    a.integers["multiplier"].push_back((int64_t{1} << 30) +
                                       static_cast<int64_t>(random() % (1U << 30)));
    a.integers["shift"].push_back(p.shift + static_cast<int64_t>(random() % 6));
    a.integers["left_shift"].push_back(p.left_shift ? static_cast<int64_t>(random() % 2) : 0);
    // Every third scale a power of two: ties.
    const float mantissa =
        random() % 3 == 0 ? 1.0F : 1.0F + static_cast<float>(random() % 1000) / 1024.0F;
    a.reals["scale"].push_back(std::ldexp(mantissa, -5 - static_cast<int>(random() % 6)));
    a.reals["bias"].push_back(static_cast<float>(random() % 64) / 4.0F - 8.0F);
  }
  const int64_t clamp_min = relu ? zero_point : output.min();
  a.integers["zero_point"] = {zero_point};
  a.integers["clamp_min"] = {clamp_min};
  a.integers["clamp_max"] = {output.max()};
  a.reals["zero_point"] = {static_cast<float>(zero_point)};
  a.reals["clamp_min"] = {static_cast<float>(clamp_min)};
  a.reals["clamp_max"] = {static_cast<float>(output.max())};
  a.reals["clamp_min_minus_zero_point"] = {static_cast<float>(clamp_min - zero_point)};
  a.reals["clamp_max_minus_zero_point"] = {static_cast<float>(output.max() - zero_point)};
  return Requantizer(p.program, a, output);
}

/// Those of double rounding, which every build with row kernels has.
bool has_row_kernels() {
  FusedProgram program;
  program.form = FusedProgram::Form::fixed_double;
  program.high_half = program.uniform_end = true;
  return available_isas().back() == Isa::avx3_dl &&
         depthwise_row_kernels(program, 1).one_row != nullptr;
}

std::unique_ptr<const DepthwiseRows> make_rows(const Conv2dParams& params) {
  const Conv2dRange range(params);
  const RequantizeKernel requantize(params.requantize, static_cast<int64_t>(range.all().total_min),
                                    static_cast<int64_t>(range.all().total_max));
  const PreparedRequantize prepared = requantize.prepared(Isa::best, false);
  if (choose_conv2d_kernel(params, range, resolve_isa(Isa::best), EventCounting::off) !=
          Conv2dKernelKind::depthwise_quads ||
      prepared.fused_program() == nullptr) {
    return nullptr;
  }
  return DepthwiseRows::make(params, range, *prepared.fused_program());
}

/// The rows of the case, without and with threads, against the norm.
void expect_rows_equal_norm(const test::Conv2dInstance& made, const std::string& text) {
  INFO(text);
  const Conv2d conv(made.params);
  const Tensor* const inputs[] = {&made.input};
  const Shape shape = test::conv2d_output_shape(made.params, made.input);
  Tensor expected(conv.output_dtype(), shape);
  conv.run(inputs, expected, {Isa::scalar, nullptr, false});
  const auto rows = make_rows(made.params);
  REQUIRE(rows != nullptr);
  ThreadPool pool(3);
  for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
    Tensor codes(conv.output_dtype(), shape);
    std::memset(codes.raw(), 0x55, codes.bytes());
    rows->run(Conv2dShape::of(made.params, made.input.shape()), made.input, codes.raw(), threads);
    CHECK(test::difference(codes, expected) == "");
  }
}

Conv2dCase depthwise_case(uint64_t seed, int64_t channels, std::mt19937_64& random) {
  const auto between = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  };
  Conv2dCase c;
  c.seed = seed;
  c.groups = channels;
  c.group_ic = c.group_oc = 1;
  c.n = between(1, 2);
  c.kh = between(1, 10) > 2 ? 3 : between(1, 2);
  c.kw = between(1, 10) > 2 ? 3 : between(1, 2);
  c.stride = {between(1, 3), between(1, 2)};
  c.dilation = {between(1, 2), 1};
  c.padding = {between(0, 3), between(0, 3), between(0, 3), between(0, 3)};
  c.ih = between(1, 10);
  c.iw = between(1, 12);
  c.ih = std::max(c.ih, c.dilation[0] * (c.kh - 1) + 1 - c.padding.top - c.padding.bottom);
  c.iw = std::max(c.iw, c.kw - c.padding.left - c.padding.right);
  c.input_type = random() % 2 == 0 ? kInt8 : kUint8;
  c.weight_type = random() % 2 == 0 ? kInt8 : kUint8;
  const auto code = [&](IntType type) {
    const int64_t codes[] = {type.min(), type.max(), between(type.min(), type.max())};
    return codes[random() % 3];
  };
  c.input_zero_point = code(c.input_type);
  c.padding_value = random() % 2 == 0 ? c.input_zero_point : code(c.input_type);
  c.weight_zero_point = c.weight_type.is_signed ? 0 : 128;
  const Fill fills[] = {Fill::random, Fill::random, Fill::extremes, Fill::lowest, Fill::highest};
  c.input_fill = fills[random() % 5];
  c.weight_fill = fills[random() % 5];
  return c;
}

TEST_CASE("depthwise rows: every form, tail, stride, padding and zero point equals the norm") {
  if (!has_row_kernels()) return;
  uint64_t seed = 0;
  for (const int64_t channels : {2,  5,  15, 16, 17, 31,  32,  33,  47,  48,  63,
                                 64, 65, 72, 80, 96, 100, 112, 120, 128, 144, 195}) {
    for (const IntType output : {kInt8, kUint8}) {
      for (const RowProgram& p : row_programs(output)) {
        std::mt19937_64 random(++seed);
        const Conv2dCase c = depthwise_case(seed, channels, random);
        test::Conv2dInstance made = test::make_instance(c);
        const int64_t zero_points[] = {output.min(), output.max(), output.min() / 2 + 40};
        const bool per_tensor = random() % 4 == 0;
        made.params.requantize = row_requantizer(
            p, output, channels, per_tensor, zero_points[random() % 3], random() % 2 == 0, random);
        CAPTURE(p.form);
        const Conv2dRange range(made.params);
        REQUIRE(RequantizeKernel(made.params.requantize,
                                 static_cast<int64_t>(range.all().total_min),
                                 static_cast<int64_t>(range.all().total_max))
                    .form() == p.form);
        expect_rows_equal_norm(made, c.text());
      }
    }
  }
}

TEST_CASE("depthwise rows: every width and height, for both strides") {
  if (!has_row_kernels()) return;
  for (const int64_t channels : {16, 32, 64, 67}) {
    for (const int64_t stride : {1, 2}) {
      for (int64_t extent = 1; extent <= 11; ++extent) {
        Conv2dCase c;
        c.seed = static_cast<uint64_t>(extent);
        c.groups = channels;
        c.group_ic = c.group_oc = 1;
        c.ih = 12 - extent;
        c.iw = extent;
        c.stride = {stride, stride};
        c.input_zero_point = c.padding_value = -5;
        std::mt19937_64 random(c.seed);
        test::Conv2dInstance made = test::make_instance(c);
        made.params.requantize =
            row_requantizer(row_programs(kInt8)[0], kInt8, channels, false, 7, false, random);
        expect_rows_equal_norm(made, c.text());
      }
    }
  }
}

TEST_CASE("depthwise rows: what they cannot do they leave") {
  if (!has_row_kernels()) return;
  std::mt19937_64 random(1);
  const auto instance = [&](const auto& change) {
    Conv2dCase c;
    c.ih = c.iw = 9;
    c.groups = 20;
    c.group_ic = c.group_oc = 1;
    change(c);
    test::Conv2dInstance made = test::make_instance(c);
    made.params.requantize =
        row_requantizer(row_programs(kInt8)[0], kInt8, c.oc(), false, 7, false, random);
    return made;
  };
  CHECK(make_rows(instance([](Conv2dCase&) {}).params) != nullptr);
  CHECK(make_rows(instance([](Conv2dCase& c) { c.kw = 4; }).params) == nullptr);
  CHECK(make_rows(instance([](Conv2dCase& c) { c.kh = 4; }).params) == nullptr);
  CHECK(make_rows(instance([](Conv2dCase& c) { c.stride[1] = 3; }).params) == nullptr);
  CHECK(make_rows(instance([](Conv2dCase& c) { c.dilation[1] = 2; }).params) == nullptr);
  CHECK(make_rows(instance([](Conv2dCase& c) { c.group_oc = 2; }).params) == nullptr);
  // A zero point by channel: no uniform end.
  test::Conv2dInstance made = instance([](Conv2dCase&) {});
  Arguments a;
  for (int64_t c = 0; c < 20; ++c) {
    a.integers["multiplier"].push_back(int64_t{1} << 30);
    a.integers["shift"].push_back(4);
    a.integers["zero_point"].push_back(c);
  }
  a.integers["left_shift"] = {0};
  a.integers["clamp_min"] = {-128};
  a.integers["clamp_max"] = {127};
  made.params.requantize = Requantizer(programs::fixed_point_double(kInt8), a, kInt8);
  CHECK(make_rows(made.params) == nullptr);
}

}  // namespace
}  // namespace facsim::sim
