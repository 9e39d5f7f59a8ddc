// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_bn2d.h"

namespace facsim::fused::nniqat {

ConvBn2d::ConvBn2d(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nniqat.ConvBn2d", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<ConvBn2d> ConvBn2d::from_float(const nni::ConvBn2d& module,
                                               const QConfig& qconfig) {
  return std::unique_ptr<ConvBn2d>(new ConvBn2d(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nniqat
