// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nn/linear.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nnqat {

/// Linear with quantized weights (PyTorch's nnqat.Linear).
class Linear final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<Linear> from_float(const nn::Linear& module, const QConfig& qconfig);

 private:
  Linear(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nnqat
