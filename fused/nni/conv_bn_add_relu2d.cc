// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/conv_bn_add_relu2d.h"

#include "fused/check_parts.h"

namespace facsim::fused::nni {

ConvBnAddReLU2d::ConvBnAddReLU2d(LinearParts parts)
    : FusedLinear("nni.ConvBnAddReLU2d", std::move(parts)) {
  check_parts(this->parts(), "nni.ConvBnAddReLU2d",
              {.normalises = true, .adds = true, .activates = true});
}

}  // namespace facsim::fused::nni
