// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_bn2d.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

FusionPattern conv_bn2d_pattern() {
  FusionPattern pattern =
      make_pattern<>("ConvBn2d", {{Role::linear, "Conv2d", {}}, {Role::affine, "BatchNorm2d", {}}});
  pattern.to_float = [](LinearParts parts) {
    return std::make_unique<nni::ConvBn2d>(std::move(parts));
  };
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nniqat::ConvBn2d::from_float(dynamic_cast<const nni::ConvBn2d&>(module), qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
