// SPDX-License-Identifier: Apache-2.0
#include "sim/graph/graph.h"

#include <algorithm>

#include "backends/graph/int_ops.h"
#include "backends/lower/platform-internal.h"
#include "sim/core/error.h"
#include "sim/ops/constant_inputs.h"

namespace facsim::backends {

namespace {

/// Operands of a two-input op may be constants: the graph gives an op computed tensors only.
std::shared_ptr<const sim::Op> bind_constants(const IntGraph& graph, const IntNode& node,
                                              std::shared_ptr<const sim::Op> op) {
  const IntOp* description = find_int_op(node.op);
  const size_t operands = std::min(description->first_constant, node.inputs.size());
  std::vector<std::optional<Tensor>> constants;
  for (size_t i = 0; i < operands; ++i) {
    constants.push_back(graph.tensors[static_cast<size_t>(node.inputs[i])].data);
  }
  if (std::none_of(constants.begin(), constants.end(),
                   [](const auto& c) { return c.has_value(); })) {
    return op;
  }
  return std::make_shared<sim::ConstantInputs>(std::move(op), std::move(constants));
}

}  // namespace

std::shared_ptr<const sim::Op> lower_node(const IntGraph& graph, const IntNode& node,
                                          const Profile& profile) {
  try {
    const detail::NodeView view(graph, node, profile);
    detail::Lowering lowering = detail::find_algorithm_lowering(view);
    if (lowering == nullptr) lowering = detail::find_lowering(node.op);
    if (lowering == nullptr) {
      throw Error({ErrorCode::unsupported, "", "op \"" + node.op + "\"", "", ""});
    }
    return bind_constants(graph, node, lowering(view));
  } catch (const Error& e) {
    std::vector<ErrorInfo> infos = e.infos();
    for (ErrorInfo& info : infos) {
      info.place = "node \"" + node.name + "\" (" + node.op + ", profile " + profile.name + ")" +
                   (info.place.empty() ? "" : ", " + info.place);
    }
    throw Error(std::move(infos));
  }
}

sim::Graph lower(const IntGraph& graph, const Profile& profile, const ProfileResolver& resolve) {
  check(graph);
  sim::Graph out;
  std::vector<int> number(graph.tensors.size(), -1);  // constants have none
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const IntTensor& tensor = graph.tensors[i];
    if (tensor.data) continue;
    number[i] = static_cast<int>(out.tensors.size());
    out.tensors.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  const auto numbered = [&](const std::vector<int>& tensors) {
    std::vector<int> result;
    for (const int t : tensors) {
      if (number[static_cast<size_t>(t)] >= 0) result.push_back(number[static_cast<size_t>(t)]);
    }
    return result;
  };
  for (const IntNode& node : graph.nodes) {
    const bool own = !node.profile.empty() && node.profile != profile.name;
    const Profile& rules = own ? resolve(node.profile) : profile;
    out.nodes.push_back({node.name, lower_node(graph, node, rules), numbered(node.inputs),
                         number[static_cast<size_t>(node.output)]});
  }
  out.inputs = numbered(graph.inputs);
  out.outputs = numbered(graph.outputs);
  sim::check(out);
  return out;
}

sim::Graph lower(const IntGraph& graph, const Profile& profile) {
  return lower(graph, profile, [&](std::string_view name) -> const Profile& {
    throw Error({ErrorCode::unsupported, "network \"" + graph.name + "\"",
                 "a node of profile \"" + std::string(name) + "\"", "\"" + profile.name + "\"",
                 "a network with several profiles is lowered with all of them"});
  });
}

}  // namespace facsim::backends
