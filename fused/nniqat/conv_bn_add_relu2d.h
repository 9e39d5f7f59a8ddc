// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nni/conv_bn_add_relu2d.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused::nniqat {

/// QAT twin of nni.ConvBnAddReLU2d: the folded convolution's result has a quantizer of its own
/// before the platform's add.
class ConvBnAddReLU2d final : public QatFusedLinear {
 public:
  /// Loads every parameter and statistic of the float module.
  static std::unique_ptr<ConvBnAddReLU2d> from_float(const nni::ConvBnAddReLU2d& module,
                                                     const QConfig& qconfig);

 private:
  ConvBnAddReLU2d(LinearParts parts, QConfig qconfig);
};

}  // namespace facsim::fused::nniqat
