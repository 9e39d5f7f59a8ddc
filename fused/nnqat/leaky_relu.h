// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nn/leaky_relu.h"
#include "fused/qat_activation.h"

namespace facsim::fused::nnqat {

/// LeakyReLU by the profile's leaky_relu rules, where no pattern has fused it.
class LeakyReLU final : public QatActivation {
 public:
  static std::unique_ptr<LeakyReLU> from_float(const nn::LeakyReLU& module, const QConfig& qconfig);

 private:
  LeakyReLU(const nn::LeakyReLU& module, const QConfig& qconfig);
};

}  // namespace facsim::fused::nnqat
