// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/profile/profile.h"

namespace facsim::bench {

struct NetGeometry {
  std::string name;    ///< "resnet18_224", …
  std::string family;  ///< resnet18 (at most 64 pixels: the CIFAR stem) or mobilenet_v2
  int64_t extent = 224;
  int64_t classes = 1000;
};

/// The networks of `facsim bench nets`.
std::vector<NetGeometry> bench_nets();

/// The architecture with random int8 weights, per-channel scales and biases, quantized for
/// activations of the type. ResNet-18: He et al. 2015, table 1; MobileNetV2: Sandler et al. 2018,
/// table 2, width 1.
backends::IntGraph make_net(const NetGeometry& net, const backends::Profile& profile,
                            sim::IntType activation, uint64_t seed);

}  // namespace facsim::bench
