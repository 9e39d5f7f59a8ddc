// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_relu2d.h"

namespace facsim::fused::nniqat {

ConvReLU2d::ConvReLU2d(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nniqat.ConvReLU2d", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<ConvReLU2d> ConvReLU2d::from_float(const nni::ConvReLU2d& module,
                                                   const QConfig& qconfig) {
  return std::unique_ptr<ConvReLU2d>(new ConvReLU2d(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nniqat
