// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d.h"

#include <functional>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {
namespace {

/// 2x2 kernel over one channel, int8, weights 1 2 3 4, output int32 accumulators.
Conv2dParams small_conv2d() {
  Conv2dParams p;
  p.window.kernel = {2, 2};
  p.weights = tensor<int8_t>({1, 2, 2, 1}, {1, 2, 3, 4});
  p.requantize = accumulator_as_output(kInt32);
  return p;
}

/// One output element whose products are x[i] * 1, in this order, from a 1x1 kernel over channels.
Conv2dParams chain_params(const Accumulator& accumulator, int64_t taps) {
  Conv2dParams p;
  p.weights = tensor<int8_t>({1, 1, 1, taps}, std::vector<int8_t>(static_cast<size_t>(taps), 1));
  p.accumulator = accumulator;
  p.requantize = accumulator_as_output({64, true});
  return p;
}

int64_t chain(const Accumulator& accumulator, const std::vector<int8_t>& x, Events& events,
              int64_t bias = 0) {
  Conv2dParams p = chain_params(accumulator, static_cast<int64_t>(x.size()));
  p.bias = tensor<int64_t>({1}, {bias});
  const Tensor input = tensor<int8_t>({1, 1, 1, static_cast<int64_t>(x.size())}, x);
  return run_everywhere(Conv2d(p), {&input}, &events).int_at(0);
}

TEST_CASE("conv2d: a 2x2 kernel by hand") {
  const Tensor input = tensor<int8_t>({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const Conv2d conv(small_conv2d());
  CHECK(conv.output_shape(std::vector<Shape>{input.shape()}) == Shape{1, 2, 2, 1});
  CHECK(conv.macs(std::vector<Shape>{input.shape()}) == 16);
  Events events;
  // 1*1 + 2*2 + 3*4 + 4*5 = 37, and 10 more for each step right, 30 for each step down.
  CHECK(ints(run_everywhere(conv, {&input}, &events)) == std::vector<int64_t>{37, 47, 67, 77});
  CHECK(events == Events{});
}

TEST_CASE("conv2d: zero points are subtracted, bias is added") {
  Conv2dParams p = small_conv2d();
  p.input_zero_point = 5;
  p.weight_zero_point = {1};  // weights 0 1 2 3
  p.bias = tensor<int32_t>({1}, {1000});
  const Tensor input = tensor<int8_t>({1, 2, 2, 1}, {1, 2, 3, 4});  // centred -4 -3 -2 -1
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{1000 - 3 - 4 - 3});
}

TEST_CASE("conv2d: weight zero points per channel") {
  Conv2dParams p;
  p.weights = tensor<uint8_t>({3, 1, 1, 1}, {10, 10, 10});
  p.weight_type = kUint8;
  p.weight_zero_point = {0, 10, 255};
  p.requantize = accumulator_as_output(kInt32);
  const Tensor input = tensor<int8_t>({1, 1, 1, 1}, {-3});
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{-30, 0, 735});
}

TEST_CASE("conv2d: padded taps hold the padding value, which need not be the zero point") {
  Conv2dParams p = small_conv2d();
  p.window.padding = {1, 1, 0, 0};
  p.input_zero_point = 5;
  const Tensor input = tensor<int8_t>({1, 1, 1, 1}, {7});
  p.padding_value = 5;  // only the last tap, weight 4, sees 7 - 5
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{8});
  p.padding_value = 0;  // taps with weights 1 2 3 see 0 - 5
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{8 - 30});
}

TEST_CASE("conv2d: stride and dilation") {
  Conv2dParams p = small_conv2d();
  const Tensor input = tensor<int8_t>({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  p.window.dilation = {2, 2};  // taps at the corners 1 3 7 9
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{1 + 6 + 21 + 36});
  p.window.dilation = {1, 1};
  p.window.stride = {1, 5};
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{37, 67});
}

TEST_CASE("conv2d: depthwise output channel ic * multiplier + m sees input channel ic") {
  Conv2dParams p;
  p.groups = 2;
  p.weights = tensor<int8_t>({4, 1, 1, 1}, {1, 10, 2, 20});
  p.requantize = accumulator_as_output(kInt32);
  const Tensor input = tensor<int8_t>({1, 1, 1, 2}, {3, 5});
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{3, 30, 10, 100});
}

TEST_CASE("conv2d: groups separate the channels") {
  Conv2dParams p;
  p.groups = 2;
  p.weights = tensor<int8_t>({2, 1, 1, 2}, {1, 10, 1, 10});
  p.requantize = accumulator_as_output(kInt32);
  const Tensor input = tensor<int8_t>({1, 1, 1, 4}, {1, 2, 3, 4});
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{21, 43});
}

