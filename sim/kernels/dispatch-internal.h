// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "sim/kernels/isa.h"

namespace facsim::sim {

/// The Highway target (HWY_AVX2, …) whose code runs for a resolved isa other than `scalar`.
int64_t highway_target(Isa isa);

/// Its index in HWY_DISPATCH_TABLE(function). Used instead of HWY_DYNAMIC_DISPATCH, whose choice is
/// one for the whole process: an isa is chosen per call here, and by several threads.
size_t highway_dispatch_index(Isa isa);

}  // namespace facsim::sim
