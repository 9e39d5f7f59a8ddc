// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/requantizer.h"

#include <fmt/format.h>

#include <cmath>

#include "sim/core/check.h"
#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/requantize/bind.h"
#include "sim/requantize/float32.h"
#include "sim/requantize/float64.h"

namespace facsim::sim {
namespace {

[[noreturn]] void refuse(const Step& step, std::string found, const char* expected) {
  throw Error(ErrorInfo{ErrorCode::bad_value, "requantize step " + to_string(step),
                        std::move(found), expected, ""});
}

}  // namespace

/// The running value: `integer`, `real`, or `wide` (float64), as the step before left it.
struct Requantizer::Value {
  int128 integer = 0;
  float real = 0;
  double wide = 0;
  bool is_wide = false;

  /// One float32 or float64 step with float32 operands (one rounding).
  template <class Operation>
  void apply(float a, const Operation& operation) {
    if (is_wide) {
      wide = operation(wide, static_cast<double>(a));
    } else {
      real = operation(real, a);
    }
  }
};

Requantizer::Requantizer(StepProgram program, Arguments arguments, IntType output)
    : program_(std::move(program)), arguments_(std::move(arguments)), output_(output) {
  BoundProgram bound = bind(program_, arguments_);
  steps_ = std::move(bound.steps);
  channels_ = bound.channels;
  output_is_real_ = bound.output_is_real;
}

// The definition of every step. Not inlined, so that no float operation leaves the FloatMode scope
// of its callers.
template <class Observer>
__attribute__((noinline)) Requantizer::Value Requantizer::evaluate(Value v, int64_t channel,
                                                                   Events& events,
                                                                   Observer&& observe) const {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const BoundStep& step = steps_[i];
    switch (step.kind) {
      case StepKind::shl:
        v.integer = shift_left(v.integer, int128{step.a[channel]});
        break;
      case StepKind::shr:
        v.integer = round_shift(step.rounding, v.integer, static_cast<int>(step.a[channel]));
        break;
      case StepKind::mul:
        v.integer *= step.a[channel];
        break;
      case StepKind::add:
        v.integer += step.a[channel];
        break;
      case StepKind::sub:
        v.integer -= step.a[channel];
        break;
      case StepKind::div:
        v.integer = round_divide(step.rounding, v.integer, step.a[channel]);
        break;
      case StepKind::resize: {
        bool changed = false;
        v.integer = bring_into(step.overflow, v.integer, step.type, changed);
        (step.overflow == Overflow::wrap ? events.wrapped : events.saturated) += changed ? 1 : 0;
        break;
      }
      case StepKind::clamp:
        v.integer =
            smaller_of(larger_of(v.integer, int128{step.a[channel]}), int128{step.b[channel]});
        break;
      case StepKind::to_f32:
        v.real = to_float32(v.integer);
        v.is_wide = false;
        break;
      case StepKind::to_f64:
        v.wide = to_float64(v.integer);
        v.is_wide = true;
        break;
      case StepKind::fadd:
        v.apply(step.real_a[channel], [](auto x, auto a) { return x + a; });
        break;
      case StepKind::fsub:
        v.apply(step.real_a[channel], [](auto x, auto a) { return x - a; });
        break;
      case StepKind::fmul:
        if (step.real_b.values().empty()) {
          v.apply(step.real_a[channel], [](auto x, auto a) { return x * a; });
        } else {
          const float addend = step.real_b[channel];
          v.apply(step.real_a[channel], [addend](auto x, auto a) {
            return std::fma(x, a, static_cast<decltype(x)>(addend));
          });
        }
        break;
      case StepKind::fdiv:
        v.apply(step.real_a[channel], [](auto x, auto a) { return x / a; });
        break;
      case StepKind::fclamp:
        if (v.is_wide) {
          v.wide = clamp_float64(v.wide, step.real_a[channel], step.real_b[channel]);
        } else {
          v.real = clamp_float32(v.real, step.real_a[channel], step.real_b[channel]);
        }
        break;
      case StepKind::round: {
        if (!step.real_a.values().empty()) {
          v.apply(step.real_a[channel], [](auto x, auto a) { return x + std::copysign(a, x); });
        }
        const double rounded = v.is_wide ? round_real(step.rounding, v.wide)
                                         : static_cast<double>(round_real(step.rounding, v.real));
        if (!(rounded >= -0x1p63 && rounded < 0x1p63)) {
          refuse(program_.steps[i],
                 v.is_wide ? fmt::format("{}", v.wide) : fmt::format("{}", v.real),
                 "a finite value below 2^63");
        }
        v.integer = static_cast<int64_t>(rounded);
        break;
      }
    }
    observe(i, v);
  }
  return v;
}

int64_t Requantizer::to_output(const Value& v) const {
  if (v.integer < output_.min() || v.integer > output_.max()) {
    throw Error(ErrorInfo{ErrorCode::bad_value, "requantize",
                          "a result outside " + to_string(output_),
                          fmt::format("{}..{}", output_.min(), output_.max()),
                          "end the program with a resize to the output type"});
  }
  return static_cast<int64_t>(v.integer);
}

int64_t Requantizer::apply(int64_t acc, int64_t channel, Events& events) const {
  FACSIM_DCHECK(!program_.input_is_real && !output_is_real_);
  const FloatMode mode;
  return to_output(evaluate({.integer = acc}, channel, events, [](size_t, const Value&) {}));
}

int64_t Requantizer::apply_real(float value, int64_t channel, Events& events) const {
  FACSIM_DCHECK(program_.input_is_real && !output_is_real_);
  const FloatMode mode;
  return to_output(evaluate({.real = value}, channel, events, [](size_t, const Value&) {}));
}

float Requantizer::apply_to_real(int64_t acc, int64_t channel, Events& events) const {
  FACSIM_DCHECK(!program_.input_is_real && output_is_real_);
  const FloatMode mode;
  return evaluate({.integer = acc}, channel, events, [](size_t, const Value&) {}).real;
}

std::vector<TracedStep> Requantizer::trace(int64_t acc, int64_t channel) const {
  return trace_from({.integer = acc}, channel);
}

std::vector<TracedStep> Requantizer::trace_real(float value, int64_t channel) const {
  return trace_from({.real = value}, channel);
}

std::vector<TracedStep> Requantizer::trace_from(Value value, int64_t channel) const {
  const FloatMode mode;
  Events events;
  std::vector<TracedStep> traced;
  evaluate(value, channel, events, [&](size_t i, const Value& v) {
    traced.push_back({to_string(program_.steps[i]), gives_real(steps_[i].kind), v.integer,
                      v.is_wide ? static_cast<float>(v.wide) : v.real});
  });
  return traced;
}

}  // namespace facsim::sim
