// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/same_results-internal.h"

#include <doctest/doctest.h>

#include "backends/parity/op_equality-internal.h"
#include "sim/ops/add.h"
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
  sim::StepProgram as_floor = f.program();  // half_up is floor of one half more
  as_floor.steps.insert(as_floor.steps.begin() + 1,
                        {sim::StepKind::add, sim::Operand::constant(1), {}});
  as_floor.steps[2].rounding = sim::Rounding::floor;
  const sim::Requantizer g(as_floor, {}, sim::kInt8);
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

sim::Requantizer program_of(std::vector<sim::Step> steps, sim::IntType output = sim::kInt8) {
  return sim::Requantizer({std::move(steps)}, {}, output);
}

sim::Step step_of(sim::StepKind kind, int64_t a,
                  sim::Rounding rounding = sim::Rounding::half_even) {
  return {kind, sim::Operand::constant(a), {}, rounding};
}

sim::Step wrap_to(sim::IntType type) {
  return {sim::StepKind::resize, {}, {}, {}, type, sim::Overflow::wrap};
}

TEST_CASE("same_program: steps that do nothing and powers of two, also where nothing is tried") {
  using Kind = sim::StepKind;
  const sim::Step end = wrap_to(sim::kInt8);
  const auto half_up = [](int64_t by) { return step_of(Kind::shr, by, sim::Rounding::half_up); };
  const sim::Requantizer shift = program_of({half_up(3), end});
  const int64_t far = int64_t{1} << 40;  // too many values for one by one
  const auto equal = [&](const sim::Requantizer& f, const sim::Requantizer& g) {
    ProofBudget budget = 1 << 20;
    return same_program({&f}, {&g}, -far, far, budget);
  };
  CHECK(equal(shift, program_of({step_of(Kind::mul, 1 << 20), half_up(23), end})));
  CHECK(equal(shift, program_of({step_of(Kind::shl, 2), half_up(5), end})));
  CHECK(equal(shift, program_of({half_up(3), step_of(Kind::add, 0), wrap_to(sim::kInt16), end})));
  CHECK(equal(shift, program_of({half_up(3), wrap_to({63, true}), end})));
  CHECK_FALSE(equal(shift, program_of({step_of(Kind::mul, 1 << 20), half_up(22), end})));
  CHECK_FALSE(equal(shift, program_of({wrap_to(sim::kInt16), half_up(3), end})));
  CHECK_FALSE(equal(shift, program_of({half_up(2), half_up(1), end})));
  CHECK_FALSE(equal(shift, program_of({half_up(3), wrap_to({4, true}), end})));
  const sim::Step clamp{Kind::clamp, sim::Operand::constant(-9), sim::Operand::constant(9)};
  CHECK_FALSE(equal(shift, program_of({half_up(3), wrap_to(sim::kInt16), clamp, end})));
}

TEST_CASE("same_program: what is written the same gives the same, value by value") {
  using Kind = sim::StepKind;
  int proved = 0;
  for (const int64_t factor : {1, 2, 3, 6, 8, 12, -4}) {
    for (const int64_t shift : {0, 1, 2, 4}) {
      for (const int bits : {4, 6, 9}) {
        for (const int64_t other : {1, 3, -1}) {
          for (const int64_t less : {0, 1, 2}) {
            const sim::Requantizer f =
                program_of({step_of(Kind::mul, factor), step_of(Kind::shr, shift),
                            wrap_to({bits, true}), step_of(Kind::add, 3), wrap_to({5, true})});
            const sim::Requantizer g =
                program_of({step_of(Kind::mul, other), step_of(Kind::shr, less),
                            step_of(Kind::add, 3), wrap_to({5, true})});
            ProofBudget none = 2;  // for no value
            const bool same = same_program({&f}, {&g}, -200, 200, ProgramOrder::unknown, none);
            CAPTURE(factor);
            CAPTURE(shift);
            CAPTURE(bits);
            if (same) CHECK(equal_one_by_one(f, g, -200, 200));
            proved += same;
          }
        }
      }
    }
  }
  CHECK(proved > 10);
}

