// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/error.h"
#include "sim/ops/add.h"
#include "sim/ops/avg_pool2d.h"
#include "sim/ops/batch_matmul.h"
#include "sim/ops/linear.h"
#include "sim/ops/map.h"
#include "sim/ops/transpose_conv2d.h"

namespace facsim::backends {

std::string_view to_string(Branch branch) {
  switch (branch) {
    case Branch::tie_positive:
      return "tie positive";
    case Branch::tie_negative:
      return "tie negative";
    case Branch::above_half:
      return "above half";
    case Branch::below_half:
      return "below half";
    case Branch::exact:
      return "exact";
    case Branch::inside:
      return "inside";
    case Branch::low:
      return "low";
    case Branch::high:
      return "high";
    case Branch::wrapped:
      return "wrapped";
  }
  return "?";
}

namespace detail {

namespace {

using sim::int128;
using sim::StepKind;

constexpr int64_t kMaxObserved = 4096;  // elements of a layer

std::vector<Branch> branches_of(const sim::BoundStep& step) {
  switch (step.kind) {
    case StepKind::shr:
    case StepKind::div:
    case StepKind::round:
      return {Branch::tie_positive, Branch::tie_negative, Branch::above_half, Branch::below_half,
              Branch::exact};
    case StepKind::resize:
      if (step.overflow == sim::Overflow::wrap) return {Branch::inside, Branch::wrapped};
      return {Branch::inside, Branch::low, Branch::high};
    case StepKind::clamp:
    case StepKind::fclamp:
      return {Branch::inside, Branch::low, Branch::high};
    default:
      return {};
  }
}

/// value / divisor: where it lies between two integers.
Branch rounding_branch(int128 value, int128 divisor) {
  int128 rest = value % divisor;
  if (rest < 0) rest += divisor;
  if (rest == 0) return Branch::exact;
  if (2 * rest == divisor) return value > 0 ? Branch::tie_positive : Branch::tie_negative;
  return 2 * rest > divisor ? Branch::above_half : Branch::below_half;
}

Branch rounding_branch(float value) {
  const float rest = value - std::floor(value);
  if (rest == 0) return Branch::exact;
  if (rest == 0.5f) return value > 0 ? Branch::tie_positive : Branch::tie_negative;
  return rest > 0.5f ? Branch::above_half : Branch::below_half;
}

Branch branch_of(const sim::BoundStep& step, int64_t channel, const sim::TracedStep& before,
                 const sim::TracedStep& after) {
  switch (step.kind) {
    case StepKind::shr:
      return rounding_branch(before.integer, int128{1} << step.a[channel]);
    case StepKind::div:
      return rounding_branch(before.integer, step.a[channel]);
    case StepKind::round:
      return rounding_branch(before.real);
    case StepKind::resize:
      if (before.integer == after.integer) return Branch::inside;
      if (step.overflow == sim::Overflow::wrap) return Branch::wrapped;
      return before.integer > step.type.max() ? Branch::high : Branch::low;
    case StepKind::clamp:
      if (before.integer == after.integer) return Branch::inside;
      return before.integer < after.integer ? Branch::low : Branch::high;
    default:
      if (before.real == after.real) return Branch::inside;
      return before.real < after.real ? Branch::low : Branch::high;
  }
}

/// False only where interval arithmetic, or a congruence, shows that no accumulator gets there.
bool may_happen(const sim::Requantizer& requantize, size_t index, Branch branch,
                const sim::ValueRange& before, int64_t low, int64_t high) {
  const sim::BoundStep& step = requantize.bound_steps()[index];
  if (step.kind == StepKind::shr) {
    const auto& counts = step.a.values();
    const bool shifts =
        std::any_of(counts.begin(), counts.end(), [](int64_t count) { return count != 0; });
    if (!shifts) return branch == Branch::exact;
    if (branch != Branch::tie_positive && branch != Branch::tie_negative) return true;
    // A first rounding without a tie on this side of zero.
    const bool positive = branch == Branch::tie_positive;
    for (int64_t c = 0; c < requantize.channels(); ++c) {
      bool decided = false;
      const bool first = [&] {
        for (size_t i = 0; i < index; ++i) {
          const sim::BoundStep& s = requantize.bound_steps()[i];
          if (s.kind == StepKind::shr && s.a[c] != 0) return false;
        }
        return step.a[c] != 0;
      }();
      if (!first) return true;
      const auto tie =
          positive ? first_tie(requantize, c, 0, std::max<int64_t>(low, 0), high, decided)
                   : first_tie(requantize, c, -1, low, std::min<int64_t>(high, -1), decided);
      if (tie || !decided) return true;
    }
    return false;
  }
  if (!before.bounded) return true;
  if (step.kind == StepKind::resize) {
    const bool below = before.min<step.type.min(), above = before.max> step.type.max();
    if (branch == Branch::low) return below;
    if (branch == Branch::high) return above;
    return branch == Branch::inside || below || above;
  }
  if (step.kind == StepKind::clamp || step.kind == StepKind::fclamp) {
    bool below = false, above = false;
    for (int64_t c = 0; c < requantize.channels(); ++c) {
      if (step.kind == StepKind::clamp) {
        below |= before.min < step.a[c];
        above |= before.max > step.b[c];
      } else {
        below |= before.real_min < step.real_a[c];
        above |= before.real_max > step.real_b[c];
      }
    }
    if (branch == Branch::low) return below;
    if (branch == Branch::high) return above;
  }
  return true;
}

}  // namespace

void CoverageCounter::declare(const std::string& name, const sim::Requantizer& requantize,
                              int64_t low, int64_t high) {
  const auto& steps = requantize.bound_steps();
  const sim::ValueRange input = requantize.program().input_is_real
                                    ? sim::ValueRange::any_real()
                                    : sim::ValueRange::integers(low, high);
  const std::vector<sim::ValueRange> ranges =
      sim::infer_ranges(steps, requantize.channels(), input);
  for (size_t i = 0; i < steps.size(); ++i) {
    for (const Branch branch : branches_of(steps[i])) {
      Entry& entry = entries_[{name, i, to_string(requantize.program().steps[i]), branch}];
      entry.possible |=
          may_happen(requantize, i, branch, i == 0 ? input : ranges[i - 1], low, high);
    }
  }
}

void CoverageCounter::observe_steps(const std::string& name, const sim::Requantizer& requantize,
                                    const std::vector<sim::TracedStep>& traced,
                                    sim::TracedStep before, int64_t channel) {
  const auto& steps = requantize.bound_steps();
  for (size_t i = 0; i < traced.size(); ++i) {
    if (!branches_of(steps[i]).empty()) {
      const Branch branch = branch_of(steps[i], channel, before, traced[i]);
      Entry& entry = entries_[{name, i, traced[i].step, branch}];
      ++entry.hits;
      entry.possible = true;
    }
    before = traced[i];
  }
}

void CoverageCounter::observe(const std::string& name, const sim::Requantizer& requantize,
                              int64_t accumulator, int64_t channel) {
  sim::TracedStep before;
  before.integer = accumulator;
  observe_steps(name, requantize, requantize.trace(accumulator, channel), before, channel);
}

void CoverageCounter::observe_real(const std::string& name, const sim::Requantizer& requantize,
                                   float value, int64_t channel) {
  sim::TracedStep before;
  before.is_real = true;
  before.real = value;
  observe_steps(name, requantize, requantize.trace_real(value, channel), before, channel);
}

std::vector<BranchCoverage> CoverageCounter::result() const {
  std::vector<BranchCoverage> all;
  for (const auto& [key, entry] : entries_) {
    const auto& [program, index, step, branch] = key;
    using State = BranchCoverage::State;
    const State state = entry.hits > 0   ? State::reached
                        : entry.possible ? State::not_reached
                                         : State::unreachable;
    all.push_back({program, fmt::format("{}: {}", index, step), branch, entry.hits, state});
  }
  return all;
}

std::vector<NamedProgram> programs_of(const sim::Op& op) {
  if (const auto* conv = dynamic_cast<const sim::Conv2d*>(&op)) {
    return {{"requantize", &conv->params().requantize}};
  }
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) {
    return {{"requantize", &linear->conv().params().requantize}};
  }
  if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
    return {{"requantize", &transposed->params().layer.requantize}};
  }
  if (const auto* matmul = dynamic_cast<const sim::BatchMatmul*>(&op)) {
    return {{"requantize", &matmul->params().requantize}};
  }
  if (const auto* add = dynamic_cast<const sim::Add*>(&op)) {
    return {{"lhs", &add->params().lhs},
            {"rhs", &add->params().rhs},
            {"output", &add->params().output}};
  }
  if (const auto* pool = dynamic_cast<const sim::AvgPool2d*>(&op)) {
    return {{"requantize", &pool->params().requantize}};
  }
  if (const auto* map = dynamic_cast<const sim::Map*>(&op)) {
    return {{"requantize", &map->params().requantize}};
  }
  return {};
}

