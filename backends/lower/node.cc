// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/node-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

const quant::QParams& qparams_of(const IntTensor& tensor) {
  if (!tensor.qparams) {
    throw Error(
        {ErrorCode::missing_key, "", "tensor \"" + tensor.name + "\" has no scale", "", ""});
  }
  return *tensor.qparams;
}

struct LoweringLine {
  std::string_view op;
  Lowering lowering;
};

constexpr auto kLowerings = std::to_array<LoweringLine>({
#define FACSIM_LOWERING(source, op) {#op, lower_node_##op},
#include "backends/lower/lowerings.def"
#undef FACSIM_LOWERING
});

}  // namespace

const OpRules& NodeView::rules(std::string_view op) const {
  if (node_.inputs.empty() || !tensor(0).qparams) return profile_.rules(op);
  return profile_.rules_for(op, tensor(0).qparams->type);
}

const IntTensor& NodeView::tensor(size_t input) const {
  if (input >= node_.inputs.size() || node_.inputs[input] < 0 ||
      static_cast<size_t>(node_.inputs[input]) >= graph_.tensors.size()) {
    throw Error({ErrorCode::bad_value, "", fmt::format("no input {}", input), "", ""});
  }
  return graph_.tensors[static_cast<size_t>(node_.inputs[input])];
}

const IntTensor& NodeView::output_tensor() const {
  if (node_.output < 0 || static_cast<size_t>(node_.output) >= graph_.tensors.size()) {
    throw Error({ErrorCode::bad_value, "", "no output", "", ""});
  }
  return graph_.tensors[static_cast<size_t>(node_.output)];
}

const quant::QParams& NodeView::qparams(size_t input) const { return qparams_of(tensor(input)); }

const quant::QParams& NodeView::output() const { return qparams_of(output_tensor()); }

const Tensor& NodeView::constant(size_t input) const {
  const IntTensor& t = tensor(input);
  if (!t.data) {
    throw Error({ErrorCode::unsupported, "", "tensor \"" + t.name + "\" is computed",
                 "constant weights and biases", ""});
  }
  return *t.data;
}

LayerBias NodeView::bias(size_t input) const {
  LayerBias bias;
  if (input >= node_.inputs.size()) return bias;
  bias.codes = constant(input);
  if (tensor(input).qparams) bias.qparams = *tensor(input).qparams;
  if (!tensor(input).qparams && bias.codes.dtype() != DType::float32) {
    throw Error(
        {ErrorCode::missing_key, "", "tensor \"" + tensor(input).name + "\" has no scale", "", ""});
  }
  return bias;
}

void NodeView::require_same_qparams() const {
  const quant::QParams& in = qparams(0);
  const quant::QParams& out = output();
  if (in.scale != out.scale || in.zero_point != out.zero_point || in.type != out.type) {
    throw Error({ErrorCode::unsupported, "", "input and output with different scale or zero point",
                 "the same: " + node_.op + " does not change codes", ""});
  }
}

Lowering find_lowering(std::string_view op) {
  const auto found = std::find_if(kLowerings.begin(), kLowerings.end(),
                                  [&](const LoweringLine& line) { return line.op == op; });
  return found == kLowerings.end() ? nullptr : found->lowering;
}

}  // namespace facsim::backends::detail
