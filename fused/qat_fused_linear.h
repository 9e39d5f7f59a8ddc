// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "fused/folded_weight.h"
#include "fused/fused_linear.h"
#include "fused/integer_linear.h"
#include "fused/named_quantizer.h"
#include "fused/quantized_add.h"
#include "fused/quantized_lut.h"
#include "fused/quantized_output.h"

namespace facsim::fused {

/// The QAT twin of every FusedLinear: weights quantized with batch norm folded in, trained through
/// the device's own integers (ForwardMode::simulate) or through PyTorch's float formula
/// (fake_quantize).
///
/// It is a chain of stages, each with its own output quantizer: linear op + batch norm + clamp;
/// then the platform's addition, if the parts add; then a table, if the activation is no clamp. In
/// eval `simulate` runs the very nodes that `emit` puts into the deployed graph.
class QatFusedLinear : public Module {
 public:
  QatFusedLinear(std::string type_name, LinearParts parts, QConfig qconfig);

  std::string type_name() const override { return type_name_; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  std::vector<Parameter*> parameters() override;
  std::vector<Buffer*> buffers() override;
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

  const LinearParts& parts() const { return parts_; }
  LinearParts& parts() { return parts_; }
  quant::FakeQuantizer& weight_fake_quant() { return *weight_quantizer_; }
  /// The weights of the last forward: w * f and what was made of it.
  const FoldedWeight& folded_weight() const { return weight_; }
  /// Accumulators of the last training forward that wrapped or saturated on the way: their outputs
  /// pass no gradient.
  int64_t accumulator_overflows() const { return overflows_; }
  /// The quantizer of the module's output.
  QuantizedOutput& activation_post_process();

 private:
  bool uses_batch(const Context& context) const;
  void quantize_weight(const Context& context);
  int emit_linear(IntGraphBuilder& builder, std::string name, int x) const;

  Value simulate(const Value& x, const Context& context);
  Value simulate_batch(const Value& x, const Context& context);
  /// Batch statistics folded into the weights, for platforms that cannot rescale accumulators per
  /// channel: a second pass.
  Value simulate_refolded(const Value& x, const BatchStatistics& z, const Context& context);
  Value fake_quantize(const Value& x, const Context& context);
  /// Runs the device's accumulators (bias inside), notes overflows, observes and requantizes.
  Value simulate_accumulators(const Value& x, const FoldedWeight& weight,
                              const sim::Conv2dParams& params, std::span<const double> bias,
                              const Context& context);
  /// Observes and requantizes accumulators + bias.
  Value finish(Accumulators accumulators, const quant::QParams& input, std::vector<float> scale,
               std::span<const double> bias, const std::vector<bool>& silent, bool bias_inside,
               const Context& context);

  Tensor linear_backward(const Tensor& upstream, const Context& context, bool needs_input_gradient);
  void store_gradients(const Tensor& dw, std::span<const double> sum_g,
                       std::span<const double> sum_gx, sim::ThreadPool* pool);

  std::string type_name_;
  LinearParts parts_;
  QConfig qconfig_;
  std::unique_ptr<quant::FakeQuantizer> weight_quantizer_;
  QuantizedOutput linear_output_;
  std::optional<QuantizedAdd> add_;
  std::optional<QuantizedLut> lut_;
  NamedQuantizer quantizers_;

  // Kept by forward for backward.
  Value x_;
  FoldedWeight weight_;
  std::vector<float> running_std_;  // that weight_ was folded with
  bool batch_ = false;
  Tensor z_;           // with batch statistics: float32, or accumulators
  NormAffine affine_;  // over z_: scale is dy/dz, center and inverse give x_hat
  Tensor passes_;      // uint8, where accumulators overflowed: 0 there
  int64_t overflows_ = 0;
  Tensor result_z_;  // for a learned output quantizer: unrounded result = scale * z + offset
  std::vector<float> result_scale_, result_offset_;
};

}  // namespace facsim::fused
