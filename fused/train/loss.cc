// SPDX-License-Identifier: Apache-2.0
#include "fused/train/loss.h"

#include <algorithm>
#include <cmath>

namespace facsim::fused::train {

std::vector<int32_t> classes_of(const Tensor& logits) {
  const int64_t n = logits.shape()[0], c = n == 0 ? 0 : logits.numel() / n;
  std::vector<int32_t> classes;
  for (int64_t i = 0; i < n; ++i) {
    const float* row = logits.data<float>() + i * c;
    classes.push_back(static_cast<int32_t>(std::max_element(row, row + c) - row));
  }
  return classes;
}

LossResult softmax_cross_entropy(const Tensor& logits, std::span<const int32_t> labels) {
  const int64_t n = logits.shape()[0], c = n == 0 ? 0 : logits.numel() / n;
  FACSIM_CHECK_EQ(n, static_cast<int64_t>(labels.size()));
  LossResult result{.gradient = Tensor::uninitialized(DType::float32, logits.shape())};
  const std::vector<int32_t> classes = classes_of(logits);
  std::vector<double> e(static_cast<size_t>(c));
  for (int64_t i = 0; i < n; ++i) {
    const float* z = logits.data<float>() + i * c;
    float* g = result.gradient.data<float>() + i * c;
    const int32_t label = labels[static_cast<size_t>(i)];
    const double largest = z[classes[static_cast<size_t>(i)]];
    double sum = 0;
    for (int64_t k = 0; k < c; ++k) sum += e[static_cast<size_t>(k)] = std::exp(z[k] - largest);
    for (int64_t k = 0; k < c; ++k) {
      const double softmax = e[static_cast<size_t>(k)] / sum;
      g[k] = static_cast<float>((softmax - (k == label ? 1 : 0)) / static_cast<double>(n));
    }
    result.loss += (std::log(sum) - (z[label] - largest)) / static_cast<double>(n);
    result.correct += classes[static_cast<size_t>(i)] == label;
  }
  return result;
}

}  // namespace facsim::fused::train
