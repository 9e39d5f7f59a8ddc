// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_bn_add_relu2d.h"

namespace facsim::fused::nniqat {

ConvBnAddReLU2d::ConvBnAddReLU2d(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nniqat.ConvBnAddReLU2d", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<ConvBnAddReLU2d> ConvBnAddReLU2d::from_float(const nni::ConvBnAddReLU2d& module,
                                                             const QConfig& qconfig) {
  return std::unique_ptr<ConvBnAddReLU2d>(new ConvBnAddReLU2d(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nniqat
