// SPDX-License-Identifier: Apache-2.0
// Accumulators whose addends are not exact products: blocks, terms, operands.
#include "sim/ops/accumulator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "sim/core/error.h"
#include "sim/kernels/conv2d_kernel-internal.h"
#include "sim/ops/conv2d_range.h"
#include "tests/sim_kernels/conv2d_tester.h"

namespace facsim::sim::test {
namespace {

using Block = Accumulator::Block;
using Operands = Accumulator::Operands;
using Term = Accumulator::Term;

/// One layer of one output: acc of `x` (uint8) by `w` (int8).
struct Dot {
  std::vector<int64_t> x, w;
  int64_t bias = 0;
  int64_t input_zero_point = 0;
  IntType input_type = kUint8;

  Conv2dParams params(const Accumulator& accumulator) const {
    Conv2dParams p;
    const auto taps = static_cast<int64_t>(x.size());
    p.input_type = input_type;
    p.input_zero_point = p.padding_value = input_zero_point;
    p.accumulator = accumulator;
    p.weights = Tensor(DType::int8, {1, 1, 1, taps});
    for (int64_t t = 0; t < taps; ++t) p.weights.set_int(t, w[static_cast<size_t>(t)]);
    p.bias = Tensor(DType::int64, {1});
    p.bias.set_int(0, bias);
    return p;
  }
  /// The same on every isa; `overflowed` is whether the event was counted.
  int64_t sum(const Accumulator& accumulator, bool* overflowed = nullptr) const {
    const Conv2dParams p = params(accumulator);
    Tensor input(input_type.storage(), {1, 1, 1, static_cast<int64_t>(x.size())});
    for (int64_t t = 0; t < input.numel(); ++t) input.set_int(t, x[static_cast<size_t>(t)]);
    std::optional<int64_t> result;
    for (const Isa isa : available_isas()) {
      for (const bool count : {false, true}) {
        Tensor acc(accumulator_dtype(accumulator), {1, 1, 1, 1});
        const Events events = conv2d_accumulate(p, input, acc, {isa, nullptr, count});
        if (!result) result = acc.int_at(0);
        CHECK(acc.int_at(0) == *result);
        if (count && overflowed != nullptr) *overflowed = events.accumulator_overflow == 1;
      }
    }
    return *result;
  }
};

Accumulator with_block(const Block& block, int bits = 32, Overflow overflow = Overflow::wrap) {
  Accumulator a;
  a.bits = bits;
  a.overflow = overflow;
  a.order = Accumulator::Order::sequential;
  a.block = block;
  return a;
}

TEST_CASE("accumulator: a bias of 64 bits saturates a sequential sum") {
  Accumulator accumulator{32, Overflow::saturate, Accumulator::Order::sequential,
                          Accumulator::Init::zero};
  bool overflowed = false;
  Dot dot{{1}, {1}, INT64_MAX};
  CHECK(dot.sum(accumulator, &overflowed) == INT32_MAX);
  CHECK(overflowed);
  dot = {{1}, {-1}, INT64_MIN};
  CHECK(dot.sum(accumulator) == INT32_MIN);
  accumulator.bits = 62;
  dot = {{255}, {127}, int64_t{1} << 62};
  CHECK(dot.sum(accumulator) == (int64_t{1} << 61) - 1);
}

TEST_CASE("accumulator: pitfall 13, vpmaddubsw saturates each pair of products to 16 bits") {
  const Dot dot{{255, 255, 1, 1}, {127, 127, 100, 100}};
  bool overflowed = false;
  CHECK(dot.sum(Accumulator{}) == 64770 + 200);  // vpdpbusd
  CHECK(dot.sum(with_block({.taps = 2}), &overflowed) == 32767 + 200);
  CHECK(overflowed);
  // The pairs are those of the order: 255*127 + 1*100 fits.
  const Dot apart{{255, 1, 255, 1}, {127, 100, 127, 100}};
  CHECK(apart.sum(with_block({.taps = 2}), &overflowed) == 64970);
  CHECK_FALSE(overflowed);
  // A last single product is a pair with 0.
  const Dot odd{{255, 255, 255}, {-128, -128, 127}};
  CHECK(odd.sum(with_block({.taps = 2})) == -32768 + 32385);
}

TEST_CASE("accumulator: operands that are codes saturate by what the multipliers see") {
  // Centred products: 127 * 127 twice, which fits; the codes' products do not.
  const Dot dot{{255, 255}, {127, 127}, 0, 128};
  Accumulator a = with_block({.taps = 2});
  CHECK(dot.sum(a) == 2 * 127 * 127);
  a.operands = Operands::codes;
  CHECK(dot.sum(a) == 32767 - 2 * 128 * 127);
  // int8 activations moved to uint8 by 128, as oneDNN does.
  const Dot s8{{127, 127}, {127, 127}, 5, 0, kInt8};
  a.operands = Operands::codes;
  CHECK(s8.sum(a) == 2 * 127 * 127 + 5);
  a.operands = Operands::unsigned_codes;
  CHECK(s8.sum(a) == 32767 - 2 * 128 * 127 + 5);
}

TEST_CASE("accumulator: FBGEMM acc16 adds saturated pairs in 16 bits and spills") {
  // Pairs of 20000: 20000, 32767 (saturated), then a spill after 4 taps.
  const Dot dot{{100, 100, 100, 100, 100, 100}, {100, 100, 100, 100, 100, 100}};
  bool overflowed = false;
  CHECK(dot.sum(with_block({.taps = 2, .spill_every = 2}), &overflowed) == 60000);
  CHECK_FALSE(overflowed);
  CHECK(dot.sum(with_block({.taps = 2, .spill_every = 4}), &overflowed) == 32767 + 20000);
  CHECK(overflowed);
  CHECK(dot.sum(with_block({.taps = 2, .spill_every = 6})) == 32767);
  // Without a spill the accumulator itself takes each pair.
  CHECK(dot.sum(with_block({.taps = 2})) == 60000);
}

TEST_CASE("accumulator: pitfall 10, CMSIS-NN sums int16 layers in 32 bits under a 64-bit bias") {
  Conv2dParams p;
  p.input_type = kInt16;
  p.weights = Tensor(DType::int8, {1, 1, 1, 2048});
  Tensor input(DType::int16, {1, 1, 1, 2048});
  for (int64_t t = 0; t < 2048; ++t) {
    p.weights.set_int(t, 127);
    input.set_int(t, 32767);
  }
  p.bias = Tensor(DType::int64, {1});
  p.bias.set_int(0, int64_t{1} << 40);
  const auto sum = [&] {
    Tensor acc(DType::int64, {1, 1, 1, 1});
    conv2d_accumulate(p, input, acc, {Isa::best, nullptr, false});
    return acc.int_at(0) - (int64_t{1} << 40);
  };
  p.accumulator = {.bits = 64};
  CHECK(sum() == 8522565632);
  p.accumulator.block = Block{Block::kAllTaps, 32, Overflow::wrap, 0, {}};
  CHECK(sum() == 8522565632 - (int64_t{2} << 32));
}

TEST_CASE("accumulator: pitfall 14, NVDLA saturates the 34-bit partial sum at every step") {
  const Accumulator cacc{34, Overflow::saturate, Accumulator::Order::sequential,
                         Accumulator::Init::bias};
  const Dot dot{{5, 10}, {1, -1}, (int64_t{1} << 33) - 1};
  bool overflowed = false;
  CHECK(dot.sum(cacc, &overflowed) == 8589934581);
  CHECK(overflowed);
  CHECK(dot.sum({.bits = 48, .init = Accumulator::Init::bias}) == 8589934586);
}

TEST_CASE("accumulator: hls4ml rounds and casts every product to the accumulator's type") {
  // ap_fixed accumulator with 2 fraction bits fewer than the products.
  Accumulator a{8, Overflow::wrap, Accumulator::Order::sequential, Accumulator::Init::bias};
  a.term = Term{2, Rounding::floor, 8, Overflow::wrap};
  const Dot dot{{7, 7, 3}, {1, -1, 1}, 10};
  // floor(7/4) = 1, floor(-7/4) = -2, floor(3/4) = 0; exactly (7 - 7 + 3) / 4 = 0.75.
  CHECK(dot.sum(a) == 10 + 1 - 2 + 0);
  a.term->rounding = Rounding::half_up;  // AP_RND: 2, -2 (-1.75), 1
  CHECK(dot.sum(a) == 10 + 2 - 2 + 1);
  // AP_WRAP: 100 * 4 / 4 = 100 three times is 300 - 256; AP_SAT stays at 127.
  const Dot large{{200, 200, 200}, {2, 2, 2}};
  CHECK(large.sum(a) == 300 - 256);
  a.term->overflow = a.overflow = Overflow::saturate;
  CHECK(large.sum(a) == 127);
  a.term->shift = -1;  // a finer accumulator
  CHECK((Dot{{3}, {5}, 1}.sum(a)) == 1 + 30);
}

TEST_CASE("accumulator: the fast kernels run where no weight can make a group leave its width") {
  const auto kernel = [](const Conv2dParams& p) {
    return choose_conv2d_kernel(p, Conv2dRange(p), available_isas().back(), EventCounting::off);
  };
  Accumulator pair = with_block({.taps = 2});
  pair.operands = Operands::codes;
  // 255 * 64 * 2 = 32640 fits, 255 * 65 * 2 = 33150 does not; 127 and -1 beside it do.
  const std::vector<int64_t> x(16, 255);
  const auto params = [&](int64_t even, int64_t odd) {
    Dot dot{x, std::vector<int64_t>(16, even)};
    for (size_t t = 1; t < 16; t += 2) dot.w[t] = odd;
    return dot.params(pair);
  };
  CHECK(Conv2dRange(params(64, 64)).plain());
  CHECK(kernel(params(64, 64)).has_value());
  CHECK_FALSE(Conv2dRange(params(65, 65)).plain());
  CHECK_FALSE(kernel(params(65, 65)).has_value());
  CHECK(Conv2dRange(params(127, -1)).plain());
  CHECK(kernel(params(127, -1)).has_value());
  // With a spill, pairs of alternating sign are safe only one by one.
  pair.block->spill_every = 16;
  CHECK_FALSE(Conv2dRange(params(127, -1)).plain());
  // A term that rounds is never plain; one that only holds the products is.
  pair.block.reset();
  pair.term = Term{0, Rounding::floor, 16, Overflow::saturate};
  CHECK(Conv2dRange(params(127, -128)).plain());
  pair.term->bits = 15;
  CHECK_FALSE(Conv2dRange(params(127, 0)).plain());
  pair.term = Term{1, Rounding::floor, 32, Overflow::wrap};
  CHECK_FALSE(Conv2dRange(params(2, 2)).plain());
}

TEST_CASE("accumulator: structured layers are the same on every isa, with and without events") {
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    Conv2dCase c;
    c.seed = seed;
    c.input_type = seed % 2 == 0 ? kInt8 : kUint8;
    c.input_zero_point = c.padding_value = seed % 2 == 0 ? -5 : 128;
    c.weight_fill = seed % 3 == 0 ? Fill::extremes : Fill::random;
    c.input_fill = seed % 3 == 0 ? Fill::extremes : Fill::random;
    c.group_ic = 1 + static_cast<int64_t>(seed % 5);
    c.accumulator =
        with_block({.taps = seed % 4 == 0 ? 4 : 2,
                    .spill_every = seed % 5 == 0 ? 8 : 0,
                    .span = seed % 2 == 0 ? Block::Span::layer : Block::Span::position});
    c.accumulator.operands = static_cast<Operands>(seed % 3);
    const Conv2dInstance made = make_instance(c);
    CAPTURE(c.text());
    Events expected_events, events;
    const Tensor expected = accumulate(made, {Isa::scalar, nullptr, true}, &expected_events);
    for (const Isa isa : available_isas()) {
      const Tensor got = accumulate(made, {isa, nullptr, true}, &events);
      CHECK(first_difference(got, expected) == -1);
      CHECK(events == expected_events);
      CHECK(first_difference(accumulate(made, {isa, nullptr, false}), expected) == -1);
    }
  }
}

TEST_CASE("accumulator: saturated pairs have a kernel of their own, equal to the norm") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Conv2dCase c;
    c.seed = seed;
    c.input_type = seed % 2 == 0 ? kInt8 : kUint8;
    c.input_zero_point = c.padding_value = seed % 2 == 0 ? 17 : 3;
    if (seed % 5 == 0) c.padding_value = c.input_type.max();
    c.input_fill = seed % 3 == 0 ? Fill::extremes : Fill::random;
    c.weight_fill = seed % 3 == 1 ? Fill::extremes : Fill::random;
    c.group_ic = seed % 7 == 0 ? 5 : 2 + 2 * static_cast<int64_t>(seed % 4);
    c.group_oc = 9 + static_cast<int64_t>(seed % 30);
    c.groups = seed % 6 == 0 ? 2 : 1;
    if (seed % 7 == 0) c.kh = c.kw = 1, c.padding = {0, 0, 0, 0};
    if (seed % 4 == 0) c.stride = {2, 1}, c.dilation = {1, 2};
    c.has_bias = seed % 4 != 1;
    c.accumulator =
        with_block({.taps = 2,
                    .bits = seed % 3 == 2 ? 15 : 16,
                    .overflow = seed % 8 == 0 ? Overflow::saturate_symmetric : Overflow::saturate,
                    .spill_every = seed % 2 == 0 ? static_cast<int64_t>(seed % 10) : 0,
                    .span = seed % 2 == 0 ? Block::Span::layer : Block::Span::position});
    c.accumulator.operands = static_cast<Operands>(seed % 3);
    if (c.accumulator.operands == Operands::centred) c.weight_zero_point = -9;
    const Conv2dInstance made = make_instance(c);
    const Conv2dRange range(made.params);
    if (!range.plain()) {
      for (const EventCounting counting : {EventCounting::off, EventCounting::on}) {
        const auto kind =
            choose_conv2d_kernel(made.params, range, available_isas().back(), counting);
        CHECK(kind == Conv2dKernelKind::blocks);
      }
    }
    expect_kernels_equal_norm(c);
  }
}

