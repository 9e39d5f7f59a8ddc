// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nni/conv_relu2d.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nniqat {

/// QAT twin of nni.ConvReLU2d.
class ConvReLU2d final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<ConvReLU2d> from_float(const nni::ConvReLU2d& module,
                                                const QConfig& qconfig);

 private:
  ConvReLU2d(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nniqat
