// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "fused/network.h"
#include "fused/train/dataset.h"

namespace facsim::cli {

/// How far one layer's fake-quantized codes are from the device's.
struct LayerContrast {
  std::string name;
  int64_t compared = 0;
  int64_t mismatches = 0;
  std::map<int64_t, int64_t> histogram;  ///< difference in codes -> count, 0 included
};

/// The same parameters through the `fake_quantize` forward instead of the integer machine.
struct Contrast {
  std::vector<LayerContrast> layers;  ///< in the network's order
  int64_t images = 0;
  int64_t correct = 0;  ///< by the fake-quantized logits
  int64_t flips = 0;    ///< images whose class differs from the device's

  int64_t compared() const;
  int64_t mismatches() const;
  std::map<int64_t, int64_t> histogram() const;  ///< of all layers
};

/// Runs every test image through both forwards and compares each layer's codes.
Contrast contrast_with_fake_quantize(fused::Network& network, const fused::train::Dataset& data,
                                     const backends::Preprocessing& preprocessing,
                                     sim::ThreadPool* pool);

}  // namespace facsim::cli