TEST_CASE("accumulator: pairs that the packed runs would not keep go to the norm") {
  Conv2dCase c;
  c.input_type = kUint8;
  c.input_fill = c.weight_fill = Fill::highest;
  c.group_ic = 3;
  c.group_oc = 16;
  c.accumulator = with_block({.taps = 2});
  const auto kind = [&] {
    const Conv2dInstance made = make_instance(c);
    return choose_conv2d_kernel(made.params, Conv2dRange(made.params), available_isas().back(),
                                EventCounting::off);
  };
  CHECK(kind() == std::nullopt);
  c.group_ic = 4;
  CHECK(kind() == Conv2dKernelKind::blocks);
  c.accumulator.block->spill_every = 4;
  CHECK(kind() == Conv2dKernelKind::blocks);
  c.accumulator.block->span = Block::Span::position;  // spills would be counted by position
  CHECK(kind() == std::nullopt);
  c.accumulator.block->taps = 4;
  CHECK(kind() == std::nullopt);
}

TEST_CASE("accumulator: a group that starts anew at each kernel position") {
  // Two positions of one channel: with span layer they are one pair, with span position two.
  Conv2dParams p;
  p.input_type = kUint8;
  p.window.kernel = {1, 2};
  p.weights = Tensor(DType::int8, {1, 1, 2, 1});
  p.weights.set_int(0, 127);
  p.weights.set_int(1, 127);
  Tensor input(DType::uint8, {1, 1, 2, 1});
  input.set_int(0, 255);
  input.set_int(1, 255);
  const auto sum = [&](Block::Span span) {
    p.accumulator = with_block({.taps = 2, .span = span});
    Tensor acc(DType::int32, {1, 1, 1, 1});
    conv2d_accumulate(p, input, acc, {Isa::best, nullptr, false});
    return acc.int_at(0);
  };
  CHECK(sum(Block::Span::layer) == 32767);
  CHECK(sum(Block::Span::position) == 64770);
}

