// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/linear_bn1d.h"

#include "fused/check_parts.h"

namespace facsim::fused::nni {

LinearBn1d::LinearBn1d(LinearParts parts) : FusedLinear("nni.LinearBn1d", std::move(parts)) {
  check_parts(this->parts(), "nni.LinearBn1d", {.linear = "linear", .normalises = true});
}

}  // namespace facsim::fused::nni
