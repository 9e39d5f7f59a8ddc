// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/op_list.h"

namespace facsim::sim {

const std::vector<OpDescription>& all_ops() {
  static const std::vector<OpDescription> ops = {
#define FACSIM_OP(source, kind, summary) {#kind, summary},
#include "sim/ops/ops.def"
#undef FACSIM_OP
  };
  return ops;
}

}  // namespace facsim::sim
