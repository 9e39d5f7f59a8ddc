// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "backends/lower/lower.h"
#include "fused/activation.h"
#include "fused/kernels/channel_pass.h"
#include "fused/module.h"
#include "fused/qconfig.h"

namespace facsim::fused {

/// A quantizer at the output of a stage of a QAT module: its parameters, and the mask that its last
/// output leaves for the gradient (which passes where the code lies strictly inside the clamp).
class QuantizedOutput {
 public:
  /// `op`: whose rules clamp the activation's bounds.
  QuantizedOutput(const QConfig& qconfig, std::string_view op, ClampForm clamp);

  /// False for a QConfig without an activation quantizer: the output is float32.
  bool exists() const { return quantizer_ != nullptr; }
  quant::FakeQuantizer& quantizer() const { return *quantizer_; }
  const ClampForm& clamp() const { return clamp_; }

  /// The observer takes the unrounded result's range, clamped by the activation.
  void observe(float min, float max);
  void observe(const Tensor& real);
  /// Clamp bounds in codes.
  backends::ClampBounds bounds() const;

  /// Codes the simulator made: kept for the mask.
  Value take_codes(Tensor codes);
  /// A float result before the clamp (fake_quantize): clamped, observed if asked, quantized.
  Value take_real(Tensor real, const Context& context);
  /// Describes the mask of the last output.
  void mask(kernels::MaskedGradient& gradient) const;
  /// dy where the gradient passes, 0 elsewhere.
  Tensor masked(const Tensor& dy, sim::ThreadPool* pool) const;
  /// Gradients of a learned quantizer (no-op for others): `real` is the unrounded, clamped result.
  void learn(const Tensor& dy, const Tensor& real);
  bool learns() const { return exists() && !quantizer_->learned().empty(); }

 private:
  std::shared_ptr<const backends::Profile> profile_;
  std::string op_;
  ClampForm clamp_;
  std::unique_ptr<quant::FakeQuantizer> quantizer_;
  Value output_;
};

}  // namespace facsim::fused
