// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/channel_affine.h"

namespace facsim::fused {

/// Batch normalization over the last axis as a float module; BatchNorm1d, BatchNorm2d and
/// FrozenBatchNorm2d are its names.
class BatchNormModule : public Module {
 public:
  explicit BatchNormModule(BatchNorm bn) : bn_(std::move(bn)) {}

  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  std::vector<Parameter*> parameters() override { return bn_.parameters(); }
  std::vector<Buffer*> buffers() override { return bn_.buffers(); }
  const BatchNorm& batch_norm() const { return bn_; }
  BatchNorm& batch_norm() { return bn_; }

 private:
  BatchNorm bn_;
  Tensor x_;
  NormAffine affine_;
  bool batch_ = false;
};

}  // namespace facsim::fused
