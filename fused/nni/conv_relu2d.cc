// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/conv_relu2d.h"

#include "fused/check_parts.h"

namespace facsim::fused::nni {

ConvReLU2d::ConvReLU2d(LinearParts parts) : FusedLinear("nni.ConvReLU2d", std::move(parts)) {
  check_parts(this->parts(), "nni.ConvReLU2d", {.activates = true});
}

}  // namespace facsim::fused::nni
