// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/sigmoid.h"

#include <cmath>

namespace facsim::fused::nn {

namespace {

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double logistic_gradient(double x) { return logistic(x) * (1 - logistic(x)); }

}  // namespace

Sigmoid::Sigmoid()
    : ActivationModule("nn.Sigmoid", {"Sigmoid", LutForm{logistic, logistic_gradient}}) {}

}  // namespace facsim::fused::nn
