// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

namespace facsim::sim {

struct OpDescription {
  std::string_view kind;  ///< Op::kind()
  std::string_view summary;
};

/// Every op in the order of ops.def.
const std::vector<OpDescription>& all_ops();

}  // namespace facsim::sim
