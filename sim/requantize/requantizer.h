// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "sim/core/events.h"
#include "sim/core/tensor.h"
#include "sim/core/wide.h"
#include "sim/requantize/bound_step.h"
#include "sim/requantize/step.h"

namespace facsim::sim {

/// The values of a program's named arguments: integers or float32, length 1 (per tensor) or one per
/// channel.
struct Arguments {
  std::map<std::string, std::vector<int64_t>, std::less<>> integers;
  std::map<std::string, std::vector<float>, std::less<>> reals;
};

/// One intermediate of a traced evaluation.
struct TracedStep {
  std::string step;  ///< to_string(Step)
  bool is_real = false;
  int128 integer = 0;
  float real = 0;  ///< of a float64 value: the nearest float32
};

/// A step program with its arguments bound and checked: what one layer applies to each accumulator.
///
/// The scalar interpreter (`apply`, `apply_real`) is the norm: exact in 128-bit integers, float32
/// and float64 steps each with one IEEE rounding. Every faster form is compared with it.
class Requantizer {
 public:
  Requantizer() = default;
  /// Error bad_value (place: the step), all findings at once, if an argument is missing or has a
  /// length other than 1 or the program's channel count, an integer step meets a real value or the
  /// other way round, a program ends in float64, a shift is outside 0..62, a divisor is not
  /// positive, a resize has no such type, or a step could take some 64-bit accumulator past 126
  /// bits. A program that ends in float32 has no use for `output`.
  Requantizer(StepProgram program, Arguments arguments, IntType output);

  const StepProgram& program() const { return program_; }
  const Arguments& arguments() const { return arguments_; }
  IntType output_type() const { return output_; }
  bool output_is_real() const { return output_is_real_; }
  /// The program with its arguments in place, for kernels.
  const std::vector<BoundStep>& bound_steps() const { return steps_; }
  /// Channels the arguments demand: 1 when all are per tensor.
  int64_t channels() const { return channels_; }

  /// The norm. `channel` indexes per-channel arguments. Error bad_value where the program is
  /// undefined (float to integer out of range, result outside the output type).
  int64_t apply(int64_t acc, int64_t channel, Events& events) const;
  int64_t apply_real(float value, int64_t channel, Events& events) const;
  float apply_to_real(int64_t acc, int64_t channel, Events& events) const;

  /// As apply, with every intermediate.
  std::vector<TracedStep> trace(int64_t acc, int64_t channel) const;
  std::vector<TracedStep> trace_real(float value, int64_t channel) const;

 private:
  struct Value;
  template <class Observer>
  Value evaluate(Value v, int64_t channel, Events& events, Observer&& observe) const;
  int64_t to_output(const Value& v) const;
  std::vector<TracedStep> trace_from(Value v, int64_t channel) const;

  StepProgram program_;
  Arguments arguments_;
  IntType output_;
  bool output_is_real_ = false;
  int64_t channels_ = 1;
  std::vector<BoundStep> steps_;
};

}  // namespace facsim::sim
