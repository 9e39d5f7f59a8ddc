// SPDX-License-Identifier: Apache-2.0
#include "fused/batch_norm_module.h"
#include "fused/fused_linear.h"
#include "fused/network_impl-internal.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused {

namespace {

backends::FloatParameters values_of(const BatchNorm& bn) {
  return {bn.weight.value.clone(), bn.bias.value.clone(), bn.running_mean.value.clone(),
          bn.running_var.value.clone()};
}

backends::FloatParameters values_of(const LinearParts& parts) {
  backends::FloatParameters out;
  out.weight = parts.weight.value.clone();
  if (parts.bias) out.bias = parts.bias->value.clone();
  return out;
}

/// The parts of a fused module, float or QAT; null for another.
const LinearParts* parts_of(const Module& module) {
  if (const auto* linear = dynamic_cast<const FusedLinear*>(&module)) return &linear->parts();
  if (const auto* linear = dynamic_cast<const QatFusedLinear*>(&module)) return &linear->parts();
  return nullptr;
}

}  // namespace

backends::FloatGraph Network::float_graph() const {
  backends::FloatGraph graph = impl_->graph;
  for (const NetworkNode& node : impl_->nodes) {
    const LinearParts* parts = parts_of(*node.module);
    const auto* norm = dynamic_cast<const BatchNormModule*>(node.module.get());
    for (size_t i = 0; i < node.specs.size(); ++i) {
      const backends::FloatNode& spec = node.specs[i];
      graph.nodes.push_back(spec);
      if (parts != nullptr && i == 0) {
        graph.parameters.emplace(spec.name, values_of(*parts));
      } else if (parts != nullptr && parts->bn && spec.op.find("BatchNorm") != std::string::npos) {
        graph.parameters.emplace(spec.name, values_of(*parts->bn));
      } else if (norm != nullptr) {
        graph.parameters.emplace(spec.name, values_of(norm->batch_norm()));
      }
    }
  }
  return graph;
}

}  // namespace facsim::fused
