// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/linear_relu.h"

#include "fused/check_parts.h"

namespace facsim::fused::nni {

LinearReLU::LinearReLU(LinearParts parts) : FusedLinear("nni.LinearReLU", std::move(parts)) {
  check_parts(this->parts(), "nni.LinearReLU", {.linear = "linear", .activates = true});
}

}  // namespace facsim::fused::nni
