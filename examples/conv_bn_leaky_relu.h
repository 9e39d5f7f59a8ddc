// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/patterns/pattern_registry.h"

/// Adds nni.ConvBnLeakyReLU2d, its QAT twin and its deployed form to the patterns of a network.
void add_conv_bn_leaky_relu(facsim::fused::PatternRegistry& patterns);
