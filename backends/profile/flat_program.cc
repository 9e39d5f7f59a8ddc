// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <utility>

#include "backends/profile/program-internal.h"
#include "sim/core/check.h"

namespace facsim::backends::detail {

namespace {

using sim::IntType;
using sim::Operand;
using sim::Overflow;
using sim::Rounding;
using sim::StepKind;

/// The flat fields of one op, lowered part by part.
class FlatProgram {
 public:
  FlatProgram(const Json& rules, IntType output, const Report& report)
      : rules_(rules), requantize_(rules["requantize"]), output_(output), report_(report) {}

  OutputProgram fixed_point() {
    integer_begin();
    const Json& left_shift = requantize_["left_shift"];
    if (left_shift["position"] == "before_multiply") {
      step(StepKind::shl, "left_shift");
      resize({left_shift["bits"].get<int>(), true}, overflow_of(left_shift["overflow"]));
    }
    step(StepKind::mul, "multiplier");
    const Json& rounding = requantize_["rounding"];
    if (rounding.is_string()) {
      shr(Operand::arg("shift"), rounding_of(rounding));
    } else {
      stages(rounding);
    }
    if (!requantize_["intermediate_bits"].is_null()) {
      resize({requantize_["intermediate_bits"].get<int>(), true},
             overflow_of(requantize_["intermediate_overflow"]));
    }
    integer_end();
    return std::move(out_);
  }

  OutputProgram shift() {
    integer_begin();
    if (requantize_["multiplier"]["derivation"] != "power_of_two") {
      report_("/requantize/multiplier/derivation",
              requantize_["multiplier"]["derivation"].dump() + " under domain \"shift\"",
              "\"power_of_two\"");
    }
    step(StepKind::shl, "left_shift");
    shr(Operand::arg("shift"), single_rounding());
    integer_end();
    return std::move(out_);
  }

  /// float32 (`convert` to_f32) and float64 (to_f64).
  OutputProgram real(StepKind convert) {
    if (rules_["zero_point_add"] == "folded_before_scale") {
      report_("/zero_point_add", "\"folded_before_scale\" in a float domain",
              "\"after_rounding\" or \"before_rounding\"");
    }
    input_stage();
    if (rules_["activation_order"] == "integer_before_requant") {
      clamp(StepKind::clamp, "activation_min", "activation_max");
    }
    step(convert);
    scale();
    if (!is_combined() && rules_["activation_order"] != "float_before_requant") divide_by_output();
    real_end();
    return std::move(out_);
  }

 private:
  // --- parts ---

  /// acc / 2^shift, rounded, in the requantizer's width.
  void input_stage() {
    const Json& input = requantize_["input"];
    if (input["shift"] != 0) {
      shr(Operand::constant(input["shift"].get<int64_t>()), rounding_of(input["rounding"]));
    }
    if (!input["bits"].is_null()) {
      resize({input["bits"].get<int>(), true}, overflow_of(input["overflow"]));
    }
  }

  void integer_begin() {
    if (rules_["zero_point_add"] == "before_rounding") {
      report_("/zero_point_add", "\"before_rounding\" without a float domain",
              "\"after_rounding\": integer domains have no fraction left to add to");
    }
    if (rules_["activation_order"] == "float_before_requant") {
      report_("/activation_order", "\"float_before_requant\" without a float domain",
              "\"clamp_after_requant\" or \"integer_before_requant\"");
    }
    if (rules_["tensors"]["bias"]["kind"] == "float32" &&
        requantize_["float"]["bias_add"] != "integer_before") {
      report_("/tensors/bias/kind", "a float32 bias without a float domain",
              "\"integer\" or \"none\", or requantize.float.bias_add \"integer_before\"");
    }
    input_stage();
    if (rules_["activation_order"] == "integer_before_requant") {
      clamp(StepKind::clamp, "activation_min", "activation_max");
    }
    if (rules_["zero_point_add"] == "folded_before_scale") {
      step(StepKind::add, "offset");
      const Json& input_bits = requantize_["input"]["bits"];
      const Json& bits = input_bits.is_null() ? rules_["accumulator"]["bits"] : input_bits;
      resize({bits.get<int>(), true}, overflow_of(rules_["accumulator"]["overflow"]));
    }
  }

  void stages(const Json& rounding) {
    int rests = 0;
    for (const Json& stage : rounding) {
      const bool is_rest = stage["shift"].is_string();
      rests += is_rest ? 1 : 0;
      shr(is_rest ? Operand::arg("shift") : Operand::constant(stage["shift"].get<int64_t>()),
          rounding_of(stage["mode"]));
      if (stage.contains("saturate_bits")) {
        resize({stage["saturate_bits"].get<int>(), true}, Overflow::saturate);
      }
    }
    if (rests != 1) {
      report_("/requantize/rounding", fmt::format("{} stages with \"shift\": \"rest\"", rests),
              "exactly one");
    }
  }

  /// add zero_point; resize output; clamp.
  void integer_end() {
    if (rules_["zero_point_add"] != "folded_before_scale") step(StepKind::add, "zero_point");
    resize_to_output();
    clamp(StepKind::clamp, "clamp_min", "clamp_max");
  }

