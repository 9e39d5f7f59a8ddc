// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nni/conv_bn_relu2d.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nniqat {

/// QAT twin of nni.ConvBnReLU2d: weights quantized with batch norm folded in.
class ConvBnReLU2d final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<ConvBnReLU2d> from_float(const nni::ConvBnReLU2d& module,
                                                  const QConfig& qconfig);

 private:
  ConvBnReLU2d(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nniqat
