// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_add_relu2d.h"

namespace facsim::fused::nniqat {

ConvAddReLU2d::ConvAddReLU2d(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nniqat.ConvAddReLU2d", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<ConvAddReLU2d> ConvAddReLU2d::from_float(const nni::ConvAddReLU2d& module,
                                                         const QConfig& qconfig) {
  return std::unique_ptr<ConvAddReLU2d>(new ConvAddReLU2d(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nniqat
