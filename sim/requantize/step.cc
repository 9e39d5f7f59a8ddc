// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/step.h"

#include <fmt/format.h>

namespace facsim::sim {

std::string_view to_string(StepKind kind) {
  switch (kind) {
    case StepKind::shl:
      return "shl";
    case StepKind::shr:
      return "shr";
    case StepKind::mul:
      return "mul";
    case StepKind::add:
      return "add";
    case StepKind::sub:
      return "sub";
    case StepKind::div:
      return "div";
    case StepKind::resize:
      return "resize";
    case StepKind::clamp:
      return "clamp";
    case StepKind::to_f32:
      return "to_f32";
    case StepKind::to_f64:
      return "to_f64";
    case StepKind::fadd:
      return "fadd";
    case StepKind::fsub:
      return "fsub";
    case StepKind::fmul:
      return "fmul";
    case StepKind::fdiv:
      return "fdiv";
    case StepKind::fclamp:
      return "fclamp";
    case StepKind::round:
      return "round";
  }
  return "?";
}

bool takes_real(StepKind kind) {
  const bool converts = kind == StepKind::to_f32 || kind == StepKind::to_f64;
  return kind == StepKind::round || (gives_real(kind) && !converts);
}

bool gives_real(StepKind kind) {
  switch (kind) {
    case StepKind::to_f32:
    case StepKind::to_f64:
    case StepKind::fadd:
    case StepKind::fsub:
    case StepKind::fmul:
    case StepKind::fdiv:
    case StepKind::fclamp:
      return true;
    default:
      return false;
  }
}

namespace {

std::string to_string(const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::none:
      return {};
    case Operand::Kind::integer:
      return fmt::format("{}", operand.integer);
    case Operand::Kind::real:
      return fmt::format("{}", operand.real);
    case Operand::Kind::argument:
      return operand.argument;
  }
  return "?";
}

}  // namespace

std::string to_string(const Step& step) {
  std::string line(to_string(step.kind));
  for (const Operand* operand : {&step.a, &step.b}) {
    const std::string text = to_string(*operand);
    if (!text.empty()) line.append(" ").append(text);
  }
  if (step.kind == StepKind::shr || step.kind == StepKind::div || step.kind == StepKind::round) {
    line += fmt::format(" {}", to_string(step.rounding));
  }
  if (step.kind == StepKind::resize) {
    line += fmt::format(" {} {}", to_string(step.type), to_string(step.overflow));
  }
  return line;
}

std::string to_string(const StepProgram& program) {
  std::string lines;
  for (const Step& step : program.steps) lines += to_string(step) + "\n";
  return lines;
}

}  // namespace facsim::sim
