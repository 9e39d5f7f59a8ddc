// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/linear.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

/// A single op: nothing to fuse, but the mapping to its QAT module (nnqat).
FusionPattern linear_pattern() {
  FusionPattern pattern = make_pattern<>("Linear", {{Role::linear, "Linear", {}}});
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nnqat::Linear::from_float(dynamic_cast<const nn::Linear&>(module), qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
