// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/frozen_batch_norm2d.h"

namespace facsim::fused::nn {

FrozenBatchNorm2d::FrozenBatchNorm2d(int64_t num_features, float eps, std::optional<float> momentum)
    : BatchNormModule(BatchNorm(num_features, eps, momentum)) {
  batch_norm().frozen = true;
}

}  // namespace facsim::fused::nn
