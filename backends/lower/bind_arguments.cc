// SPDX-License-Identifier: Apache-2.0
// What a layer gives to the arguments that its program names.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

using sim::Operand;
using sim::Step;
using sim::StepKind;

/// What one unit of the running value means in real numbers when a step is reached.
enum class Unit { accumulator, real, output };

class ArgumentBinder {
 public:
  ArgumentBinder(const sim::StepProgram& program, const OpRules& rules, const LayerValues& values)
      : program_(program), rules_(rules), values_(values) {}

  sim::Arguments bind() {
    for (const Step& step : program_.steps) {
      add(step.a, step.kind);
      follow_unit(step);
      add(step.b, step.kind);
    }
    return std::move(arguments_);
  }

 private:
  void add(const Operand& operand, StepKind kind) {
    if (operand.kind != Operand::Kind::argument) return;
    if (sim::takes_real(kind)) {
      arguments_.reals[operand.argument] = real_argument(operand.argument);
    } else if (operand.argument == "offset") {
      add_offset(kind);
    } else if (!arguments_.integers.contains(operand.argument)) {
      add_integer(operand.argument);
    }
  }

  void follow_unit(const Step& step) {
    if (step.kind == StepKind::fmul && step.a == Operand::arg("scale")) unit_ = Unit::output;
    if (step.kind == StepKind::fmul && step.a == Operand::arg("accumulator_scale")) {
      unit_ = Unit::real;
    }
    if (step.kind == StepKind::fdiv && step.a == Operand::arg("output_scale")) unit_ = Unit::output;
    if (step.kind == StepKind::fmul && step.a == Operand::arg("output_scale_reciprocal")) {
      unit_ = Unit::output;
    }
  }

  std::vector<float> real_argument(const std::string& name) const {
    const auto zero_point = static_cast<float>(values_.zero_point);
    const auto low = static_cast<float>(values_.clamp.min);
    const auto high = static_cast<float>(values_.clamp.max);
    if (name == "zero_point") return {zero_point};
    if (name == "clamp_min") return {low};
    if (name == "clamp_max") return {high};
    if (name == "clamp_min_minus_zero_point") {
      return {static_cast<float>(minus_zero_point(values_.clamp.min, values_.zero_point))};
    }
    if (name == "clamp_max_minus_zero_point") {
      return {static_cast<float>(minus_zero_point(values_.clamp.max, values_.zero_point))};
    }
    if (name == "activation_min" || name == "activation_max") return real_activation_bound(name);
    if (values_.given != nullptr) return given_scale(name);
    if (name == "output_scale") return {values_.output_scale};
    if (name == "output_scale_reciprocal") return {1.0f / values_.output_scale};
    if (name == "accumulator_scale") return values_.accumulator_scale;
    if (name == "bias") return bias_in_unit();
    if (name == "scale") {
      std::vector<float> scale(values_.real_multiplier.size());
      std::transform(values_.real_multiplier.begin(), values_.real_multiplier.end(), scale.begin(),
                     [](double real) { return static_cast<float>(real); });
      return scale;
    }
    return unknown(name);
  }

  std::vector<float> bias_in_unit() const {
    std::vector<float> bias = values_.bias;
    if (unit_ == Unit::real) return bias;
    const std::vector<float>& scales = values_.accumulator_scale;
    if (unit_ == Unit::accumulator && bias.size() == 1) bias.resize(scales.size(), bias.front());
    for (size_t c = 0; c < bias.size(); ++c) {
      const float unit =
          unit_ == Unit::output ? values_.output_scale : scales[scales.size() == 1 ? 0 : c];
      bias[c] = bias[c] / unit;
    }
    return bias;
  }

  /// A real bound in the unit of the value at this step; what does not exist is out of reach.
  std::vector<float> real_activation_bound(const std::string& name) const {
    const float bound = name == "activation_min" ? values_.activation_min : values_.activation_max;
    if (std::isinf(bound)) return {std::copysign(std::numeric_limits<float>::max(), bound)};
    if (unit_ == Unit::real) return {bound};
    if (unit_ == Unit::output) return {bound / values_.output_scale};
    std::vector<float> bounds = values_.accumulator_scale;
    for (float& value : bounds) value = bound / value;
    return bounds;
  }

