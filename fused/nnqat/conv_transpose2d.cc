// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/conv_transpose2d.h"

namespace facsim::fused::nnqat {

ConvTranspose2d::ConvTranspose2d(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nnqat.ConvTranspose2d", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<ConvTranspose2d> ConvTranspose2d::from_float(const nn::ConvTranspose2d& module,
                                                             const QConfig& qconfig) {
  return std::unique_ptr<ConvTranspose2d>(new ConvTranspose2d(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nnqat
