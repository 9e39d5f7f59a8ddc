// SPDX-License-Identifier: Apache-2.0
// add, pools, relu, quantize, requantize and bare requantization as TFLite, TFLite Micro and
// CMSIS-NN record them.
#include <array>

#include "backends/lower/requantize-internal.h"
#include "backends/lower/tensor_ops.h"
#include "backends/parity/vectors_tflite-internal.h"
#include "sim/ops/add.h"
#include "sim/ops/map.h"
#include "sim/ops/max_pool2d.h"

namespace facsim::backends::detail {

namespace {

quant::QParams with_clamp(quant::QParams qparams, const ClampBounds& clamp) {
  qparams.quant_min = clamp.min;
  qparams.quant_max = clamp.max;
  return qparams;
}

/// One multiplier and TFLite shift of the case, for codes of `output`.
GivenMultiplier read_given(const CaseData& data, const std::string& prefix, int64_t zero_point,
                           const ClampBounds& clamp, sim::IntType output) {
  return given_multiplier({data.integer(prefix + "multiplier")}, {data.integer(prefix + "shift")},
                          zero_point, clamp, output);
}

/// (q - zero_point) * 2^left_shift, then the rules' program with a given multiplier.
sim::Requantizer after_zero_point(const OpRules& rules, int64_t zero_point, int64_t left_shift,
                                  const GivenMultiplier& given) {
  check_given(rules, given);
  std::vector<sim::Step> prefix = {
      make_step(sim::StepKind::sub, sim::Operand::constant(zero_point))};
  if (left_shift != 0) {
    prefix.push_back(make_step(sim::StepKind::shl, sim::Operand::constant(left_shift)));
  }
  LayerValues values;
  values.given = &given;
  values.zero_point = given.zero_point;
  values.clamp = given.clamp;
  values.output = given.output;
  return bind_after(std::move(prefix), rules, values);
}

/// True if the case's multipliers are those that the rules derive from its scales. A recording made
/// with multipliers of another origin (a converter, another precision) says nothing about the
/// derivation: then only the arithmetic after it is compared.
bool has_derived_multipliers(const CaseData& data, const OpRules& rules) {
  if (!data.has("in1_scale") || !data.has("in2_scale") || !data.has("output_scale")) return false;
  if (rules.algorithm != "scaled_add") return true;
  const std::array<double, 3> real = detail::scaled_add_multipliers(
      rules, data.real("in1_scale"), data.real("in2_scale"), data.real("output_scale"));
  const std::array<std::string, 3> prefixes = {"in1_", "in2_", "out_"};
  for (size_t i = 0; i < prefixes.size(); ++i) {
    const quant::Multiplier derived = quant::derive_multiplier(real[i], rules.multiplier);
    if (derived.multiplier != data.integer(prefixes[i] + "multiplier") ||
        derived.shift != 31 - data.integer(prefixes[i] + "shift")) {
      return false;
    }
  }
  return true;
}

/// TFLite reference/integer_ops/add.h: both inputs shifted left and scaled, summed, scaled.
std::vector<Computed> add_or_sub(const CaseRun& run, std::string_view kind) {
  const CaseData& data = run.data;
  const Tensor& lhs = data.array("input1");
  const Tensor& rhs = data.array("input2");
  const sim::IntType output_type = code_type(data.golden());
  const int64_t z1 = data.integer("in1_zero_point", 0);
  const int64_t z2 = data.integer("in2_zero_point", 0);
  const int64_t zo = data.integer("output_zero_point", 0);
  const ClampBounds clamp = read_clamp(data);
  const OpRules& rules = run.profile.rules_for(kind, code_type(lhs));
  require_type("input1", code_type(lhs), rules.activation_types);
  require_type("input2", code_type(rhs), rules.activation_types);
  require_type("output", output_type, rules.activation_types);
  const auto compute = [&](const sim::Op& op) {
    return execute(op, {&lhs, &rhs}, data.golden().shape(), run.context);
  };
  return given_and_derived(
      has_derived_multipliers(data, rules),
      [&] {
        const int64_t left_shift = data.integer("left_shift");
        if (left_shift < 0 || left_shift > 30) {
          data.fail("left_shift", std::to_string(left_shift), "0..30");
        }
        const auto input = [&](const std::string& prefix, int64_t zero_point) {
          const GivenMultiplier given =
              read_given(data, prefix, 0, whole_range(sim::kInt32), sim::kInt32);
          return after_zero_point(rules, zero_point, left_shift, given);
        };
        return compute(
            sim::Add({code_type(lhs), code_type(rhs), input("in1_", z1), input("in2_", z2),
                      make_requantizer(rules, read_given(data, "out_", zo, clamp, output_type)),
                      kind == "add" ? sim::AddParams::Kind::add : sim::AddParams::Kind::sub}));
      },
      [&] {
        const auto lower = kind == "add" ? lower_add : lower_sub;
        return compute(*lower(
            run.profile, tensor_qparams(data.real("in1_scale"), z1, code_type(lhs)),
            tensor_qparams(data.real("in2_scale"), z2, code_type(rhs)),
            tensor_qparams(data.real("output_scale"), zo, output_type), read_activation(data)));
      });
}

std::vector<Computed> add(const CaseRun& run) { return add_or_sub(run, "add"); }
std::vector<Computed> sub(const CaseRun& run) { return add_or_sub(run, "sub"); }

/// TFLite reference/integer_ops/mul.h.
std::vector<Computed> mul(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& lhs = data.array("input1");
  const Tensor& rhs = data.array("input2");
  const sim::IntType output_type = code_type(data.golden());
  const int64_t zo = data.integer("output_zero_point", 0);
  const auto operand = [&](const std::string& prefix, float scale, const Tensor& codes) {
    return tensor_qparams(scale, data.integer(prefix + "zero_point", 0), code_type(codes));
  };
  const auto compute = [&](sim::MulParams params) {
    return execute(sim::Mul(std::move(params)), {&lhs, &rhs}, data.golden().shape(), run.context);
  };
  return given_and_derived(
      data.has("in1_scale") && data.has("in2_scale") && data.has("output_scale"),
      [&] {
        sim::MulParams params =
            lower_mul(run.profile, operand("in1_", 1.0f, lhs), operand("in2_", 1.0f, rhs),
                      tensor_qparams(1.0f, zo, output_type), Activation::none);
        params.requantize =
            make_requantizer(run.profile.rules_for("mul", code_type(lhs)),
                             read_given(data, "out_", zo, read_clamp(data), output_type));
        return compute(std::move(params));
      },
      [&] {
        return compute(lower_mul(run.profile, operand("in1_", data.real("in1_scale"), lhs),
                                 operand("in2_", data.real("in2_scale"), rhs),
                                 tensor_qparams(data.real("output_scale"), zo, output_type),
                                 read_activation(data)));
      });
}

/// Codes keep their scale, which the case does not tell: 1 stands for it, and act_min, a code that
/// exists, for the zero point.
quant::QParams pool_qparams(const CaseData& data, const ClampBounds& clamp) {
  return with_clamp(tensor_qparams(1.0f, clamp.min, code_type(data.array("input"))), clamp);
}

std::vector<Computed> average_pool2d(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  data.require_layout("data_layout", "NHWC");
  const sim::Window2d window =
      read_window(data, data.steps("kernel"), input.shape(), data.golden().shape());
  const quant::QParams qparams = pool_qparams(data, read_clamp(data));
  const auto op = lower_avg_pool2d(run.profile, window, false, false, qparams, qparams,
                                   Activation::none, input.shape()[1], input.shape()[2]);
  return {{"", execute(*op, {&input}, data.golden().shape(), run.context)}};
}

std::vector<Computed> max_pool2d(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  data.require_layout("data_layout", "NHWC");
  const OpRules& rules = run.profile.rules("max_pool2d");
  require_type("input", code_type(input), rules.activation_types);
  const ClampBounds clamp = read_clamp(data);
  sim::MaxPool2dParams params;
  params.window = read_window(data, data.steps("kernel"), input.shape(), data.golden().shape());
  params.type = code_type(input);
  params.clamp_min = clamp.min;
  params.clamp_max = clamp.max;
  const sim::MaxPool2d op(std::move(params));
  return {{"", execute(op, {&input}, data.golden().shape(), run.context)}};
}

/// requantize, relu: (q - z) times a multiplier.
std::vector<Computed> requantize_as(const CaseRun& run, const std::string& kind,
                                    Activation activation) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  const sim::IntType input_type = code_type(input);
  const sim::IntType output_type = code_type(data.golden());
  const int64_t zi = data.integer("input_zero_point", 0);
  const int64_t zo = data.integer("output_zero_point", 0);
  const OpRules& rules = run.profile.rules(kind);
  require_type("input", input_type, rules.activation_types);
  require_type("output", output_type, rules.activation_types);
  const auto compute = [&](const sim::Op& op) {
    return execute(op, {&input}, data.golden().shape(), run.context);
  };
  return given_and_derived(
      data.has("input_scale") && data.has("output_scale"),
      [&] {
        sim::MapParams params;
        params.kind = kind;
        params.input_dtype = input.dtype();
        params.requantize =
            after_zero_point(rules, zi, 0, read_given(data, "", zo, read_clamp(data), output_type));
        return compute(sim::Map(std::move(params)));
      },
      [&] {
        return compute(*lower_requantize(
            run.profile, kind, tensor_qparams(data.real("input_scale"), zi, input_type),
            tensor_qparams(data.real("output_scale"), zo, output_type), activation));
      });
}

std::vector<Computed> requantize(const CaseRun& run) {
  return requantize_as(run, "requantize", Activation::none);
}

std::vector<Computed> relu(const CaseRun& run) {
  return requantize_as(run, "relu", Activation::relu);
}

/// TFLite Micro's relu6 keeps the scale: a clamp to codes.
std::vector<Computed> relu6(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  const ClampBounds clamp = read_clamp(data);
  const quant::QParams qparams = with_clamp(
      tensor_qparams(1.0f, data.integer("input_zero_point", 0), code_type(input)), clamp);
  const auto op = lower_requantize(run.profile, "relu6", qparams, qparams, Activation::none);
  return {{"", execute(*op, {&input}, data.golden().shape(), run.context)}};
}

std::vector<Computed> quantize(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  const quant::QParams output =
      with_clamp(tensor_qparams(data.real("output_scale"), data.integer("output_zero_point", 0),
                                code_type(data.golden())),
                 read_clamp(data));
  const auto op = lower_quantize(run.profile, output);
  return {{"", execute(*op, {&input}, data.golden().shape(), run.context)}};
}

/// The bare requantization of a convolution, one multiplier and shift per row; int32 out, no clamp.
std::vector<Computed> requant_scalar(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& x = data.array("x");
  // 64-bit accumulators are those of int16 activations.
  const OpRules& rules =
      run.profile.rules_for("conv2d", code_type(x).bits > 32 ? sim::kInt16 : sim::kInt8);
  require_type("accumulator", code_type(x), {rules.accumulator.type()});
  const GivenMultiplier given =
      given_multiplier(integers_of(data.array("multiplier")), integers_of(data.array("shift")), 0,
                       whole_range(sim::kInt32), sim::kInt32);
  if (x.shape() != data.golden().shape() || x.shape().rank() != 1 ||
      given.multiplier.size() != static_cast<size_t>(x.numel())) {
    throw Error({ErrorCode::shape_mismatch, "x", to_string(x.shape()),
                 "a vector, as multiplier, shift and golden", ""});
  }
  const sim::Requantizer requantizer = make_requantizer(rules, given);
  Tensor output(DType::int32, x.shape());
  sim::Events events;
  for (int64_t i = 0; i < x.numel(); ++i) {
    output.set_int(i, requantizer.apply(x.int_at(i), i, events));
  }
  return {{"", std::move(output)}};
}

constexpr std::array<AdapterEntry, 10> kTfliteElementwise{{
    {"add", add},
    {"sub", sub},
    {"mul", mul},
    {"average_pool2d", average_pool2d},
    {"max_pool2d", max_pool2d},
    {"requantize", requantize},
    {"relu", relu},
    {"relu6", relu6},
    {"quantize", quantize},
    {"requant_scalar", requant_scalar},
}};

}  // namespace

std::span<const AdapterEntry> tflite_elementwise_adapters() { return kTfliteElementwise; }

}  // namespace facsim::backends::detail
