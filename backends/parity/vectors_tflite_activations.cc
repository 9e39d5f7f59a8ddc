// SPDX-License-Identifier: Apache-2.0
// softmax, sigmoid, tanh, hard_swish, leaky_relu and prelu as TFLite Micro and CMSIS-NN record
// them.
#include <array>
#include <cmath>

#include "backends/lower/activations.h"
#include "backends/lower/requantize-internal.h"
#include "backends/parity/vectors_tflite-internal.h"

namespace facsim::backends::detail {

namespace {

GivenMultiplier named_multiplier(const CaseData& data, const std::string& multiplier,
                                 const std::string& shift, const ClampBounds& clamp,
                                 sim::IntType output) {
  return given_multiplier({data.integer(multiplier)}, {data.integer(shift)},
                          data.integer("output_zero_point", 0), clamp, output);
}

/// One operand: an op that takes the case's "input", by given or derived parameters.
template <class Given, class Derived>
std::vector<Computed> unary_case(const CaseRun& run, bool has_scales, Given given,
                                 Derived derived) {
  const Tensor& input = run.data.array("input");
  const auto compute = [&](const sim::Op& op) {
    return execute(op, {&input}, run.data.golden().shape(), run.context);
  };
  return given_and_derived(
      has_scales, [&] { return compute(given()); }, [&] { return compute(*derived()); });
}

/// Generated tables must be the ones the case carries.
void require_table(const CaseData& data, std::string_view role, const sim::SoftmaxTable& table) {
  const Tensor& recorded = data.array(role);
  if (recorded.dtype() != DType::int16 || recorded.numel() != static_cast<int64_t>(table.size())) {
    data.fail(role, to_string(recorded.shape()), "513 int16");
  }
  for (size_t i = 0; i < table.size(); ++i) {
    const int64_t found = recorded.int_at(static_cast<int64_t>(i));
    if (found == table[i]) continue;
    data.fail(role, "entry " + std::to_string(i) + " is " + std::to_string(found),
              std::to_string(table[i]));
  }
}

std::vector<Computed> softmax(const CaseRun& run) {
  const CaseData& data = run.data;
  const sim::IntType input_type = code_type(data.array("input"));
  const sim::IntType output_type = code_type(data.golden());
  const bool by_lut = data.find({"exp_lut"}) != nullptr;
  const OpRules& rules = run.profile.rules_for("softmax", input_type);
  require_type("input", input_type, rules.activation_types);
  if (by_lut) {
    require_table(data, "exp_lut", sim::softmax_exp_table());
    require_table(data, "one_over_one_plus_x_lut", sim::softmax_reciprocal_table());
  }
  return unary_case(
      run, data.has("input_scale") && data.has("beta"),
      [&] {
        sim::SoftmaxParams params;
        params.input_type = input_type;
        params.output_type = output_type;
        if (by_lut) params.algorithm = sim::SoftmaxParams::Algorithm::lut513;
        if (!by_lut) params.difference_min = data.integer("diff_min");
        params.scale =
            scale_program(rules, named_multiplier(data, "input_multiplier",
                                                  by_lut ? "input_shift" : "input_left_shift",
                                                  whole_range(sim::kInt32), sim::kInt32));
        return sim::Softmax(std::move(params));
      },
      [&] {
        const float output_scale = std::ldexp(1.0f, by_lut ? -15 : -output_type.bits);
        return lower_softmax(
            run.profile, tensor_qparams(data.real("input_scale"), 0, input_type),
            tensor_qparams(output_scale, data.integer("output_zero_point"), output_type),
            data.real("beta"));
      });
}

std::vector<Computed> sigmoid_case(const CaseRun& run, std::string_view op) {
  const CaseData& data = run.data;
  const sim::IntType type = code_type(data.array("input"));
  const int64_t zero_point = data.integer("input_zero_point");
  const OpRules& rules = run.profile.rules_for(op, type);
  require_type("input", type, rules.activation_types);
  return unary_case(
      run, data.has("input_scale") && data.has("output_scale"),
      [&] {
        sim::SigmoidParams params;
        if (op == "tanh") params.function = sim::SigmoidParams::Function::tanh;
        params.type = type;
        params.zero_point = zero_point;
        if (data.has("input_range_radius")) {
          params.radius = data.integer("input_range_radius");
          params.scale =
              scale_program(rules, named_multiplier(data, "input_multiplier", "input_shift",
                                                    whole_range(sim::kInt32), sim::kInt32));
        } else {
          params.algorithm = sim::SigmoidParams::Algorithm::table_u16;
          params.scale =
              table_scale(data.integer("input_multiplier"), data.integer("input_right_shift"));
        }
        return sim::Sigmoid(std::move(params));
      },
      [&] {
        return lower_sigmoid(
            run.profile, op, tensor_qparams(data.real("input_scale"), zero_point, type),
            tensor_qparams(data.real("output_scale"), data.integer("output_zero_point"), type));
      });
}

std::vector<Computed> logistic(const CaseRun& run) { return sigmoid_case(run, "sigmoid"); }
std::vector<Computed> tanh(const CaseRun& run) { return sigmoid_case(run, "tanh"); }

std::vector<Computed> hard_swish(const CaseRun& run) {
  const CaseData& data = run.data;
  const sim::IntType type = code_type(data.array("input"));
  const auto small = [&](const char* attribute) {
    const int64_t value = data.integer(attribute);
    if (value < INT16_MIN || value > INT16_MAX) {
      data.fail(attribute, std::to_string(value), "a number of 16 bits");
    }
    return static_cast<int32_t>(value);
  };
  return unary_case(
      run, data.has("input_scale") && data.has("output_scale"),
      [&] {
        require_type("input", type, run.profile.rules_for("hard_swish", type).activation_types);
        sim::HardSwishParams params;
        params.type = type;
        params.input_zero_point = data.integer("input_zero_point");
        params.output_zero_point = data.integer("output_zero_point");
        params.output_multiplier = small("output_multiplier_s16");
        params.output_exponent = small("output_exponent");
        params.reluish_multiplier = small("reluish_multiplier_s16");
        params.reluish_exponent = small("reluish_exponent");
        return sim::HardSwish(params);
      },
      [&] {
        return lower_hard_swish(
            run.profile,
            tensor_qparams(data.real("input_scale"), data.integer("input_zero_point"), type),
            tensor_qparams(data.real("output_scale"), data.integer("output_zero_point"), type));
      });
}

std::vector<Computed> leaky_relu(const CaseRun& run) {
  const CaseData& data = run.data;
  const sim::IntType type = code_type(data.array("input"));
  const sim::IntType output_type = code_type(data.golden());
  const int64_t zero_point = data.integer("input_zero_point", 0);
  const OpRules& rules = run.profile.rules_for("leaky_relu", type);
  require_type("input", type, rules.activation_types);
  const auto program = [&](const char* multiplier, const char* shift) {
    return make_requantizer(
        rules, named_multiplier(data, multiplier, shift, read_clamp(data), output_type));
  };
  return unary_case(
      run, data.has("input_scale") && data.has("output_scale") && data.has("alpha"),
      [&] {
        return sim::LeakyRelu({type, zero_point, program("multiplier_identity", "shift_identity"),
                               program("multiplier_alpha", "shift_alpha")});
      },
      [&] {
        return lower_leaky_relu(run.profile,
                                tensor_qparams(data.real("input_scale"), zero_point, type),
                                tensor_qparams(data.real("output_scale"),
                                               data.integer("output_zero_point", 0), output_type),
                                data.real("alpha"));
      });
}

std::vector<Computed> prelu(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  const Tensor& alpha = data.array("alpha");
  const sim::IntType output_type = code_type(data.golden());
  sim::PreluParams params;
  params.input_type = code_type(input);
  params.alpha_type = code_type(alpha);
  params.zero_point = data.integer("input_zero_point", 0);
  params.alpha_zero_point = data.integer("alpha_zero_point", 0);
  const OpRules& rules = run.profile.rules_for("prelu", params.input_type);
  require_type("input", params.input_type, rules.activation_types);
  const auto program = [&](const char* multiplier, const char* shift) {
    return make_requantizer(
        rules, named_multiplier(data, multiplier, shift, read_clamp(data), output_type));
  };
  params.positive = program("multiplier_pos", "shift_pos");
  params.negative = program("multiplier_neg", "shift_neg");
  const sim::Prelu op(std::move(params));
  return {{"", execute(op, {&input, &alpha}, data.golden().shape(), run.context)}};
}

constexpr std::array<AdapterEntry, 6> kTfliteActivations{{
    {"softmax", softmax},
    {"logistic", logistic},
    {"tanh", tanh},
    {"hard_swish", hard_swish},
    {"leaky_relu", leaky_relu},
    {"prelu", prelu},
}};

}  // namespace

std::span<const AdapterEntry> tflite_activation_adapters() { return kTfliteActivations; }

}  // namespace facsim::backends::detail