  /// The same in steps of the accumulator, within its width.
  std::vector<int64_t> integer_activation_bound(const std::string& name) const {
    const bool low = name == "activation_min";
    const sim::Accumulator& accumulator = rules_.accumulator;
    const float bound = low ? values_.activation_min : values_.activation_max;
    if (std::isinf(bound)) return {low ? accumulator.min() : accumulator.max()};
    std::vector<int64_t> bounds;
    for (const float unit : values_.accumulator_scale) {
      const double steps = sim::round_real(rules_.activation_bound_rounding,
                                           static_cast<double>(bound) / static_cast<double>(unit));
      bounds.push_back(static_cast<int64_t>(
          std::clamp(steps, static_cast<double>(std::max(accumulator.min(), -(int64_t{1} << 53))),
                     static_cast<double>(std::min(accumulator.max(), int64_t{1} << 53)))));
    }
    return bounds;
  }

  void add_integer(const std::string& name) {
    if (name == "activation_min" || name == "activation_max") {
      arguments_.integers[name] = integer_activation_bound(name);
      return;
    }
    if (name == "multiplier" || name == "shift" || name == "left_shift") return add_multiplier();
    arguments_.integers[name] = {integer_argument(name)};
  }

  /// The output zero point in accumulator units, zero_point / real multiplier: added before the
  /// scaling (gemmlowp result_offset), or subtracted with the other sign (NVDLA).
  void add_offset(StepKind kind) {
    const std::vector<int64_t>& rows = values_.folded_zero_points;
    const size_t multipliers = values_.given != nullptr ? values_.given->multiplier.size()
                                                        : values_.real_multiplier.size();
    if (multipliers == 0) given_scale("multiplier");
    const size_t channels = std::max(multipliers, rows.size());  // one holds for all rows
    std::vector<int64_t>& offset = arguments_.integers["offset"];
    offset.clear();
    for (size_t c = 0; c < channels; ++c) {
      const size_t own = multipliers == 1 ? 0 : c;
      const quant::Multiplier m = multiplier_of(own);
      const double real = values_.given != nullptr
                              ? std::ldexp(static_cast<double>(m.multiplier), -m.shift)
                              : values_.real_multiplier[own];
      const int64_t zero_point = rows.empty() ? values_.zero_point : rows[rows.size() == 1 ? 0 : c];
      const double steps = static_cast<double>(zero_point) / real;
      if (zero_point != 0 && !(std::abs(steps) < 0x1p53)) {
        throw Error({ErrorCode::unsupported, fmt::format("channel {}", c),
                     fmt::format("zero point {} at multiplier {}", zero_point, real),
                     "an offset that the accumulator holds", ""});
      }
      const double rounded = zero_point == 0 ? 0 : sim::round_real(rules_.bias.rounding, steps);
      offset.push_back(static_cast<int64_t>(kind == StepKind::sub ? -rounded : rounded));
    }
  }

  int64_t integer_argument(const std::string& name) const {
    if (name == "zero_point") return values_.zero_point;
    if (name == "clamp_min") return values_.clamp.min;
    if (name == "clamp_max") return values_.clamp.max;
    if (name == "clamp_min_minus_zero_point")
      return minus_zero_point(values_.clamp.min, values_.zero_point);
    if (name == "clamp_max_minus_zero_point")
      return minus_zero_point(values_.clamp.max, values_.zero_point);
    unknown(name);
    return 0;
  }

  /// multiplier, shift and left_shift at once.
  void add_multiplier() {
    int64_t constant_shift = 0;
    bool has_left_shift = false;
    for (const Step& step : program_.steps) {
      if (step.kind == StepKind::shl || step.kind == StepKind::shr) {
        const int64_t sign = step.kind == StepKind::shr ? 1 : -1;
        if (step.a.kind == Operand::Kind::integer) constant_shift += sign * step.a.integer;
        has_left_shift |= step.a == Operand::arg("left_shift");
      }
    }
    std::vector<int64_t> multiplier, shift, left_shift;
    if (values_.given != nullptr && values_.given->multiplier.empty()) given_scale("multiplier");
    const size_t channels = values_.given != nullptr ? values_.given->multiplier.size()
                                                     : values_.real_multiplier.size();
    for (size_t c = 0; c < channels; ++c) {
      const quant::Multiplier derived = multiplier_of(c);
      check_shift(derived, c);
      const int64_t rest = derived.shift - constant_shift;
      if ((rest < 0 && !has_left_shift) || rest > 62 || rest < -62) {
        throw Error({ErrorCode::unsupported, fmt::format("channel {}", c),
                     fmt::format("whole right shift {}", derived.shift),
                     fmt::format("{}..{} under this profile",
                                 constant_shift - (has_left_shift ? 62 : 0), constant_shift + 62),
                     "the real multiplier is too large or too small"});
      }
      multiplier.push_back(derived.multiplier);
      shift.push_back(std::max<int64_t>(rest, 0));
      left_shift.push_back(std::max<int64_t>(-rest, 0));
    }
    arguments_.integers["multiplier"] = std::move(multiplier);
    arguments_.integers["shift"] = std::move(shift);
    arguments_.integers["left_shift"] = std::move(left_shift);
  }

