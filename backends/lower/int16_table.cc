// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "backends/lower/platform-internal.h"
#include "sim/core/error.h"
#include "sim/ops/interpolated_table.h"

namespace facsim::backends::detail {

namespace {

std::shared_ptr<const sim::Op> interpolated(const NodeView& node, sim::IntType output,
                                            int64_t (*lookup)(std::span<const int64_t>, int64_t)) {
  const std::vector<int64_t>& entries = node.attributes().table;
  const auto refuse = [](std::string found, std::string expected) {
    throw Error({ErrorCode::unsupported, "table", std::move(found), std::move(expected), ""});
  };
  if (node.qparams(0).type != sim::kInt16 || node.output().type != output) {
    refuse(fmt::format("{} to {}", sim::to_string(node.qparams(0).type),
                       sim::to_string(node.output().type)),
           fmt::format("int16 to {}", sim::to_string(output)));
  }
  if (std::ssize(entries) != sim::kInterpolatedEntries) {
    refuse(fmt::format("{} entries", entries.size()), fmt::format("{}", sim::kInterpolatedEntries));
  }
  const auto outside = [](int64_t entry) { return entry < INT16_MIN || entry > INT16_MAX; };
  if (const auto bad = std::find_if(entries.begin(), entries.end(), outside);
      bad != entries.end()) {
    refuse(fmt::format("entry {}", *bad), "int16");
  }
  return table_of_codes(node.qparams(0), node.output(),
                        [&](int64_t code) { return lookup(entries, code); });
}

}  // namespace

std::shared_ptr<const sim::Op> lower_tosa_table_int16(const NodeView& node) {
  return interpolated(node, sim::kInt32, sim::tosa_table_lookup);
}

std::shared_ptr<const sim::Op> lower_ethos_u_table_int16(const NodeView& node) {
  return interpolated(node, sim::kInt16, sim::ethos_u_table_lookup);
}

}  // namespace facsim::backends::detail
