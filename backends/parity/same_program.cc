// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "backends/parity/same_results-internal.h"
#include "sim/core/error.h"
#include "sim/requantize/range.h"
#include "sim/requantize/requantizer.h"

namespace facsim::backends::detail {

namespace {

constexpr int64_t kOneByOne = int64_t{1} << 22;

bool all_positive(const std::vector<float>& values) {
  for (const float v : values) {
    if (!(v > 0) || !std::isfinite(v)) return false;
  }
  return true;
}

bool all_finite(const std::vector<float>& values) {
  for (const float v : values) {
    if (!std::isfinite(v)) return false;
  }
  return true;
}

/// Whether a larger value can never give a smaller result, in any channel.
bool step_keeps_order(const sim::BoundStep& step, const sim::ValueRange& before) {
  using Kind = sim::StepKind;
  switch (step.kind) {
    case Kind::mul:
      for (const int64_t a : step.a.values()) {
        if (a < 0) return false;
      }
      return true;
    case Kind::fmul:
      return all_positive(step.real_a.values()) && all_finite(step.real_b.values());
    case Kind::fdiv:
      return all_positive(step.real_a.values());
    case Kind::fadd:
    case Kind::fsub:
      return all_finite(step.real_a.values());
    case Kind::fclamp:
      return all_finite(step.real_a.values()) && all_finite(step.real_b.values());
    case Kind::resize:
      if (step.overflow == sim::Overflow::saturate ||
          step.overflow == sim::Overflow::saturate_symmetric) {
        return true;
      }
      return before.bounded && before.min >= step.type.min() && before.max <= step.type.max();
    default:
      return true;
  }
}

struct ResultPair {
  int64_t f, g;
  bool equal() const { return f == g; }
  friend bool operator==(const ResultPair&, const ResultPair&) = default;
};

class ProgramPair {
 public:
  ProgramPair(const AppliedProgram& f, const AppliedProgram& g, ProofBudget& budget)
      : f_(f), g_(g), budget_(budget) {}

  bool one_by_one(int64_t min, int64_t max) {
    for (int64_t v = min; v <= max; ++v) {
      if (!may_go_on() || !at(v).equal()) return false;
    }
    return true;
  }

  bool by_bisection(int64_t min, int64_t max) {
    struct Between {
      int64_t low, high;
      ResultPair at_low, at_high;
    };
    std::vector<Between> open = {{min, max, at(min), at(max)}};
    if (!open[0].at_low.equal() || !open[0].at_high.equal()) return false;
    while (!open.empty()) {
      const Between here = open.back();
      open.pop_back();
      if (here.high - here.low <= 1 || here.at_low == here.at_high) continue;
      if (!may_go_on()) return false;
      const int64_t middle = here.low + (here.high - here.low) / 2;
      const ResultPair found = at(middle);
      if (!found.equal()) return false;
      open.push_back({here.low, middle, here.at_low, found});
      open.push_back({middle, here.high, found, here.at_high});
    }
    return true;
  }

 private:
  bool may_go_on() { return --budget_ > 0; }
  ResultPair at(int64_t v) const { return {apply(f_, v), apply(g_, v)}; }
  static int64_t apply(const AppliedProgram& side, int64_t v) {
    sim::Events events;
    return side.program->apply(v + side.add, side.channel, events);
  }

  const AppliedProgram &f_, &g_;
  ProofBudget& budget_;
};

}  // namespace

bool keeps_order(const sim::Requantizer& program, int64_t min, int64_t max) {
  if (program.output_is_real() || program.program().input_is_real) return false;
  const std::vector<sim::BoundStep>& steps = program.bound_steps();
  const sim::ValueRange input = sim::ValueRange::integers(min, max);
  const std::vector<sim::ValueRange> after = sim::infer_ranges(steps, program.channels(), input);
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!step_keeps_order(steps[i], i == 0 ? input : after[i - 1])) return false;
  }
  return true;
}

bool same_program(const AppliedProgram& f, const AppliedProgram& g, int64_t min, int64_t max,
                  ProgramOrder order, ProofBudget& budget) {
  for (const AppliedProgram* side : {&f, &g}) {
    if (side->program->output_is_real() || side->program->program().input_is_real) return false;
  }
  try {
    ProgramPair pair(f, g, budget);
    if (order == ProgramOrder::kept) return pair.by_bisection(min, max);
    return sim::int128{max} - min < kOneByOne && pair.one_by_one(min, max);
  } catch (const Error&) {
    return false;  // a value that a program refuses
  }
}

bool same_program(const AppliedProgram& f, const AppliedProgram& g, int64_t min, int64_t max,
                  ProofBudget& budget) {
  const bool kept = keeps_order(*f.program, min + f.add, max + f.add) &&
                    keeps_order(*g.program, min + g.add, max + g.add);
  budget -= f.program->channels() + g.program->channels();
  return same_program(f, g, min, max, kept ? ProgramOrder::kept : ProgramOrder::unknown, budget);
}

}  // namespace facsim::backends::detail
