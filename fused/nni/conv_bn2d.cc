// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/conv_bn2d.h"

#include "fused/check_parts.h"

namespace facsim::fused::nni {

ConvBn2d::ConvBn2d(LinearParts parts) : FusedLinear("nni.ConvBn2d", std::move(parts)) {
  check_parts(this->parts(), "nni.ConvBn2d", {.normalises = true});
}

}  // namespace facsim::fused::nni
