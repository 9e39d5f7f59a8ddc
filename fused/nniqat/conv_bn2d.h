// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nni/conv_bn2d.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nniqat {

/// QAT twin of nni.ConvBn2d: weights quantized with batch norm folded in.
class ConvBn2d final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<ConvBn2d> from_float(const nni::ConvBn2d& module, const QConfig& qconfig);

 private:
  ConvBn2d(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nniqat
