// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "fused/nn/sigmoid.h"
#include "fused/qat_activation.h"

namespace facsim::fused::nnqat {

/// Sigmoid by the profile's sigmoid rules, output in steps of a power of two over [0, 1).
class Sigmoid final : public QatActivation {
 public:
  static std::unique_ptr<Sigmoid> from_float(const nn::Sigmoid& module, const QConfig& qconfig);

 private:
  Sigmoid(const nn::Sigmoid& module, const QConfig& qconfig);
};

}  // namespace facsim::fused::nnqat