std::optional<int64_t> result_of(const sim::Requantizer& f, int64_t v) {
  try {
    sim::Events events;
    return f.apply(v, 0, events);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// Refused by both counts as equal.
bool equal_or_refused(const sim::Requantizer& f, const sim::Requantizer& g, int64_t min,
                      int64_t max) {
  for (int64_t v = min; v <= max; ++v) {
    if (result_of(f, v) != result_of(g, v)) return false;
  }
  return true;
}

/// What brings accumulators into [min, max], in integers and in float32, or leaves them.
std::vector<std::vector<sim::Step>> ways_into(int64_t min, int64_t max) {
  using Kind = sim::StepKind;
  const auto real = [](int64_t v) { return sim::Operand::constant_f32(static_cast<float>(v)); };
  return {{},
          {{Kind::clamp, sim::Operand::constant(min), sim::Operand::constant(max)}},
          {{Kind::to_f32, {}, {}}, {Kind::fclamp, real(min), real(max)}, {Kind::round, {}, {}}}};
}

TEST_CASE("same_program: every resize whose input ends at, beside and beyond the type's ends") {
  int proved = 0, different = 0;
  for (const sim::IntType type : {sim::IntType{4, true}, sim::IntType{4, false}, sim::kInt8}) {
    const int64_t low = type.min(), high = type.max();
    std::vector<sim::Requantizer> programs;
    for (const auto& [min, max] : {std::pair{low, high}, {low + 1, high}, {low - 1, high + 1}}) {
      for (std::vector<sim::Step> steps : ways_into(min, max)) {
        programs.push_back(program_of(steps, sim::kInt16));
        steps.emplace_back();
        for (const sim::Overflow policy : sim::all_overflows()) {
          steps.back() = {sim::StepKind::resize, {}, {}, {}, type, policy};
          programs.push_back(program_of(steps, sim::kInt16));
        }
      }
    }
    for (const auto& [min, max] : {std::pair{low, high},
                                   {low + 1, high},
                                   {low, high - 1},
                                   {low - 1, high},
                                   {low, high + 1},
                                   {3 * low - 40, 3 * high + 40}}) {
      for (const sim::Requantizer& f : programs) {
        for (const sim::Requantizer& g : programs) {
          ProofBudget none = 2;  // for no value
          ProofBudget enough = 1 << 20;
          const bool written = same_program({&f}, {&g}, min, max, ProgramOrder::unknown, none);
          const bool equal = equal_or_refused(f, g, min, max);
          CAPTURE(min);
          CAPTURE(max);
          CAPTURE(sim::to_string(f.program()));
          CAPTURE(sim::to_string(g.program()));
          if (!equal) {
            CHECK_FALSE(written);
            CHECK_FALSE(same_program({&f}, {&g}, min, max, enough));
          }
          proved += written;
          different += !equal;
        }
      }
    }
  }
  CHECK(proved > 100);
  CHECK(different > 100);
}

TEST_CASE("same_program: 0.0 and -0.0 are not the same divisor") {
  using Kind = sim::StepKind;
  const auto quotient = [](float divisor) {
    const auto real = sim::Operand::constant_f32;
    return program_of({{Kind::to_f32, {}, {}},
                       {Kind::fdiv, real(divisor), {}},
                       {Kind::fclamp, real(-9), real(9)},
                       {Kind::round, {}, {}}});
  };
  const sim::Requantizer f = quotient(0.0f), g = quotient(-0.0f);
  CHECK(result_of(f, 1) == 9);
  CHECK(result_of(g, 1) == -9);
  ProofBudget budget = 1 << 20;
  CHECK_FALSE(same_program({&f}, {&g}, 1, 5, budget));
  CHECK(same_program({&f}, {&f}, 1, 5, budget));
}

TEST_CASE("same_program: of each channel its own operands") {
  sim::StepProgram program;
  program.steps = {step_of(sim::StepKind::shl, 1),
                   {sim::StepKind::mul, sim::Operand::arg("multiplier"), {}},
                   wrap_to(sim::kInt8)};
  sim::Arguments arguments;
  arguments.integers = {{"multiplier", {3, 5, 3}}};
  const sim::Requantizer f(program, arguments, sim::kInt8);
  const auto same = [&](int64_t a, int64_t b) {
    ProofBudget none = 2;  // for no value
    return same_program({&f, a}, {&f, b}, -200, 200, ProgramOrder::unknown, none);
  };
  CHECK(same(0, 2));
  CHECK(same(1, 1));
  CHECK_FALSE(same(0, 1));
  CHECK_FALSE(same(1, 2));
}

sim::AddParams addition(int64_t unit, int64_t rhs_unit, sim::Rounding rounding) {
  sim::AddParams p;
  p.lhs_type = p.rhs_type = sim::kInt16;
  p.lhs = program_of({step_of(sim::StepKind::mul, unit)}, sim::kInt32);
  p.rhs = program_of({step_of(sim::StepKind::mul, rhs_unit)}, sim::kInt32);
  p.output = program_of({step_of(sim::StepKind::mul, 16 / unit),
                         step_of(sim::StepKind::shr, 6, rounding), wrap_to(sim::kInt16)},
                        sim::kInt16);
  return p;
}

TEST_CASE("same_results: 16-bit additions in other units") {
  const InputKind any{Shape{1, 4}, DType::int16, Codes{-32768, 32767}};
  const auto same = [&](const sim::AddParams& a, const sim::AddParams& b) {
    ProofBudget budget = 1 << 24;
    return same_results(sim::Add(a), sim::Add(b), {any, any}, budget);
  };
  const sim::Rounding up = sim::Rounding::half_up;
  CHECK(same(addition(1, 3, up), addition(4, 12, up)));
  CHECK_FALSE(same(addition(1, 3, up), addition(4, 8, up)));
  CHECK_FALSE(same(addition(1, 3, up), addition(4, 12, sim::Rounding::half_even)));
}

TEST_CASE("same_results: 16-bit additions of other codes, and beyond the budget") {
  const InputKind any{Shape{1, 4}, DType::int16, Codes{-32768, 32767}};
  const auto same = [&](const sim::AddParams& a, const sim::AddParams& b, ProofBudget budget) {
    return same_results(sim::Add(a), sim::Add(b), {any, any}, budget);
  };
  const sim::AddParams base = addition(1, 3, sim::Rounding::half_up);
  // The same addends in the same order, of codes that are 2^15 greater.
  sim::AddParams other = base;
  other.lhs_type = {16, false};
  other.lhs = program_of({step_of(sim::StepKind::sub, 32768)}, sim::kInt32);
  CHECK_FALSE(same(base, other, 1 << 24));
  other = base;
  other.rhs_type = {16, false};
  other.rhs =
      program_of({step_of(sim::StepKind::sub, 32768), step_of(sim::StepKind::mul, 3)}, sim::kInt32);
  CHECK_FALSE(same(base, other, 1 << 24));
  // Four programs of 2^16 codes are evaluated before anything is compared.
  CHECK(same(base, base, (1 << 18) + 100));
  CHECK_FALSE(same(base, base, 1 << 18));
}

TEST_CASE("same_results: 16-bit additions whose addends are too large to be summed") {
  const InputKind any{Shape{1, 4}, DType::int16, Codes{-32768, 32767}};
  const sim::IntType wide{64, true};
  const auto same = [&](std::vector<sim::Step> lhs, std::vector<sim::Step> rhs) {
    sim::AddParams p = addition(1, 1, sim::Rounding::half_up);
    p.lhs = program_of(std::move(lhs), wide);
    p.rhs = program_of(std::move(rhs), wide);
    ProofBudget budget = 1 << 24;
    return same_results(sim::Add(p), sim::Add(p), {any, any}, budget);
  };
  using Kind = sim::StepKind;
  const std::vector<sim::Step> small = {step_of(Kind::mul, 1)};
  const auto always = [](int64_t v) {
    return std::vector<sim::Step>{step_of(Kind::mul, 0), step_of(Kind::add, v)};
  };
  for (const int64_t large : {int64_t{1} << 61, -(int64_t{1} << 61), INT64_MAX, INT64_MIN}) {
    CAPTURE(large);
    CHECK_FALSE(same(always(large), small));
    CHECK_FALSE(same(small, always(large)));
    CHECK_FALSE(same(always(large), always(large)));
  }
  CHECK(same(always((int64_t{1} << 61) - 1), small));
  CHECK(same(small, always(-(int64_t{1} << 61) + 1)));
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

TEST_CASE("same_results: sums are multiples of the weights' common divisor apart") {
  sim::Conv2dParams p;
  p.weights = Tensor(DType::int8, {1, 1, 1, 3});
  for (const int64_t i : {0, 1, 2}) p.weights.set_int(i, i == 1 ? -24 : 16);
  p.bias = Tensor(DType::int32, {1});
  p.requantize = rounding_shift(sim::Rounding::half_up, 1, 4);
  const sim::Conv2d up(p);
  p.requantize = rounding_shift(sim::Rounding::half_even, 1, 4);
  const sim::Conv2d even(p);
  const InputKind small{Shape{1, 1, 1, 3}, DType::int8, Codes{-30, 30}};
  ProofBudget budget = 1 << 20;
  // Multiples of 8: half of them are on ties of 16.
  CHECK_FALSE(same_results(up, even, {small}, budget));
  const auto constant = InputKind{Shape{1, 1, 1, 3}, DType::int8,
                                  CodeRanges(std::vector<Codes>{{-30, 30}, {2, 2}, {-30, 30}})};
  CHECK(same_results(up, even, {constant}, budget));  // of 16, less 48: no ties
  // With a bias of 3 none is on a tie, though numbers between them are.
  p.bias = Tensor(DType::int32, {1});
  p.bias.set_int(0, 3);
  const sim::Conv2d even_with_bias(p);
  p.requantize = rounding_shift(sim::Rounding::half_up, 1, 4);
  CHECK(same_results(sim::Conv2d(p), even_with_bias, {small}, budget));
  const std::optional<CodeRanges> codes = reachable_codes(up, {constant});
  REQUIRE(codes);
  CHECK(codes->all() == Codes{-63, 57});
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
