// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nn/conv_transpose2d.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nnqat {

/// ConvTranspose2d with quantized weights (PyTorch's nnqat.ConvTranspose2d).
class ConvTranspose2d final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<ConvTranspose2d> from_float(const nn::ConvTranspose2d& module,
                                                     const QConfig& qconfig);

 private:
  ConvTranspose2d(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nnqat