namespace {

/// Bounds of a program's integer result over [low, high]; of float32 results none are needed.
std::array<int64_t, 2> result_range(const sim::Requantizer& requantize, int64_t low, int64_t high) {
  const std::vector<sim::ValueRange> ranges = sim::infer_ranges(
      requantize.bound_steps(), requantize.channels(), sim::ValueRange::integers(low, high));
  constexpr int64_t kAny = int64_t{1} << 61;
  if (ranges.empty()) return {low, high};
  const sim::ValueRange& last = ranges.back();
  if (last.is_real || !last.bounded || last.min < -kAny || last.max > kAny) return {-kAny, kAny};
  return {static_cast<int64_t>(last.min), static_cast<int64_t>(last.max)};
}

void declare_accumulators(CoverageCounter& coverage, const sim::Op& op, const VectorLayer& layer,
                          const std::vector<NamedProgram>& programs) {
  if (const auto* add = dynamic_cast<const sim::Add*>(&op)) {
    std::array<int64_t, 2> sum{0, 0};
    for (size_t i = 0; i < 2; ++i) {
      const sim::IntType type = sim::full_range(layer.inputs[i].dtype());
      coverage.declare(programs[i].name, *programs[i].requantize, type.min(), type.max());
      auto [low, high] = result_range(*programs[i].requantize, type.min(), type.max());
      if (i == 1 && add->params().kind == sim::AddParams::Kind::sub) {
        std::swap(low, high);
        low = -low;
        high = -high;
      }
      sum[0] += low;
      sum[1] += high;
    }
    coverage.declare(programs[2].name, *programs[2].requantize, sum[0], sum[1]);
    return;
  }
  int64_t low = INT32_MIN, high = INT32_MAX;
  if (dynamic_cast<const sim::Map*>(&op) != nullptr && layer.inputs[0].dtype() != DType::float32) {
    const sim::IntType type = sim::full_range(layer.inputs[0].dtype());
    low = type.min();
    high = type.max();
  }
  const sim::Conv2d* conv = dynamic_cast<const sim::Conv2d*>(&op);
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) conv = &linear->conv();
  const sim::Accumulator* accumulator = conv != nullptr ? &conv->params().accumulator : nullptr;
  if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
    accumulator = &transposed->params().layer.accumulator;
  }
  if (const auto* matmul = dynamic_cast<const sim::BatchMatmul*>(&op)) {
    accumulator = &matmul->params().accumulator;
  }
  if (accumulator != nullptr) {
    low = accumulator->type().min();
    high = accumulator->type().max();
  }
  coverage.declare(programs[0].name, *programs[0].requantize, low, high);
}

