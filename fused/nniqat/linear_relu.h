// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nni/linear_relu.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nniqat {

/// QAT twin of nni.LinearReLU.
class LinearReLU final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<LinearReLU> from_float(const nni::LinearReLU& module,
                                                const QConfig& qconfig);

 private:
  LinearReLU(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nniqat
