// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/linear.h"

namespace facsim::fused::nnqat {

Linear::Linear(LinearParts parts, QConfig qconfig)
    : QatFusedLinear("nnqat.Linear", std::move(parts), std::move(qconfig)) {}

std::unique_ptr<Linear> Linear::from_float(const nn::Linear& module, const QConfig& qconfig) {
  return std::unique_ptr<Linear>(new Linear(module.parts().clone(), qconfig));
}

}  // namespace facsim::fused::nnqat
