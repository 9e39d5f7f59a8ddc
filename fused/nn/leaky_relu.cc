// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/leaky_relu.h"

namespace facsim::fused::nn {

LeakyReLU::LeakyReLU(float negative_slope)
    : ActivationModule(
          "nn.LeakyReLU",
          {"LeakyReLU",
           LutForm{[slope = double{negative_slope}](double x) { return x > 0 ? x : slope * x; },
                   [slope = double{negative_slope}](double x) { return x > 0 ? 1 : slope; }}}),
      negative_slope_(negative_slope) {}

}  // namespace facsim::fused::nn