TEST_CASE("conv2d: a sequential accumulator saturates at every addition") {
  const Accumulator acc{8, Overflow::saturate, Accumulator::Order::sequential, {}};
  Events events;
  // 100, 127 (saturated), 27, and in another order 100, 0, 100.
  CHECK(chain(acc, {100, 100, -100}, events) == 27);
  CHECK(events == Events{0, 0, 1});
  CHECK(chain(acc, {100, -100, 100}, events) == 100);
  CHECK(events == Events{});
  // One event for an element, however often it saturates.
  CHECK(chain(acc, {100, 100, 100, -128, -128, -128}, events) == -128);
  CHECK(events == Events{0, 0, 1});
}

TEST_CASE("conv2d: the bias comes first or last") {
  Accumulator acc{8, Overflow::saturate, Accumulator::Order::sequential, Accumulator::Init::bias};
  Events events;
  CHECK(chain(acc, {100, -50}, events, 100) == 77);  // 100, 127, 77
  CHECK(events == Events{0, 0, 1});
  acc.init = Accumulator::Init::zero;
  CHECK(chain(acc, {100, -50}, events, 100) == 127);  // 100, 50, 127
  CHECK(events == Events{0, 0, 1});
  CHECK(chain(acc, {1}, events, 100) == 101);
  CHECK(events == Events{});
  acc.init = Accumulator::Init::bias;
  CHECK(chain(acc, {-1}, events, 1000) == 126);  // the bias itself does not fit
  CHECK(events == Events{0, 0, 1});
}

TEST_CASE("conv2d: the other overflow policies of a sequential accumulator") {
  const auto policy = [](Overflow overflow) {
    return Accumulator{8, overflow, Accumulator::Order::sequential, {}};
  };
  Events events;
  CHECK(chain(policy(Overflow::wrap), {100, 100, 0}, events) == -56);
  CHECK(events == Events{0, 0, 1});
  CHECK(chain(policy(Overflow::wrap), {100, 100, -100}, events) == 100);  // and back again
  CHECK(events == Events{0, 0, 1});
  CHECK(chain(policy(Overflow::saturate_zero), {100, 100, 5}, events) == 5);
  CHECK(events == Events{0, 0, 1});
  CHECK(chain(policy(Overflow::saturate_symmetric), {-100, -28, 0}, events) == -127);
  CHECK(events == Events{0, 0, 1});
  CHECK(chain(policy(Overflow::error), {100, 27, 0}, events) == 127);
  CHECK(events == Events{});
  CHECK(error_of(
            [&] {
              chain(policy(Overflow::error), {100, 28, 0}, events);
            },
            "128") == ErrorCode::bad_value);
}

TEST_CASE("conv2d: where the order is free only the total counts as an event") {
  const Accumulator acc{8, Overflow::wrap, Accumulator::Order::any, {}};
  Events events;
  CHECK(chain(acc, {100, 100, -100}, events) == 100);
  CHECK(events == Events{});
  CHECK(chain(acc, {100, 28}, events) == -128);
  CHECK(events == Events{0, 0, 1});
}

TEST_CASE("conv2d: wide accumulators") {
  Conv2dParams p;
  p.input_type = p.weight_type = kInt16;
  p.weights = tensor<int16_t>({1, 1, 1, 3}, {-32768, -32768, -32768});
  p.bias = tensor<int64_t>({1}, {int64_t{1} << 40});
  p.requantize = accumulator_as_output({64, true});
  p.accumulator.bits = 48;
  const Tensor input = tensor<int16_t>({1, 1, 1, 3}, {-32768, -32768, -32768});
  const int64_t total = 3 * (int64_t{1} << 30) + (int64_t{1} << 40);
  CHECK(ints(run_everywhere(Conv2d(p), {&input})) == std::vector<int64_t>{total});

  p.accumulator = {64, Overflow::saturate, Accumulator::Order::sequential, {}};
  p.bias = tensor<int64_t>({1}, {INT64_MAX});
  Events events;
  CHECK(ints(run_everywhere(Conv2d(p), {&input}, &events)) == std::vector<int64_t>{INT64_MAX});
  CHECK(events == Events{0, 0, 1});
}

