// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/same_results-internal.h"

#include <doctest/doctest.h>

#include "backends/parity/op_equality-internal.h"
#include "sim/ops/conv2d.h"
#include "sim/requantize/programs.h"
#include "tests/backends/ten_layer_network.h"

namespace facsim::backends::detail {
namespace {

sim::Requantizer rounding_shift(sim::Rounding rounding, int64_t multiplier, int64_t shift,
                                sim::Overflow overflow = sim::Overflow::saturate) {
  sim::StepProgram program;
  program.steps.push_back({sim::StepKind::mul, sim::Operand::constant(multiplier), {}});
  program.steps.push_back({sim::StepKind::shr, sim::Operand::constant(shift), {}, rounding});
  program.steps.push_back({sim::StepKind::resize, {}, {}, {}, sim::kInt8, overflow});
  return sim::Requantizer(program, {}, sim::kInt8);
}

bool equal_one_by_one(const sim::Requantizer& f, const sim::Requantizer& g, int64_t min,
                      int64_t max) {
  sim::Events events;
  for (int64_t v = min; v <= max; ++v) {
    if (f.apply(v, 0, events) != g.apply(v, 0, events)) return false;
  }
  return true;
}

TEST_CASE("same_program: says what comparing every value says") {
  int equal = 0, different = 0;
  for (const int64_t multiplier : {1, 3, 77, 1024, 1025}) {
    for (const int64_t shift : {0, 1, 6, 12}) {
      for (const sim::Rounding a : sim::all_roundings()) {
        for (const sim::Rounding b : {sim::Rounding::half_up, sim::Rounding::floor}) {
          const sim::Requantizer f = rounding_shift(a, multiplier, shift);
          const sim::Requantizer g = rounding_shift(b, multiplier, shift);
          for (const auto& [min, max] : {std::pair<int64_t, int64_t>{-900, 1100}, {3, 40}}) {
            ProofBudget budget = 1 << 20;
            const bool same = equal_one_by_one(f, g, min, max);
            CAPTURE(multiplier);
            CAPTURE(shift);
            CAPTURE(sim::to_string(a));
            CHECK(same_program({&f}, {&g}, min, max, budget) == same);
            ++(same ? equal : different);
          }
        }
      }
    }
  }
  CHECK(equal > 50);
  CHECK(different > 50);
}

TEST_CASE("same_program: a wrapping resize has no order, and is compared one by one") {
  const auto wrapping = [](sim::Rounding r) {
    return rounding_shift(r, 3, 1, sim::Overflow::wrap);
  };
  const sim::Requantizer f = wrapping(sim::Rounding::half_up);
  const sim::Requantizer g = wrapping(sim::Rounding::half_up);
  const sim::Requantizer h = wrapping(sim::Rounding::half_even);
  CHECK_FALSE(keeps_order(f, -1000, 1000));
  CHECK(keeps_order(f, -20, 20));  // nothing leaves int8
  ProofBudget budget = 1 << 20;
  CHECK(same_program({&f}, {&g}, -1000, 1000, budget));
  CHECK_FALSE(same_program({&f}, {&h}, -1000, 1000, budget));
  ProofBudget small = 100;
  CHECK_FALSE(same_program({&f}, {&g}, -1000, 1000, small));  // not proved for lack of work
}

TEST_CASE("same_program: sides with another addend") {
  const sim::Requantizer f = rounding_shift(sim::Rounding::half_up, 1, 2);
  ProofBudget budget = 1 << 20;
  CHECK(same_program({&f, 0, 8}, {&f, 0, 8}, -300, 300, budget));
  CHECK_FALSE(same_program({&f, 0, 8}, {&f, 0, 9}, -300, 300, budget));
}

sim::Conv2dParams small_layer() {
  sim::Conv2dParams p;
  p.weights = Tensor(DType::int8, {2, 1, 1, 3});
  for (int64_t i = 0; i < 6; ++i) p.weights.set_int(i, 20 * i - 50);
  p.bias = Tensor(DType::int32, {2});
  p.requantize = rounding_shift(sim::Rounding::half_up, 3, 10);
  return p;
}

TEST_CASE("op_text: what the weights prove out of reach is left out") {
  const sim::Conv2d base(small_layer());
  sim::Conv2dParams narrow = small_layer();
  narrow.accumulator.bits = 20;
  narrow.accumulator.overflow = sim::Overflow::saturate;
  narrow.accumulator.order = sim::Accumulator::Order::sequential;
  CHECK(op_text(base) == op_text(sim::Conv2d(narrow)));
  narrow.accumulator.bits = 12;
  CHECK(op_text(base) != op_text(sim::Conv2d(narrow)));
}

TEST_CASE("same_results: layers, by the sums that their weights and inputs allow") {
  const std::vector<InputKind> any = {{Shape{1, 1, 1, 3}, DType::int8, Codes{-128, 127}}};
  const std::vector<InputKind> few = {{Shape{1, 1, 1, 3}, DType::int8, Codes{-2, 2}}};
  const sim::Conv2d base(small_layer());
  sim::Conv2dParams p = small_layer();
  p.requantize = rounding_shift(sim::Rounding::half_even, 3, 10);  // parts at sum 512
  const sim::Conv2d even(p);
  ProofBudget budget = 1 << 20;
  CHECK_FALSE(same_results(base, even, any, budget));
  CHECK(same_results(base, even, few, budget));
  p = small_layer();
  p.bias.set_int(0, 1);
  CHECK_FALSE(same_results(base, sim::Conv2d(p), any, budget));
}

TEST_CASE("op_text: every op of the network of ten layers has one, and is the same as itself") {
  for (const char* name : {"tflite-micro", "onnxruntime-cpu", "nvdla", "hls4ml", "vitis-ai"}) {
    CAPTURE(name);
    const Profile profile = load_profile(name, ProfileSearch::standard());
    const test::TenLayers network(profile);
    const sim::Graph graph = lower(network.graph(), profile);
    CHECK(graph.nodes.size() > 3);
    for (const sim::Graph::Node& node : graph.nodes) {
      CAPTURE(node.name);
      CHECK(op_text(*node.op).has_value());
    }
  }
}

const InputKind kAnyInput{Shape{1, 1, 1, 3}, DType::int8, Codes{-128, 127}};

TEST_CASE("reachable_codes: ends of a program") {
  sim::Conv2dParams p = small_layer();
  sim::StepProgram program = p.requantize.program();
  program.steps.push_back(
      {sim::StepKind::clamp, sim::Operand::constant(-5), sim::Operand::constant(9)});
  p.requantize = sim::Requantizer(program, {}, sim::kInt8);
  const std::optional<CodeRanges> codes = reachable_codes(sim::Conv2d(p), {kAnyInput});
  REQUIRE(codes);
  CHECK(codes->all() == Codes{-5, 9});
}

TEST_CASE("reachable_codes: of a layer, by its weights and the codes of each input channel") {
  // Weights of the two channels: -50, -30, -10 and 10, 30, 50; 3/1024, half up.
  const sim::Conv2d layer(small_layer());
  const InputKind input{Shape{1, 1, 1, 3}, DType::int8,
                        CodeRanges(std::vector<Codes>{{0, 40}, {-10, 0}, {5, 5}})};
  const std::optional<CodeRanges> codes = reachable_codes(layer, {input});
  REQUIRE(codes);
  REQUIRE(codes->channels() == 2);
  CHECK(codes->channel(0) == Codes{-6, 1});  // sums -2050 and 250
  CHECK(codes->channel(1) == Codes{0, 2});   // sums -50 and 650
  sim::Conv2dParams p = small_layer();
  p.window.padding = {1, 1, 1, 1};
  p.padding_value = 100;  // a window of one pixel is inside, or all of it outside
  const std::optional<CodeRanges> padded = reachable_codes(sim::Conv2d(p), {input});
  REQUIRE(padded);
  CHECK(padded->channel(0) == Codes{-26, 1});  // sums -100 * 90 outside, 250 inside
  CHECK(padded->channel(1) == Codes{0, 26});   // -50 inside, 100 * 90 outside
}

TEST_CASE("same_results: sums at the borders are those of windows that are there") {
  // Of a constant input, a row of three weights sums to one of three values, none between them.
  sim::Conv2dParams p;
  p.window.kernel = {1, 3};
  p.window.padding = {0, 1, 0, 1};
  p.weights = Tensor(DType::int8, {1, 1, 3, 1});
  for (const int64_t i : {0, 1, 2}) p.weights.set_int(i, 100);
  p.requantize = rounding_shift(sim::Rounding::half_up, 1, 3);
  const sim::Conv2d up(p);
  p.requantize = rounding_shift(sim::Rounding::floor, 1, 3);
  const sim::Conv2d floor(p);
  ProofBudget budget = 1 << 20;
  const auto constant = [](int64_t code) {
    return std::vector<InputKind>{{Shape{1, 1, 4, 1}, DType::int8, Codes{code, code}}};
  };
  CHECK(same_results(up, floor, constant(2), budget));        // 400, 600: multiples of 8
  CHECK_FALSE(same_results(up, floor, constant(1), budget));  // 200, 300: 300 is not
}

TEST_CASE("same_results: widths of accumulators that the inputs' codes do not reach") {
  const sim::Conv2d base(small_layer());
  sim::Conv2dParams p = small_layer();
  p.accumulator.bits = 12;
  p.accumulator.overflow = sim::Overflow::saturate;
  p.accumulator.order = sim::Accumulator::Order::sequential;
  const sim::Conv2d narrow(p);
  const InputKind few{Shape{1, 1, 1, 3}, DType::int8, Codes{-20, 20}};  // |sum| <= 1800
  ProofBudget budget = 1 << 20;
  CHECK_FALSE(same_results(base, narrow, {kAnyInput}, budget));
  CHECK(same_results(base, narrow, {few}, budget));
}

}  // namespace
}  // namespace facsim::backends::detail
