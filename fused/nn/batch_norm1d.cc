// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/batch_norm1d.h"

namespace facsim::fused::nn {

BatchNorm1d::BatchNorm1d(int64_t num_features, float eps, std::optional<float> momentum)
    : BatchNormModule(BatchNorm(num_features, eps, momentum)) {}

}  // namespace facsim::fused::nn
