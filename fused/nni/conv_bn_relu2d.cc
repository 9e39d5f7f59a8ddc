// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/conv_bn_relu2d.h"

#include "fused/check_parts.h"

namespace facsim::fused::nni {

ConvBnReLU2d::ConvBnReLU2d(LinearParts parts) : FusedLinear("nni.ConvBnReLU2d", std::move(parts)) {
  check_parts(this->parts(), "nni.ConvBnReLU2d", {.normalises = true, .activates = true});
}

}  // namespace facsim::fused::nni
