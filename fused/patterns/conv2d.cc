// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/conv2d.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

/// A single op: nothing to fuse, but the mapping to its QAT module (nnqat).
FusionPattern conv2d_pattern() {
  FusionPattern pattern = make_pattern<>("Conv2d", {{Role::linear, "Conv2d", {}}});
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nnqat::Conv2d::from_float(dynamic_cast<const nn::Conv2d&>(module), qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
