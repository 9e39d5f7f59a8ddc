// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/hardswish.h"

#include <algorithm>

namespace facsim::fused::nn {

namespace {

double hardswish(double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; }
/// PyTorch's at the corners: that of the middle part at 3, 0 at -3 from below.
double hardswish_gradient(double x) { return x < -3 ? 0 : x <= 3 ? x / 3 + 0.5 : 1; }

}  // namespace

Hardswish::Hardswish()
    : ActivationModule("nn.Hardswish", {"Hardswish", LutForm{hardswish, hardswish_gradient}}) {}

}  // namespace facsim::fused::nn