  quant::Multiplier multiplier_of(size_t channel) const {
    if (values_.given != nullptr) {
      const auto& shifts = values_.given->shift;
      return quant::reduce_multiplier({values_.given->multiplier[channel],
                                       static_cast<int>(shifts[shifts.size() == 1 ? 0 : channel])},
                                      rules_.multiplier);
    }
    return quant::derive_multiplier(values_.real_multiplier[channel], rules_.multiplier);
  }

  void check_shift(const quant::Multiplier& derived, size_t channel) const {
    if (derived.multiplier == 0) return;
    if (derived.shift >= rules_.min_shift && derived.shift <= rules_.max_shift) return;
    throw Error({ErrorCode::unsupported, fmt::format("channel {}", channel),
                 fmt::format("right shift {}", derived.shift),
                 fmt::format("{}..{} (profile /domain)", rules_.min_shift, rules_.max_shift),
                 "the scales of input, weights and output are too far apart"});
  }

  std::vector<float> given_scale(const std::string& name) const {
    if (name == "scale" && !values_.given->scale.empty()) return values_.given->scale;
    throw Error({ErrorCode::unsupported, "requantize", "no \"" + name + "\" was given",
                 "the values that the profile's program uses", ""});
  }

  std::vector<float> unknown(const std::string& name) const {
    throw Error({ErrorCode::unsupported, "requantize", "argument \"" + name + "\"",
                 "an argument of a layer", ""});
  }

  const sim::StepProgram& program_;
  const OpRules& rules_;
  const LayerValues& values_;
  sim::Arguments arguments_;
  Unit unit_ = Unit::accumulator;
};

}  // namespace

sim::StepProgram program_for(const OpRules& rules, sim::IntType output) {
  sim::StepProgram program = rules.requantize;
  for (const size_t index : rules.output_steps) program.steps[index].type = output;
  return program;
}

sim::Arguments bind_arguments(const sim::StepProgram& program, const OpRules& rules,
                              const LayerValues& values) {
  return ArgumentBinder(program, rules, values).bind();
}

sim::Requantizer bind(const OpRules& rules, const LayerValues& values) {
  require_program(rules);
  sim::StepProgram program = program_for(rules, values.output);
  sim::Arguments arguments = bind_arguments(program, rules, values);
  return sim::Requantizer(std::move(program), std::move(arguments), values.output);
}

sim::Requantizer bind_after(std::vector<sim::Step> prefix, const OpRules& rules,
                            const LayerValues& values) {
  require_program(rules);
  sim::StepProgram program = program_for(rules, values.output);
  sim::Arguments arguments = bind_arguments(program, rules, values);
  program.steps.insert(program.steps.begin(), prefix.begin(), prefix.end());
  return sim::Requantizer(std::move(program), std::move(arguments), values.output);
}

ClampBounds whole_range(sim::IntType type) { return {type.min(), type.max()}; }

bool names_activation(const sim::StepProgram& program) {
  const auto is_bound = [](const Operand& operand) {
    return operand == Operand::arg("activation_min") || operand == Operand::arg("activation_max");
  };
  return std::any_of(program.steps.begin(), program.steps.end(),
                     [&](const Step& step) { return is_bound(step.a) || is_bound(step.b); });
}

void set_activation_bounds(Activation activation, LayerValues& values) {
  switch (activation) {
    case Activation::none:
      return;
    case Activation::relu:
      values.activation_min = 0;
      return;
    case Activation::relu6:
      values.activation_min = 0;
      values.activation_max = 6;
      return;
    case Activation::relu_n1_to_1:
      values.activation_min = -1;
      values.activation_max = 1;
      return;
  }
}

int64_t minus_zero_point(int64_t bound, int64_t zero_point) {
  const sim::int128 difference = sim::int128{bound} - zero_point;
  return static_cast<int64_t>(std::clamp<sim::int128>(difference, INT64_MIN, INT64_MAX));
}

}  // namespace facsim::backends::detail
