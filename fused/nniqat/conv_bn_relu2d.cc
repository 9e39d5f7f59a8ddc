// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_bn_relu2d.h"

namespace facsim::fused::nniqat {

ConvBnReLU2d::ConvBnReLU2d(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nniqat.ConvBnReLU2d", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<ConvBnReLU2d> ConvBnReLU2d::from_float(const nni::ConvBnReLU2d& module,
                                                       const QConfig& qconfig) {
  return std::unique_ptr<ConvBnReLU2d>(new ConvBnReLU2d(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nniqat
