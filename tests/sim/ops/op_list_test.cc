// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/op_list.h"

#include <doctest/doctest.h>

#include <set>

namespace facsim::sim::test {

TEST_CASE("op_list: every op of ops.def once, with a summary") {
  std::set<std::string_view> kinds;
  for (const OpDescription& op : all_ops()) {
    CHECK(kinds.insert(op.kind).second);
    CHECK_FALSE(op.summary.empty());
  }
  CHECK(kinds.size() >= 15);
  for (const char* kind : {"conv2d", "linear", "add", "add_fma", "max_pool2d", "avg_pool2d",
                           "avg_pool2d_dequantized", "lut", "reshape", "requantize"}) {
    CHECK(kinds.count(kind) == 1);
  }
}

}  // namespace facsim::sim::test