void observe_add(CoverageCounter& coverage, const sim::Add& op, const VectorLayer& layer,
                 int64_t index) {
  const sim::AddParams& p = op.params();
  const Tensor& a = layer.inputs[0];
  const Tensor& b = layer.inputs[1];
  if (a.shape() != b.shape()) return;
  const int64_t lhs = a.int_at(index), rhs = b.int_at(index);
  coverage.observe("lhs", p.lhs, lhs, 0);
  coverage.observe("rhs", p.rhs, rhs, 0);
  const int64_t sign = p.kind == sim::AddParams::Kind::sub ? -1 : 1;
  sim::Events events;
  if (p.output.program().input_is_real) {
    const float sum = p.lhs.apply_to_real(lhs, 0, events) +
                      static_cast<float>(sign) * p.rhs.apply_to_real(rhs, 0, events);
    coverage.observe_real("output", p.output, sum, 0);
    return;
  }
  coverage.observe("output", p.output,
                   p.lhs.apply(lhs, 0, events) + sign * p.rhs.apply(rhs, 0, events), 0);
}

}  // namespace

void observe_layer(CoverageCounter& coverage, const sim::Op& op, const VectorLayer& layer,
                   const Tensor& output) {
  const std::vector<NamedProgram> programs = programs_of(op);
  if (programs.empty()) return;
  declare_accumulators(coverage, op, layer, programs);
  std::vector<const Tensor*> inputs;
  for (const Tensor& x : layer.inputs) inputs.push_back(&x);
  const sim::Requantizer& requantize = *programs[0].requantize;
  const int64_t step = std::max<int64_t>(1, output.numel() / kMaxObserved);
  const int64_t channels = output.shape()[output.shape().rank() - 1];
  for (int64_t i = 0; i < output.numel(); i += step) {
    if (const auto* add = dynamic_cast<const sim::Add*>(&op)) {
      observe_add(coverage, *add, layer, i);
    } else if (layer.inputs[0].dtype() == DType::float32) {
      coverage.observe_real("requantize", requantize, layer.inputs[0].data<float>()[i], 0);
    } else if (dynamic_cast<const sim::Map*>(&op) != nullptr) {
      coverage.observe("requantize", requantize, layer.inputs[0].int_at(i), 0);
    } else if (dynamic_cast<const sim::AvgPool2d*>(&op) != nullptr) {
      // Arguments go by the number of taps: known where no window leaves the image.
      const std::optional<int64_t> sum = op.explain(inputs, i).accumulator;
      const NodeAttributes& attributes = layer.graph.nodes.front().attributes;
      if (sum && attributes.window.padding == sim::Padding2d{}) {
        coverage.observe("requantize", requantize, *sum, requantize.channels() - 1);
      }
    } else {
      const std::optional<int64_t> accumulator = op.explain(inputs, i).accumulator;
      const int64_t channel = requantize.channels() == 1 ? 0 : i % channels;
      if (accumulator) coverage.observe("requantize", requantize, *accumulator, channel);
    }
  }
}

}  // namespace detail

}  // namespace facsim::backends
