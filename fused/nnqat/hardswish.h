// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nn/hardswish.h"
#include "fused/qat_activation.h"

namespace facsim::fused::nnqat {

/// Hardswish by the profile's hard_swish rules (PyTorch's quantized.Hardswish).
class Hardswish final : public QatActivation {
 public:
  static std::unique_ptr<Hardswish> from_float(const nn::Hardswish& module, const QConfig& qconfig);

 private:
  Hardswish(const nn::Hardswish& module, const QConfig& qconfig);
};

}  // namespace facsim::fused::nnqat