  bool is_combined() const { return requantize_["float"]["scale_factors"] == "combined"; }
  bool fuses() const { return requantize_["float"]["fma"].get<bool>(); }

  /// [fadd bias]; fmul scale or accumulator_scale [; fadd bias], or the last two in one rounding.
  void scale() {
    const Json& form = requantize_["float"];
    const bool float_bias =
        rules_["tensors"]["bias"]["kind"] == "float32" && form["bias_add"] != "integer_before";
    const bool bias_first = form["bias_add"] == "before_scale";
    const char* factor = is_combined() ? "scale" : "accumulator_scale";
    if (float_bias && bias_first) step(StepKind::fadd, "bias");
    const bool fuses_bias = fuses() && float_bias && !bias_first;
    const bool fuses_zero_point = fuses() && !fuses_bias && is_combined() &&
                                  rules_["activation_order"] != "float_before_requant" &&
                                  rules_["zero_point_add"] == "before_rounding";
    step(StepKind::fmul, factor);
    if (fuses_bias) out_.program.steps.back().b = Operand::arg("bias");
    if (fuses_zero_point) out_.program.steps.back().b = Operand::arg("zero_point");
    zero_point_is_added_ = fuses_zero_point;
    if (float_bias && !bias_first && !fuses_bias) step(StepKind::fadd, "bias");
    if (rules_["activation_order"] != "float_before_requant") return;
    clamp(StepKind::fclamp, "activation_min", "activation_max");
    if (!is_combined()) divide_by_output();
  }

  void divide_by_output() {
    const bool reciprocal = requantize_["float"]["reciprocal"].get<bool>();
    step(reciprocal ? StepKind::fmul : StepKind::fdiv,
         reciprocal ? "output_scale_reciprocal" : "output_scale");
  }

  void real_end() {
    const bool before = rules_["zero_point_add"] == "before_rounding";
    const bool clamps_before = requantize_["float"]["clamp"] == "before_round";
    if (before && !zero_point_is_added_) step(StepKind::fadd, "zero_point");
    if (clamps_before) {
      clamp(StepKind::fclamp, before ? "clamp_min" : "clamp_min_minus_zero_point",
            before ? "clamp_max" : "clamp_max_minus_zero_point");
    }
    round();
    if (!before) step(StepKind::add, "zero_point");
    resize_to_output();
    if (!clamps_before) clamp(StepKind::clamp, "clamp_min", "clamp_max");
  }

  void round() {
    const Rounding rounding = single_rounding();
    const bool adds_half = requantize_["float"]["round_impl"] == "add_half_truncate";
    out_.program.steps.push_back({.kind = StepKind::round,
                                  .a = adds_half ? Operand::constant_f32(0.5f) : Operand{},
                                  .b = {},
                                  .rounding = adds_half ? Rounding::toward_zero : rounding});
  }

  /// The single rounding mode that the shift and float domains need.
  Rounding single_rounding() {
    if (requantize_["rounding"].is_string()) return rounding_of(requantize_["rounding"]);
    report_("/requantize/rounding",
            "a list of stages under domain \"" + requantize_["domain"].get<std::string>() + "\"",
            "one rounding mode");
    return Rounding::half_even;
  }

  // --- steps ---

  void step(StepKind kind) { out_.program.steps.push_back({.kind = kind, .a = {}, .b = {}}); }
  void step(StepKind kind, const char* argument) {
    out_.program.steps.push_back({.kind = kind, .a = Operand::arg(argument), .b = {}});
  }
  void shr(Operand count, Rounding rounding) {
    out_.program.steps.push_back(
        {.kind = StepKind::shr, .a = std::move(count), .b = {}, .rounding = rounding});
  }
  void clamp(StepKind kind, const char* low, const char* high) {
    out_.program.steps.push_back({.kind = kind, .a = Operand::arg(low), .b = Operand::arg(high)});
  }
  void resize(IntType type, Overflow overflow) {
    out_.program.steps.push_back(
        {.kind = StepKind::resize, .a = {}, .b = {}, .type = type, .overflow = overflow});
  }
  void resize_to_output() {
    out_.output_steps.push_back(out_.program.steps.size());
    resize(output_, overflow_of(rules_["output"]["overflow"]));
  }

  const Json& rules_;
  const Json& requantize_;
  IntType output_;
  const Report& report_;
  OutputProgram out_;
  bool zero_point_is_added_ = false;
};

/// Domains that no step program is: their ops name an algorithm, and lowering refuses the rest.
OutputProgram no_program(IntType output) {
  OutputProgram out;
  out.program.steps.push_back({.kind = StepKind::resize, .a = {}, .b = {}, .type = output});
  out.output_steps = {0};
  return out;
}

}  // namespace

OutputProgram flat_program(const Json& rules, IntType output, const Report& report) {
  const Json& domain = rules["requantize"]["domain"];
  FlatProgram flat(rules, output, report);
  if (domain == "shift") return flat.shift();
  if (domain == "float32") return flat.real(StepKind::to_f32);
  if (domain == "float64") return flat.real(StepKind::to_f64);
  if (domain == "threshold" || domain == "lut") return no_program(output);
  return flat.fixed_point();
}

}  // namespace facsim::backends::detail
