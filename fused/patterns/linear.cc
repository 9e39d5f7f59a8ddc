// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/linear.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

/// A single op: nothing to fuse, but the mapping to its QAT module (nnqat).
FusionPattern linear_pattern() { return make_pattern<>("Linear", {{Role::linear, "Linear", {}}}); }

}  // namespace facsim::fused
