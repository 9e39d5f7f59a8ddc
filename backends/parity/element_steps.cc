// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/element_steps-internal.h"

#include <algorithm>

#include <fmt/format.h>

#include "sim/ops/add.h"
#include "sim/ops/avg_pool2d.h"
#include "sim/ops/concat.h"
#include "sim/ops/constant_inputs.h"
#include "sim/ops/conv2d.h"
#include "sim/ops/leaky_relu.h"
#include "sim/ops/linear.h"
#include "sim/ops/map.h"
#include "sim/ops/mean.h"
#include "sim/ops/mul.h"
#include "sim/ops/prelu.h"
#include "sim/ops/sigmoid.h"
#include "sim/ops/softmax.h"
#include "sim/ops/transpose_conv2d.h"

namespace facsim::backends::detail {

namespace {

/// A program of an op, and which of its channels an element takes. `side` stands before its steps.
struct ElementProgram {
  std::string side;
  const sim::Requantizer* program;
  int64_t channel = 0;
};

/// A program that the last step before it feeds, or one that begins with an input.
bool follows(const ElementProgram& program) {
  return program.side.empty() || program.side == "output: ";
}

class Programs {
 public:
  Programs(const std::vector<sim::SourceElement>& sources, const std::vector<int64_t>& index,
           const sim::Explanation& explanation)
      : sources_(sources), index_(index), explanation_(explanation) {}

  std::vector<ElementProgram> of(const sim::Op& op) {
    if (const auto* bound = dynamic_cast<const sim::ConstantInputs*>(&op)) return of(bound->op());
    if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) return of(linear->conv());
    if (const auto* conv = dynamic_cast<const sim::Conv2d*>(&op)) add(conv->params().requantize);
    if (const auto* conv = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
      add(conv->params().layer.requantize);
    }
    if (const auto* sum = dynamic_cast<const sim::Add*>(&op)) {
      add(sum->params().lhs, "lhs: ");
      add(sum->params().rhs, "rhs: ");
      add(sum->params().output, "output: ");
    }
    if (const auto* mul = dynamic_cast<const sim::Mul*>(&op)) add(mul->params().requantize);
    if (const auto* mean = dynamic_cast<const sim::Mean*>(&op)) add(mean->params().requantize);
    if (const auto* pool = dynamic_cast<const sim::AvgPool2d*>(&op)) add_average(pool->params());
    if (const auto* map = dynamic_cast<const sim::Map*>(&op)) add_map(map->params());
    if (const auto* concat = dynamic_cast<const sim::Concat*>(&op)) add_concat(concat->params());
    if (const auto* softmax = dynamic_cast<const sim::Softmax*>(&op)) {
      add(softmax->params().scale, "scale: ");
    }
    if (const auto* sigmoid = dynamic_cast<const sim::Sigmoid*>(&op)) add(sigmoid->params().scale);
    if (const auto* leaky = dynamic_cast<const sim::LeakyRelu*>(&op)) add_slope(leaky->params());
    if (const auto* prelu = dynamic_cast<const sim::Prelu*>(&op)) add_slope(prelu->params());
    return std::move(programs_);
  }

 private:
  /// Channels are those of the last axis.
  void add(const sim::Requantizer& program, std::string side = "") {
    add_channel(program, index_.empty() ? 0 : index_.back(), std::move(side));
  }
  void add_channel(const sim::Requantizer& program, int64_t channel, std::string side = "") {
    programs_.push_back({std::move(side), &program, program.channels() == 1 ? 0 : channel});
  }

  /// Channels are numbers of taps.
  void add_average(const sim::AvgPool2dParams& params) {
    const int64_t window = params.requantize.channels();
    const auto inside = static_cast<int64_t>(sources_.size());
    add_channel(params.requantize, (params.count_include_pad ? window : inside) - 1);
  }

  void add_map(const sim::MapParams& params) {
    if (params.channel_axis < 0) return add(params.requantize);
    add_channel(params.requantize, index_[static_cast<size_t>(params.channel_axis)]);
  }

  void add_concat(const sim::ConcatParams& params) {
    if (sources_.empty()) return;
    const sim::ConcatInput& input = params.inputs[static_cast<size_t>(sources_.front().input)];
    if (input.requantize) add(*input.requantize);
  }

  /// The first step is the code without its zero point: its sign chooses.
  template <class Params>
  void add_slope(const Params& params) {
    const auto& steps = explanation_.steps;
    const auto value = std::find_if(steps.begin(), steps.end(), [](const sim::TracedStep& step) {
      return step.step.starts_with("x - ") || step.step.starts_with("code - ");
    });
    if (value != steps.end()) add(value->integer >= 0 ? params.positive : params.negative);
  }

  const std::vector<sim::SourceElement>& sources_;
  const std::vector<int64_t>& index_;
  const sim::Explanation& explanation_;
  std::vector<ElementProgram> programs_;
};

std::string argument_text(const sim::Requantizer& program, const sim::Operand& operand,
                          int64_t channel) {
  if (operand.kind != sim::Operand::Kind::argument) return {};
  const auto& [integers, reals] = program.arguments();
  if (const auto found = integers.find(operand.argument); found != integers.end()) {
    return fmt::format("{} = {}", operand.argument, per_channel(found->second, channel));
  }
  if (const auto found = reals.find(operand.argument); found != reals.end()) {
    return fmt::format("{} = {}", operand.argument, per_channel(found->second, channel));
  }
  return {};
}

std::string arguments_text(const ElementProgram& use, const sim::Step& step) {
  std::string text = argument_text(*use.program, step.a, use.channel);
  const std::string second = argument_text(*use.program, step.b, use.channel);
  if (!second.empty()) text += (text.empty() ? "" : ", ") + second;
  return text;
}

std::string value_text(const sim::TracedStep& step) {
  return step.is_real ? fmt::format("{}", step.real) : fmt::format("{}", step.integer);
}

/// Whether the program's steps stand in `traced` from `at` on.
bool stands_at(const ElementProgram& use, const std::vector<sim::TracedStep>& traced, size_t at) {
  const std::vector<sim::Step>& steps = use.program->program().steps;
  if (steps.empty() || at + steps.size() > traced.size()) return false;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (traced[at + i].step != use.side + to_string(steps[i])) return false;
  }
  return true;
}

}  // namespace

std::vector<ElementStep> element_steps(const sim::Op& op, const sim::Explanation& explanation,
                                       const std::vector<sim::SourceElement>& sources,
                                       const std::vector<int64_t>& index) {
  const std::vector<sim::TracedStep>& traced = explanation.steps;
  std::vector<ElementStep> steps;
  for (const sim::TracedStep& step : traced) steps.push_back({step.step, {}, value_text(step)});
  const std::string sum =
      explanation.accumulator ? fmt::format("{}", *explanation.accumulator) : std::string();
  size_t at = 0;
  for (const ElementProgram& use : Programs(sources, index, explanation).of(op)) {
    while (at < traced.size() && !stands_at(use, traced, at)) ++at;
    if (at == traced.size()) break;
    std::string before = !follows(use) ? "" : at == 0 ? sum : steps[at - 1].value;
    for (const sim::Step& rule : use.program->program().steps) {
      ElementStep& step = steps[at++];
      step.is_program = true;
      step.arguments = arguments_text(use, rule);
      step.changed = step.value != before;
      before = step.value;
    }
  }
  return steps;
}

}  // namespace facsim::backends::detail
