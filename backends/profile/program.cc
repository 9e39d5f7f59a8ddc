// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/program-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "backends/profile/profile_fields-internal.h"
#include "backends/text/did_you_mean.h"
#include "sim/core/check.h"

namespace facsim::backends::detail {

sim::Rounding rounding_of(const Json& word) {
  const auto mode = sim::rounding_from_string(word.get_ref<const std::string&>());
  FACSIM_CHECK(mode.has_value());  // the fields were validated
  return *mode;
}

sim::Overflow overflow_of(const Json& word) {
  const auto policy = sim::overflow_from_string(word.get_ref<const std::string&>());
  FACSIM_CHECK(policy.has_value());
  return *policy;
}

namespace {

using sim::IntType;
using sim::Operand;
using sim::Overflow;
using sim::Rounding;
using sim::Step;
using sim::StepKind;

struct StepShape {
  bool takes_real, gives_real;
  bool has_arg, has_bounds, has_rounding, has_type;
};

StepShape shape_of(StepKind kind) {
  switch (kind) {
    case StepKind::shl:
    case StepKind::mul:
    case StepKind::add:
    case StepKind::sub:
      return {false, false, true, false, false, false};
    case StepKind::shr:
    case StepKind::div:
      return {false, false, true, false, true, false};
    case StepKind::resize:
      return {false, false, false, false, false, true};
    case StepKind::clamp:
      return {false, false, false, true, false, false};
    case StepKind::to_f32:
    case StepKind::to_f64:
      return {false, true, false, false, false, false};
    case StepKind::fadd:
    case StepKind::fsub:
    case StepKind::fmul:
    case StepKind::fdiv:
      return {true, true, true, false, false, false};
    case StepKind::fclamp:
      return {true, true, false, true, false, false};
    case StepKind::round:
      return {true, false, false, false, true, false};
  }
  return {};
}

std::optional<StepKind> kind_from_string(const std::string& word) {
  for (const StepKind kind :
       {StepKind::shl, StepKind::shr, StepKind::mul, StepKind::add, StepKind::sub, StepKind::div,
        StepKind::resize, StepKind::clamp, StepKind::to_f32, StepKind::to_f64, StepKind::fadd,
        StepKind::fsub, StepKind::fmul, StepKind::fdiv, StepKind::fclamp, StepKind::round}) {
    if (sim::to_string(kind) == word) return kind;
  }
  return std::nullopt;
}

/// Arguments that are float32 whatever the step, and those that are integers in integer steps.
bool is_real_only(std::string_view name) {
  return name == "scale" || name == "accumulator_scale" || name == "output_scale" ||
         name == "output_scale_reciprocal" || name == "bias";
}
bool is_integer_only(std::string_view name) {
  return name == "multiplier" || name == "shift" || name == "left_shift" || name == "offset";
}

class StepReader {
 public:
  StepReader(const Json& json, std::string pointer, const Report& report)
      : json_(json), pointer_(std::move(pointer)), report_(report) {}

  Step read() {
    const auto kind = kind_from_string(json_["op"].get<std::string>());
    FACSIM_CHECK(kind.has_value());
    Step step{.kind = *kind, .a = {}, .b = {}};
    const StepShape shape = shape_of(*kind);
    if (shape.has_arg) step.a = operand("arg", shape.takes_real);
    if (shape.has_bounds) {
      step.a = operand("min", shape.takes_real);
      step.b = operand("max", shape.takes_real);
      check_order(step);
    }
    if (*kind == StepKind::fmul && json_.contains("addend")) step.b = operand("addend", true);
    if (*kind == StepKind::round && json_.contains("arg")) step.a = operand("arg", true);
    if (shape.has_rounding && needs("rounding")) step.rounding = rounding_of(json_["rounding"]);
    if (shape.has_type && needs("bits")) {
      if (json_["bits"].is_number()) {
        step.type = {json_["bits"].get<int>(), json_.value("signed", true)};
        if (!step.type.is_signed && step.type.bits > 63) {
          report_(pointer_ + "/bits", "64 unsigned bits", "at most 63");
        }
      }
      if (json_.contains("overflow")) step.overflow = overflow_of(json_["overflow"]);
    }
    for (const auto& [key, value] : json_.items()) {
      const bool used = key == "op" || (key == "addend" && *kind == StepKind::fmul) ||
                        (key == "arg" && (shape.has_arg || *kind == StepKind::round)) ||
                        ((key == "min" || key == "max") && shape.has_bounds) ||
                        (key == "rounding" && shape.has_rounding) ||
                        ((key == "bits" || key == "signed" || key == "overflow") && shape.has_type);
      if (!used) {
        report_(json::child(pointer_, key), "\"" + key + "\" has no meaning for this step", "");
      }
    }
    return step;
  }