TEST_CASE("conv2d: range analysis is tight") {
  // x in -128..127, zero point 0; weights 3 and -2: -128*3 + 127*-2 = -638, 127*3 + 128*2 = 637.
  Conv2dParams p;
  p.weights = tensor<int8_t>({1, 1, 1, 2}, {3, -2});
  p.requantize = accumulator_as_output(kInt32);
  CHECK(Conv2d(p).accumulator_bound(0) == 638);
  p.bias = tensor<int32_t>({1}, {100});  // added last: -638 is still a partial sum
  CHECK(Conv2d(p).accumulator_bound(0) == 737);
  p.bias = tensor<int32_t>({1}, {-100});
  CHECK(Conv2d(p).accumulator_bound(0) == 738);
  p.bias = tensor<int32_t>({1}, {200});
  p.accumulator.init = Accumulator::Init::bias;  // -438 .. 837
  CHECK(Conv2d(p).accumulator_bound(0) == 837);

  p.bias = {};
  p.accumulator.bits = 11;
  CHECK(Conv2d(p).accumulator_is_exact());
  p.accumulator.bits = 10;
  CHECK_FALSE(Conv2d(p).accumulator_is_exact());
  p.weights = tensor<int8_t>({1, 1, 1, 1}, {4});
  p.accumulator = {10, Overflow::saturate, Accumulator::Order::sequential, {}};  // lowest -512
  CHECK(Conv2d(p).accumulator_is_exact());
  p.accumulator.overflow = Overflow::saturate_symmetric;  // lowest -511
  CHECK_FALSE(Conv2d(p).accumulator_is_exact());
}

