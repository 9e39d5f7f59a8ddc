// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/tensor.h"

namespace facsim::fused::train {

/// Index of each row's largest logit, the first of equals. logits float32 [N, C].
std::vector<int32_t> classes_of(const Tensor& logits);

struct LossResult {
  double loss = 0;      ///< mean over the rows
  int64_t correct = 0;  ///< rows whose largest logit is the label's
  Tensor gradient;      ///< of the mean loss, [N, C]
};

/// Softmax cross-entropy: loss = mean over n of log(sum_c exp(z[n,c])) - z[n,label], gradient
/// (softmax(z)[n,c] - [c == label]) / N. The row maximum is subtracted first; exp and sums in
/// double.
LossResult softmax_cross_entropy(const Tensor& logits, std::span<const int32_t> labels);

}  // namespace facsim::fused::train
