// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/linear_relu.h"

namespace facsim::fused::nniqat {

LinearReLU::LinearReLU(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nniqat.LinearReLU", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<LinearReLU> LinearReLU::from_float(const nni::LinearReLU& module,
                                                   const QConfig& qconfig) {
  return std::unique_ptr<LinearReLU>(new LinearReLU(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nniqat
