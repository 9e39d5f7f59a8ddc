// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/bind.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/error.h"
#include "sim/requantize/range.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim {
namespace {

/// Binds one program, collecting every finding.
class Binder {
 public:
  explicit Binder(const Arguments& arguments) : arguments_(arguments) {}

  BoundProgram bind(const StepProgram& program) {
    BoundProgram bound;
    bool is_real = program.input_is_real;
    for (const Step& step : program.steps) {
      place_ = fmt::format("requantize step {} ({})", bound.steps.size(), to_string(step));
      if (takes_real(step.kind) != is_real) {
        report(fmt::format("the value is {} here", is_real ? "float32" : "an integer"),
               fmt::format("{} takes {}", to_string(step.kind),
                           takes_real(step.kind) ? "float32" : "an integer"));
      }
      is_real = gives_real(step.kind);
      bound.steps.push_back(bind(step));
    }
    bound.channels = channels_;
    bound.output_is_real = is_real;
    if (is_real) refuse_float64_result(program);
    if (findings_.empty()) check_range(program, bound);
    if (!findings_.empty()) throw Error(std::move(findings_));
    return bound;
  }

 private:
  BoundStep bind(const Step& step) {
    BoundStep bound{step.kind, step.rounding, step.type, step.overflow, {}, {}, {}, {}};
    const bool two = step.kind == StepKind::clamp || step.kind == StepKind::fclamp;
    const bool none = step.kind == StepKind::resize || step.kind == StepKind::round ||
                      (gives_real(step.kind) && !takes_real(step.kind));
    const bool fuses = step.kind == StepKind::fmul && step.b.kind != Operand::Kind::none;
    const bool adds = step.kind == StepKind::round && step.a.kind != Operand::Kind::none;
    if (adds) {
      bound.real_a = reals(step.a);
      check_addends(bound.real_a);
    } else if (!none && takes_real(step.kind)) {
      bound.real_a = reals(step.a);
      if (two || fuses) bound.real_b = reals(step.b);
    } else if (!none) {
      bound.a = integers(step.a);
      if (two) bound.b = integers(step.b);
    }
    if ((none && !adds && step.a.kind != Operand::Kind::none) ||
        (!two && !fuses && step.b.kind != Operand::Kind::none)) {
      report("too many operands", none ? "none" : "one");
    }
    if (step.kind == StepKind::shl || step.kind == StepKind::shr) {
      check_values(bound.a, 0, 62, "a shift 0..62");
    } else if (step.kind == StepKind::div) {
      check_values(bound.a, 1, INT64_MAX, "a positive divisor");
    } else if (step.kind == StepKind::resize) {
      const int max_bits = step.type.is_signed ? 64 : 63;
      if (step.type.bits < 1 || step.type.bits > max_bits) {
        report(to_string(step.type), "a type of 1..64 bits (unsigned 1..63)");
        bound.type = kInt8;
      }
    }
    return bound;
  }

  PerChannel<int64_t> integers(const Operand& operand) {
    switch (operand.kind) {
      case Operand::Kind::integer:
        return PerChannel<int64_t>({operand.integer});
      case Operand::Kind::argument:
        return find<int64_t>(operand.argument, arguments_.integers, arguments_.reals, "integer");
      case Operand::Kind::real:
        report(fmt::format("{}", operand.real), "an integer");
        break;
      case Operand::Kind::none:
        report("an operand is missing", "an integer or an argument's name");
        break;
    }
    return PerChannel<int64_t>({1});
  }

  PerChannel<float> reals(const Operand& operand) {
    switch (operand.kind) {
      case Operand::Kind::real:
        return PerChannel<float>({operand.real});
      case Operand::Kind::argument:
        return find<float>(operand.argument, arguments_.reals, arguments_.integers, "float32");
      case Operand::Kind::integer:
        report(fmt::format("{}", operand.integer), "a float32");
        break;
      case Operand::Kind::none:
        report("an operand is missing", "a float32 or an argument's name");
        break;
    }
    return PerChannel<float>({1});
  }

  template <class T, class Values, class Others>
  PerChannel<T> find(const std::string& name, const Values& values, const Others& others,
                     const char* type) {
    const auto it = values.find(name);
    if (it == values.end()) {
      report(fmt::format("argument \"{}\" is {}", name,
                         others.contains(name) ? "of another type" : "missing"),
             fmt::format("{} values", type));
      return PerChannel<T>({1});
    }
    const auto length = static_cast<int64_t>(it->second.size());
    if (length == 0 || (length > 1 && channels_ > 1 && length != channels_)) {
      report(fmt::format("argument \"{}\" has {} values", name, length),
             channels_ > 1 ? fmt::format("1 or {}, as the arguments before it", channels_)
                           : std::string("at least 1"));
      return PerChannel<T>({1});
    }
    channels_ = std::max(channels_, length);
    return PerChannel<T>(it->second);
  }

  void check_values(const PerChannel<int64_t>& values, int64_t min, int64_t max,
                    const char* expected) {
    for (int64_t v : values.values()) {
      if (v < min || v > max) return report(fmt::format("{}", v), expected);
    }
  }

  void refuse_float64_result(const StepProgram& program) {
    if (std::any_of(program.steps.begin(), program.steps.end(),
                    [](const Step& step) { return step.kind == StepKind::to_f64; })) {
      report("a program from float64 that ends in a real", "a round step");
    }
  }

  /// Not negative, so that v + copysign(addend, v) grows with v.
  void check_addends(const PerChannel<float>& values) {
    for (const float v : values.values()) {
      if (!(v >= 0 && std::isfinite(v)))
        return report(fmt::format("{}", v), "a finite addend >= 0");
    }
  }

  void check_range(const StepProgram& program, const BoundProgram& bound) {
    const ValueRange input =
        program.input_is_real ? ValueRange::any_real() : ValueRange::integers(INT64_MIN, INT64_MAX);
    const std::vector<ValueRange> ranges = infer_ranges(bound.steps, bound.channels, input);
    for (size_t i = 0; i < ranges.size(); ++i) {
      if (ranges[i].is_real || ranges[i].bounded) continue;
      place_ = fmt::format("requantize step {} ({})", i, to_string(program.steps[i]));
      return report("the value can pass 126 bits here", "a resize or clamp before this step");
    }
  }

  void report(std::string found, std::string expected) {
    findings_.push_back({ErrorCode::bad_value, place_, std::move(found), std::move(expected), ""});
  }

  const Arguments& arguments_;
  std::string place_;
  int64_t channels_ = 1;
  std::vector<ErrorInfo> findings_;
};

}  // namespace

BoundProgram bind(const StepProgram& program, const Arguments& arguments) {
  return Binder(arguments).bind(program);
}

}  // namespace facsim::sim
