// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/linear_bn1d.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

FusionPattern linear_bn1d_pattern() {
  FusionPattern pattern = make_pattern<>(
      "LinearBn1d", {{Role::linear, "Linear", {}}, {Role::affine, "BatchNorm1d", {}}});
  pattern.to_float = [](LinearParts parts) {
    return std::make_unique<nni::LinearBn1d>(std::move(parts));
  };
  return pattern;
}

}  // namespace facsim::fused
