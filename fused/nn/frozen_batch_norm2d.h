// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/batch_norm_module.h"

namespace facsim::fused::nn {

/// BatchNorm2d whose statistics never move: always the running ones (MQBench's name).
class FrozenBatchNorm2d final : public BatchNormModule {
 public:
  explicit FrozenBatchNorm2d(int64_t num_features, float eps = 1e-5f,
                             std::optional<float> momentum = 0.1f);
  std::string type_name() const override { return "nn.FrozenBatchNorm2d"; }
};

}  // namespace facsim::fused::nn
