// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "quant/fake_quantize/fake_quantizer.h"

namespace facsim::quant {

/// Scale and zero point come from the observer alone; the gradient passes where the code before
/// clamping lies in [quant_min, quant_max]. PyTorch FakeQuantize, MQBench FixedFakeQuantize.
class FixedFakeQuantize final : public FakeQuantizer {
 public:
  using FakeQuantizer::FakeQuantizer;
  std::string_view name() const override { return "fixed"; }
  Tensor backward(const Tensor& dy, const Tensor& x, const FakeQuantized& forward) override;
};

}  // namespace facsim::quant
