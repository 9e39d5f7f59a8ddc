// SPDX-License-Identifier: Apache-2.0
#include "fused/qconfig.h"

namespace facsim::fused {

QConfig make_qconfig(std::shared_ptr<const backends::Profile> profile, std::string_view op) {
  const backends::OpRules& rules = profile->rules(op);
  quant::TensorSpec weight = rules.weight;
  weight.channel_axis = 0;  // weights are output channel first inside
  quant::TensorSpec activation = rules.activation;
  activation.granularity = quant::TensorSpec::Granularity::per_tensor;
  const backends::Profile::Training training = profile->training;
  QConfig out;
  out.weight = [weight, training](int64_t channels) {
    return quant::make_fake_quantizer(training.weight_fake_quantize, weight,
                                      training.weight_observer, channels);
  };
  out.activation = [activation, training](int64_t channels) {
    return quant::make_fake_quantizer(training.activation_fake_quantize, activation,
                                      training.activation_observer, channels);
  };
  out.profile = std::move(profile);
  return out;
}

}  // namespace facsim::fused
