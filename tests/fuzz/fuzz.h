// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"

/// What libFuzzer calls. It catches facsim::Error, the answer to bad input; whatever else leaves it
/// is a finding.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace facsim::fuzz {

/// Good inputs of the entry, which mutations start from. Each <reader>_fuzz.cc has its own.
std::vector<std::string> seeds();

/// What a network that was read is good for: checked, lowered under tflite-micro, and run on zeros
/// if that takes little memory and time. Error as those throw it.
void run_network(const backends::IntGraph& network);

}  // namespace facsim::fuzz