TEST_CASE("conv2d: explain gives the accumulator and the steps") {
  Conv2dParams p = small_conv2d();
  StepProgram program;
  program.steps = {
      {.kind = StepKind::shr, .a = Operand::constant(1), .b = {}, .rounding = Rounding::half_up}};
  p.requantize = Requantizer(program, {}, kInt8);
  const Tensor input = tensor<int8_t>({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const Tensor* const inputs[] = {&input};
  const Explanation explanation = Conv2d(p).explain(inputs, 1);
  CHECK(explanation.accumulator == 47);
  CHECK(explanation.result == 24);
  CHECK(explanation.steps.size() >= 1);
}

TEST_CASE("conv2d: accumulators alone, in the dtype of their width") {
  Conv2dParams p = small_conv2d();
  const Tensor input = tensor<int8_t>({1, 2, 2, 1}, {1, 1, 1, 1});
  for (const int bits : {16, 32, 33}) {
    p.accumulator.bits = bits;
    Tensor acc(accumulator_dtype(p.accumulator), {1, 1, 1, 1});
    CHECK(acc.dtype() == (bits <= 32 ? DType::int32 : DType::int64));
    conv2d_accumulate(p, input, acc, {});
    CHECK(acc.int_at(0) == 10);
  }
}

TEST_CASE("conv2d: same and valid padding") {
  Window2d window{{3, 3}, {2, 2}, {1, 1}, {7, 7, 7, 7}};
  CHECK(resolve_padding(PaddingKind::same, window, 6, 5) == Padding2d{0, 1, 1, 1});
  CHECK(resolve_padding(PaddingKind::same_lower, window, 6, 5) == Padding2d{1, 1, 0, 1});
  CHECK(resolve_padding(PaddingKind::valid, window, 6, 5) == Padding2d{});
  CHECK(resolve_padding(PaddingKind::explicit_, window, 6, 5) == Padding2d{7, 7, 7, 7});
  window.kernel = {1, 1};  // the stride passes the kernel: nothing to pad
  CHECK(resolve_padding(PaddingKind::same, window, 6, 5) == Padding2d{});
}

struct Refused {
  const char* text;  // in the message
  ErrorCode code;
  std::function<void(Conv2dParams&)> spoil;
};

TEST_CASE("conv2d: every bad parameter is refused by name") {
  const Refused table[] = {
      {"weights", ErrorCode::shape_mismatch,
       [](Conv2dParams& p) {
         p.weights = tensor<int8_t>({4}, {1, 2, 3, 4});
       }},
      {"weights", ErrorCode::shape_mismatch,
       [](Conv2dParams& p) {
         p.weights = Tensor(DType::int8, {0, 2, 2, 1});
       }},
      {"weights", ErrorCode::bad_value, [](Conv2dParams& p) { p.weight_type = kUint8; }},
      {"weights[3]", ErrorCode::bad_value,
       [](Conv2dParams& p) {
         p.weight_type = {3, true};
       }},
      {"weight_type", ErrorCode::unsupported, [](Conv2dParams& p) { p.weight_type = kInt32; }},
      {"input_type", ErrorCode::unsupported, [](Conv2dParams& p) { p.input_type = kInt32; }},
      {"input_type", ErrorCode::unsupported,
       [](Conv2dParams& p) {
         p.input_type = {0, true};
       }},
      {"kernel", ErrorCode::shape_mismatch,
       [](Conv2dParams& p) {
         p.window.kernel = {2, 3};
       }},
      {"stride", ErrorCode::bad_value,
       [](Conv2dParams& p) {
         p.window.stride = {1, 0};
       }},
      {"dilation", ErrorCode::bad_value,
       [](Conv2dParams& p) {
         p.window.dilation = {0, 1};
       }},
      {"padding", ErrorCode::bad_value, [](Conv2dParams& p) { p.window.padding.right = -1; }},
      {"groups", ErrorCode::bad_value, [](Conv2dParams& p) { p.groups = 0; }},
      {"groups", ErrorCode::bad_value, [](Conv2dParams& p) { p.groups = 2; }},
      {"input_zero_point", ErrorCode::bad_value, [](Conv2dParams& p) { p.input_zero_point = 128; }},
      {"padding_value", ErrorCode::bad_value, [](Conv2dParams& p) { p.padding_value = -129; }},
      {"weight_zero_point", ErrorCode::bad_value,
       [](Conv2dParams& p) { p.weight_zero_point = {200}; }},
      {"weight_zero_point", ErrorCode::shape_mismatch,
       [](Conv2dParams& p) {
         p.weight_zero_point = {0, 0};
       }},
      {"weight_zero_point", ErrorCode::shape_mismatch,
       [](Conv2dParams& p) { p.weight_zero_point = {}; }},
      {"bias", ErrorCode::bad_value, [](Conv2dParams& p) { p.bias = tensor<int8_t>({1}, {1}); }},
      {"bias", ErrorCode::shape_mismatch,
       [](Conv2dParams& p) {
         p.bias = tensor<int32_t>({2}, {1, 1});
       }},
      {"accumulator bits", ErrorCode::bad_value, [](Conv2dParams& p) { p.accumulator.bits = 7; }},
      {"accumulator bits", ErrorCode::bad_value, [](Conv2dParams& p) { p.accumulator.bits = 65; }},
      {"order any", ErrorCode::unsupported,
       [](Conv2dParams& p) {
         p.accumulator = {9, Overflow::saturate, {}, {}};
       }},
      {"requantize", ErrorCode::shape_mismatch,
       [](Conv2dParams& p) {
         StepProgram program;
         program.steps = {{.kind = StepKind::add, .a = Operand::arg("bias"), .b = {}}};
         Arguments arguments;
         arguments.integers["bias"] = {1, 2, 3};
         p.requantize = Requantizer(program, arguments, kInt32);
       }},
      {"requantize", ErrorCode::unsupported,
       [](Conv2dParams& p) {
         StepProgram program;
         program.steps = {{.kind = StepKind::to_f32, .a = {}, .b = {}}};
         p.requantize = Requantizer(program, {}, kInt32);
       }},
  };
  for (const Refused& refused : table) {
    CAPTURE(refused.text);
    Conv2dParams p = small_conv2d();
    refused.spoil(p);
    CHECK(error_of([&] { Conv2d{p}; }, refused.text) == refused.code);
  }
}

TEST_CASE("conv2d: inputs that do not fit the parameters are refused") {
  const Conv2d conv(small_conv2d());
  const auto shape = [&](const Shape& input) { conv.output_shape(std::vector<Shape>{input}); };
  CHECK(error_of([&] { shape({1, 3, 3, 2}); }, "(1, 3, 3, 2)") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { shape({3, 3, 1}); }, "(3, 3, 1)") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { shape({1, 1, 3, 1}); }, "window height") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { shape({1, 3, 1, 1}); }, "window width") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { conv.output_shape({}); }, "0 inputs") == ErrorCode::shape_mismatch);
  const Tensor codes(DType::uint8, {1, 3, 3, 1});
  CHECK(error_of([&] { run(conv, {&codes}, {}); }, "uint8") == ErrorCode::bad_value);
  Conv2dParams narrow = small_conv2d();
  narrow.input_type = {4, true};
  const Tensor outside = tensor<int8_t>({1, 2, 2, 1}, {7, -8, 8, 0});
  CHECK(error_of([&] { run(Conv2d(narrow), {&outside}, {}); }, "input[2]") == ErrorCode::bad_value);
  Tensor acc(DType::int32, {1, 1, 1, 1});
  CHECK(error_of([&] { conv2d_accumulate(narrow, outside, acc, {}); }, "input[2]") ==
        ErrorCode::bad_value);
}

}  // namespace
}  // namespace facsim::sim::test
