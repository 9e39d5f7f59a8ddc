// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/conv2d.h"

namespace facsim::fused::nnqat {

Conv2d::Conv2d(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nnqat.Conv2d", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<Conv2d> Conv2d::from_float(const nn::Conv2d& module, const QConfig& qconfig) {
  return std::unique_ptr<Conv2d>(new Conv2d(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nnqat
