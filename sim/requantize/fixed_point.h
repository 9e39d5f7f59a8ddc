// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/core/numeric.h"

namespace facsim::sim {
#include "sim/requantize/fixed_point-inl.h"
}  // namespace facsim::sim
