// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

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
      return sim::leaves_unchanged(step, 0, before);
    default:
      return true;
  }
}

// --- what a program does to one channel, written in one way ---

struct ChannelStep {
  sim::StepKind kind;
  sim::Rounding rounding = sim::Rounding::half_even;
  sim::IntType type{};
  sim::Overflow overflow = sim::Overflow::saturate;
  std::optional<int64_t> a, b;
  std::optional<uint32_t> real_a, real_b;  ///< bits: 1 / 0.0 and 1 / -0.0 differ

  friend bool operator==(const ChannelStep&, const ChannelStep&) = default;
};

/// `step` has one channel.
ChannelStep channel_step(const sim::BoundStep& step) {
  const auto integer = [](const sim::PerChannel<int64_t>& values) {
    return values.values().empty() ? std::nullopt : std::optional(values[0]);
  };
  const auto bits = [](const sim::PerChannel<float>& values) {
    return values.values().empty() ? std::nullopt
                                   : std::optional(std::bit_cast<uint32_t>(values[0]));
  };
  return {step.kind,       step.rounding,   step.type,         step.overflow,
          integer(step.a), integer(step.b), bits(step.real_a), bits(step.real_b)};
}

bool is_identity(const ChannelStep& step) {
  using Kind = sim::StepKind;
  if (step.kind == Kind::mul) return step.a == 1;
  return (step.kind == Kind::shl || step.kind == Kind::shr || step.kind == Kind::add ||
          step.kind == Kind::sub) &&
         step.a == 0;
}

/// v * a / 2^s is v * (a / 2^k) / 2^(s - k), exactly, where 2^k divides a.
void cancel(ChannelStep& factor, ChannelStep& shift) {
  using Kind = sim::StepKind;
  if (shift.kind != Kind::shr || (factor.kind != Kind::mul && factor.kind != Kind::shl)) return;
  if (factor.kind == Kind::shl) {
    const int64_t common = std::min(*factor.a, *shift.a);
    *factor.a -= common;
    *shift.a -= common;
    return;
  }
  while (*factor.a != 0 && *factor.a % 2 == 0 && *shift.a > 0) {
    *factor.a /= 2;
    --*shift.a;
  }
}

bool wraps(const ChannelStep& step) {
  return step.kind == sim::StepKind::resize && step.overflow == sim::Overflow::wrap;
}

/// A value that is brought into fewer bits by wrapping, with sums and products at most since then,
/// need not have been brought into more bits like that before.
void drop_wider_wraps(std::vector<ChannelStep>& steps, const ChannelStep& last) {
  using Kind = sim::StepKind;
  if (!wraps(last)) return;
  for (size_t i = steps.size(); i-- > 0;) {
    const Kind kind = steps[i].kind;
    if (wraps(steps[i]) && steps[i].type.bits >= last.type.bits) {
      steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(i));
    } else if (kind != Kind::mul && kind != Kind::shl && kind != Kind::add && kind != Kind::sub) {
      return;
    }
  }
}

sim::BoundStep of_channel(const sim::BoundStep& step, int64_t channel) {
  const auto one = [&]<class T>(const sim::PerChannel<T>& values) {
    return values.values().empty() ? sim::PerChannel<T>()
                                   : sim::PerChannel<T>(std::vector<T>{values[channel]});
  };
  return {step.kind,   step.rounding, step.type,        step.overflow,
          one(step.a), one(step.b),   one(step.real_a), one(step.real_b)};
}

/// Without steps that change no result between `min` and `max`, powers of two cancelled.
std::vector<ChannelStep> simplest(const AppliedProgram& side, int64_t min, int64_t max) {
  std::vector<sim::BoundStep> steps;
  for (const sim::BoundStep& step : side.program->bound_steps()) {
    steps.push_back(of_channel(step, side.channel));
  }
  const sim::ValueRange input = sim::ValueRange::integers(side.argument(min), side.argument(max));
  const std::vector<sim::ValueRange> after = sim::infer_ranges(steps, 1, input);
  std::vector<ChannelStep> out;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (sim::leaves_unchanged(steps[i], 0, i == 0 ? input : after[i - 1])) continue;
    ChannelStep step = channel_step(steps[i]);
    if (!out.empty()) cancel(out.back(), step);
    if (!out.empty() && is_identity(out.back())) out.pop_back();
    drop_wider_wraps(out, step);
    if (!is_identity(step)) out.push_back(step);
  }
  return out;
}

bool is_written_the_same(const AppliedProgram& f, const AppliedProgram& g, int64_t min,
                         int64_t max) {
  return f.add == g.add && f.step == g.step &&
         f.program->output_type() == g.program->output_type() &&
         simplest(f, min, max) == simplest(g, min, max);
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
    return side.program->apply(side.argument(v), side.channel, events);
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
  if (budget <= 0) return false;
  if (is_written_the_same(f, g, min, max)) {
    budget -= f.program->channels() + g.program->channels();
    return true;
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
  const bool kept = keeps_order(*f.program, f.argument(min), f.argument(max)) &&
                    keeps_order(*g.program, g.argument(min), g.argument(max));
  budget -= f.program->channels() + g.program->channels();
  return same_program(f, g, min, max, kept ? ProgramOrder::kept : ProgramOrder::unknown, budget);
}

}  // namespace facsim::backends::detail
