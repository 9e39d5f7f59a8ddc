// SPDX-License-Identifier: Apache-2.0
#include "fused/module.h"

#include "sim/core/error.h"

namespace facsim::fused {

int Module::emit(IntGraphBuilder& /*builder*/, std::span<const int> /*inputs*/) const {
  throw Error({ErrorCode::unsupported, type_name(), "no integer form", "a quantized module",
               "prepare_qat replaces float modules; fuse a lone batch norm or activation first"});
}

}  // namespace facsim::fused
