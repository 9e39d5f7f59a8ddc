// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nni/linear_bn1d.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nniqat {

/// QAT twin of nni.LinearBn1d: weights quantized with batch norm folded in.
class LinearBn1d final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<LinearBn1d> from_float(const nni::LinearBn1d& module,
                                                const QConfig& qconfig);

 private:
  LinearBn1d(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nniqat
