// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/graph/float_graph.h"
#include "fused/activation.h"
#include "fused/fused_linear.h"
#include "fused/qconfig.h"

namespace facsim::fused {

/// What an op of a pattern becomes in the fused module.
enum class Role { linear, affine, add, activation };

/// One op of a pattern, by PyTorch's class name. Every op but the last must have one consumer, the
/// next op; `accepts` may ask for more (empty: any node).
struct PatternOp {
  Role role;
  std::string op;
  std::function<bool(const backends::FloatNode&)> accepts;
};

/// A fusion pattern is one value: a name, the ops in order (linear, then optionally affine, add,
/// activation), and for an activation how the device computes it. From it follow the float module
/// nni.NAME, its QAT twin nniqat.NAME and its nodes in the deployed graph.
struct FusionPattern {
  std::string name;
  std::vector<PatternOp> ops;
  /// The activations its last op may be, by op word; empty without an activation role.
  std::map<std::string, std::function<Activation(const backends::FloatNode&)>, std::less<>>
      activations;
  /// Modules of their own class; empty: FusedLinear and QatFusedLinear under the pattern's name.
  std::function<std::unique_ptr<FusedLinear>(LinearParts)> to_float;
  std::function<std::unique_ptr<Module>(const FusedLinear&, const QConfig&)> to_qat;
};

/// A pattern whose last op may be any of the activations A…; each must say how the device computes
/// it. A pattern without an activation has no A.
template <class... A>
FusionPattern make_pattern(std::string name, std::vector<PatternOp> ops) {
  FusionPattern pattern{std::move(name), std::move(ops), {}, {}, {}};
  (pattern.activations.emplace(std::string(A::kOp), activation_of<A>), ...);
  return pattern;
}

}  // namespace facsim::fused
