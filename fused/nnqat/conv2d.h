// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nn/conv2d.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nnqat {

/// Conv2d with quantized weights (PyTorch's nnqat.Conv2d).
class Conv2d final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<Conv2d> from_float(const nn::Conv2d& module, const QConfig& qconfig);

 private:
  Conv2d(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nnqat
