// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/identify_exclusions-internal.h"

#include <algorithm>
#include <numeric>

namespace facsim::backends::detail {

std::optional<FirstContradiction> first_contradiction(const OpRules& rules,
                                                      const IdentifyRows& rows) {
  constexpr size_t kAtOnce = 512;  // most rules end in the first of them
  for (size_t begin = 0; begin < rows.size(); begin += kAtOnce) {
    std::vector<size_t> at(std::min(kAtOnce, rows.size() - begin));
    std::iota(at.begin(), at.end(), begin);
    const IdentifyRows some = rows_at(rows, at);
    const IdentifyOutcomes outcomes = run_identify_rows(rules, some, nullptr);
    for (size_t i = 0; i < at.size(); ++i) {
      if (!outcomes[i] || outcomes[i] == some.out[i]) continue;  // a refusal contradicts nothing
      FirstContradiction first{at[i], {}};
      first.found.index = {static_cast<int64_t>(at[i])};
      if (some.out[i]) first.found.expected = static_cast<double>(*some.out[i]);
      first.found.computed = static_cast<double>(*outcomes[i]);
      return first;
    }
  }
  return std::nullopt;
}

}  // namespace facsim::backends::detail
