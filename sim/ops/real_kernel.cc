// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/real_kernel-internal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "sim/core/check.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim::detail {

namespace {

constexpr int64_t kBlock = 1024;
constexpr float kLargest = 1 << 30;  // bounds of the clamp: integers of 32 bits, exact in float32

float real_value(const Operand& operand, const Arguments& arguments) {
  return operand.kind == Operand::Kind::argument ? arguments.reals.at(operand.argument)[0]
                                                 : operand.real;
}

/// The arguments that integer steps name.
Arguments arguments_of(const StepProgram& program, const Arguments& all) {
  Arguments own;
  for (const Step& step : program.steps) {
    for (const Operand* operand : {&step.a, &step.b}) {
      if (operand->kind != Operand::Kind::argument) continue;
      own.integers[operand->argument] = all.integers.at(operand->argument);
    }
  }
  return own;
}

bool is_arithmetic(StepKind kind) {
  return kind == StepKind::fadd || kind == StepKind::fsub || kind == StepKind::fmul ||
         kind == StepKind::fdiv;
}

void apply(StepKind kind, float a, float b, float* values, int64_t count) {
  const auto each = [&](auto operation) {
    for (int64_t i = 0; i < count; ++i) values[i] = operation(values[i]);
  };
  switch (kind) {
    case StepKind::fadd:
      return each([a](float v) { return v + a; });
    case StepKind::fsub:
      return each([a](float v) { return v - a; });
    case StepKind::fmul:
      return each([a](float v) { return v * a; });
    case StepKind::fdiv:
      return each([a](float v) { return v / a; });
    case StepKind::fclamp:
      // In this order a NaN becomes a.
      return each([a, b](float v) { return std::min(v > a ? v : a, b); });
    default:
      break;
  }
  FACSIM_CHECK(is_arithmetic(kind));
}

}  // namespace

std::optional<RealKernel> RealKernel::make(const Requantizer& requantizer) {
  const std::vector<Step>& steps = requantizer.program().steps;
  if (!requantizer.program().input_is_real || requantizer.output_is_real() ||
      requantizer.channels() != 1) {
    return std::nullopt;
  }
  const auto round = std::find_if(steps.begin(), steps.end(),
                                  [](const Step& step) { return step.kind == StepKind::round; });
  if (round == steps.end() || round == steps.begin() || (round - 1)->kind != StepKind::fclamp) {
    return std::nullopt;
  }
  StepProgram rest;
  rest.steps.assign(round + 1, steps.end());
  const bool stays_integer = std::none_of(rest.steps.begin(), rest.steps.end(),
                                          [](const Step& step) { return gives_real(step.kind); });
  const bool plain =
      std::all_of(steps.begin(), round - 1,
                  [](const Step& step) {
                    return is_arithmetic(step.kind) && step.b.kind == Operand::Kind::none;
                  }) &&
      round->a.kind == Operand::Kind::none;
  RealKernel kernel;
  for (auto step = steps.begin(); step != round; ++step) {
    const bool clamps = step->kind == StepKind::fclamp;
    kernel.steps_.push_back({step->kind, real_value(step->a, requantizer.arguments()),
                             clamps ? real_value(step->b, requantizer.arguments()) : 0});
  }
  const float low = kernel.steps_.back().a, high = kernel.steps_.back().b;
  if (!stays_integer || !plain || !(low >= -kLargest && low <= high && high <= kLargest)) {
    return std::nullopt;
  }
  kernel.rounding_ = round->rounding;
  kernel.output_ = requantizer.output_type().storage();
  kernel.integer_steps_ = RequantizeKernel(
      Requantizer(rest, arguments_of(rest, requantizer.arguments()), requantizer.output_type()),
      static_cast<int64_t>(round_real(round->rounding, low)),
      static_cast<int64_t>(round_real(round->rounding, high)));
  return kernel;
}

Events RealKernel::run(const float* values, int64_t count, void* codes, Isa isa,
                       bool count_events) const {
  Events events;
  std::array<float, kBlock> reals;
  std::array<int32_t, kBlock> integers;
  const auto element = static_cast<int64_t>(size_of(output_));
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t n = std::min(kBlock, count - begin);
    std::copy_n(values + begin, n, reals.data());
    for (const RealStep& step : steps_) apply(step.kind, step.a, step.b, reals.data(), n);
    for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
      integers[i] = static_cast<int32_t>(round_real(rounding_, reals[i]));
    }
    events +=
        integer_steps_.run(integers.data(), n, 1, 0, n,
                           static_cast<std::byte*>(codes) + begin * element, n, isa, count_events);
  }
  return events;
}

}  // namespace facsim::sim::detail
