// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/conv_transpose2d.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

/// A single op: nothing to fuse, but the mapping to its QAT module (nnqat).
FusionPattern conv_transpose2d_pattern() {
  FusionPattern pattern =
      make_pattern<>("ConvTranspose2d", {{Role::linear, "ConvTranspose2d", {}}});
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nnqat::ConvTranspose2d::from_float(dynamic_cast<const nn::ConvTranspose2d&>(module),
                                              qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
