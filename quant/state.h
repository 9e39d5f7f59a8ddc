// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sim/core/tensor.h"

namespace facsim::quant {

/// A named tensor of an observer's or fake-quantizer's state. The tensor shares its elements with
/// the owner: writing them restores the state, so shapes never change after construction.
struct NamedState {
  std::string name;
  Tensor value;
};
using State = std::vector<NamedState>;

}  // namespace facsim::quant