TEST_CASE("accumulator: errors name the field") {
  const auto refused = [](const Accumulator& accumulator) {
    try {
      const Conv2dParams p = Dot{{1}, {1}}.params(accumulator);
      Tensor acc(accumulator_dtype(accumulator), {1, 1, 1, 1});
      conv2d_accumulate(p, Tensor(DType::uint8, {1, 1, 1, 1}), acc, {});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  const auto names = [&](const Accumulator& accumulator, const char* field) {
    const std::string text = refused(accumulator);
    CAPTURE(text);
    CHECK(text.find(field) != std::string::npos);
  };
  names(with_block({.taps = 0}), "block taps");
  names(with_block({.taps = 2, .bits = 7}), "block bits");
  names(with_block({.taps = 2, .spill_every = 3}), "spill_every");
  Accumulator term;
  term.term = Term{63, Rounding::floor, 8, Overflow::wrap};
  names(term, "term shift");
  term.term = Term{0, Rounding::floor, 1, Overflow::wrap};
  names(term, "term bits");
  // Free order and saturation: refused unless the weights prove that nothing saturates.
  Accumulator free = with_block({.taps = 2}, 32, Overflow::saturate);
  free.order = Accumulator::Order::any;
  CHECK(refused(free) == "accepted");
  free.bits = 8;
  names(free, "order any");
}

}  // namespace
}  // namespace facsim::sim::test
