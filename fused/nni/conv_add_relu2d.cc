// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/conv_add_relu2d.h"

#include "fused/check_parts.h"

namespace facsim::fused::nni {

ConvAddReLU2d::ConvAddReLU2d(LinearParts parts)
    : FusedLinear("nni.ConvAddReLU2d", std::move(parts)) {
  check_parts(this->parts(), "nni.ConvAddReLU2d", {.adds = true, .activates = true});
}

}  // namespace facsim::fused::nni
