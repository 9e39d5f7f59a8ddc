// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/linear_bn1d.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

FusionPattern linear_bn1d_pattern() {
  FusionPattern pattern = make_pattern<>(
      "LinearBn1d", {{Role::linear, "Linear", {}}, {Role::affine, "BatchNorm1d", {}}});
  pattern.to_float = [](LinearParts parts) {
    return std::make_unique<nni::LinearBn1d>(std::move(parts));
  };
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nniqat::LinearBn1d::from_float(dynamic_cast<const nni::LinearBn1d&>(module), qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
