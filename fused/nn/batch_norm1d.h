// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/batch_norm_module.h"

namespace facsim::fused::nn {

/// PyTorch's BatchNorm1d in float32.
class BatchNorm1d final : public BatchNormModule {
 public:
  explicit BatchNorm1d(int64_t num_features, float eps = 1e-5f,
                       std::optional<float> momentum = 0.1f);
  std::string type_name() const override { return "nn.BatchNorm1d"; }
};

}  // namespace facsim::fused::nn