 private:
  /// Constant bounds of a clamp, in their order.
  void check_order(const Step& step) {
    const bool crossed =
        (step.a.kind == Operand::Kind::integer && step.b.kind == Operand::Kind::integer &&
         step.a.integer > step.b.integer) ||
        (step.a.kind == Operand::Kind::real && step.b.kind == Operand::Kind::real &&
         step.a.real > step.b.real);
    if (crossed) report_(pointer_, "min above max", "min <= max");
  }

  bool needs(const char* key) {
    if (json_.contains(key)) return true;
    report_(pointer_, std::string("step without \"") + key + "\"", "");
    return false;
  }

  Operand operand(const char* key, bool real) {
    if (!needs(key)) return {};
    const Json& value = json_[key];
    const std::string at = pointer_ + "/" + key;
    if (value.is_string()) return argument(value.get<std::string>(), at, real);
    if (real) {
      const auto number = static_cast<float>(value.get<double>());
      const bool is_factor = json_["op"] == "fmul" || json_["op"] == "fdiv";
      if (!std::isfinite(number) || (is_factor && number == 0)) {
        report_(at, shown(value),
                is_factor ? "a finite float32 number, not 0" : "a finite float32 number");
      }
      return Operand::constant_f32(number);
    }
    if (!value.is_number_integer()) {
      report_(at, shown(value), "an integer in an integer step");
      return {};
    }
    const auto number = value.get<int64_t>();
    const bool is_shift = json_["op"] == "shl" || json_["op"] == "shr";
    if (is_shift && (number < 0 || number > 62)) report_(at, shown(value), "a shift in 0..62");
    if (json_["op"] == "div" && number <= 0) report_(at, shown(value), "a divisor > 0");
    return Operand::constant(number);
  }

  Operand argument(const std::string& name, const std::string& at, bool real) {
    std::vector<std::string> names;
    for (const ArgumentName& known : argument_names()) names.push_back(known.name);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      const std::string hint = did_you_mean_hint(name, names);
      report_(at, "unknown argument \"" + name + "\"" + (hint.empty() ? "" : "; " + hint),
              "an argument of a layer");
    } else if (real ? is_integer_only(name) : is_real_only(name)) {
      report_(at, "\"" + name + "\" in " + (real ? "a float32" : "an integer") + " step",
              real ? "a float32 argument" : "an integer argument");
    }
    return Operand::arg(name);
  }

  const Json& json_;
  std::string pointer_;
  const Report& report_;
};

OutputProgram written_steps(const Json& steps, IntType output, const Report& report) {
  OutputProgram out;
  if (steps.empty() || steps.size() > 64) {
    report("/requantize/steps", fmt::format("{} steps", steps.size()), "1..64 steps");
  }
  bool real = false;
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string pointer = fmt::format("/requantize/steps/{}", i);
    Step step = StepReader(steps[i], pointer, report).read();
    const StepShape shape = shape_of(step.kind);
    if (shape.takes_real != real) {
      report(pointer + "/op",
             fmt::format("{} on {} value", sim::to_string(step.kind),
                         real ? "a float32" : "an integer"),
             real ? "round first, or a float32 step" : "to_f32 first, or an integer step");
    }
    real = shape.gives_real;
    if (step.kind == StepKind::resize && steps[i].contains("bits") &&
        steps[i]["bits"].is_string()) {
      step.type = output;
      out.output_steps.push_back(i);
    }
    out.program.steps.push_back(std::move(step));
  }
  if (real) report("/requantize/steps", "the program ends in a float32", "a round step");
  if (out.output_steps.empty()) {
    report("/requantize/steps", "no step brings the value into the output type",
           R"({"op": "resize", "bits": "output"})");
  }
  return out;
}

}  // namespace

OutputProgram read_program(const Json& rules, IntType output, const Report& report) {
  const Json& requantize = rules["requantize"];
  if (requantize.contains("steps") && !requantize["steps"].is_null()) {
    return written_steps(requantize["steps"], output, report);
  }
  return flat_program(rules, output, report);
}

}  // namespace facsim::backends::detail
