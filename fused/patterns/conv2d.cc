// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/conv2d.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

/// A single op: nothing to fuse, but the mapping to its QAT module (nnqat).
FusionPattern conv2d_pattern() { return make_pattern<>("Conv2d", {{Role::linear, "Conv2d", {}}}); }

}  // namespace facsim::fused
