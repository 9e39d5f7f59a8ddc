// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/linear_bn1d.h"

namespace facsim::fused::nniqat {

LinearBn1d::LinearBn1d(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nniqat.LinearBn1d", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<LinearBn1d> LinearBn1d::from_float(const nni::LinearBn1d& module,
                                                   const QConfig& qconfig) {
  return std::unique_ptr<LinearBn1d>(new LinearBn1d(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nniqat
