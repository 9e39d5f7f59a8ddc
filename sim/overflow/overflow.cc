// SPDX-License-Identifier: Apache-2.0
#include "sim/overflow/overflow.h"

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/overflow/all.h"

namespace facsim::sim {

std::string_view to_string(Overflow policy) {
  switch (policy) {
#define FACSIM_OVERFLOW(name) \
  case Overflow::name:        \
    return #name;
#include "sim/overflow/overflow.def"
#undef FACSIM_OVERFLOW
  }
  return "?";
}

std::optional<Overflow> overflow_from_string(std::string_view word) {
  for (Overflow policy : all_overflows()) {
    if (to_string(policy) == word) return policy;
  }
  return std::nullopt;
}

const std::vector<Overflow>& all_overflows() {
  static const std::vector<Overflow> policies = {
#define FACSIM_OVERFLOW(name) Overflow::name,
#include "sim/overflow/overflow.def"
#undef FACSIM_OVERFLOW
  };
  return policies;
}

int128 bring_into(Overflow policy, int128 v, IntType type, bool& changed) {
  const auto bounds = overflow::bounds_of(type, v);
  if (policy == Overflow::error && overflow::outside(v, bounds)) {
    throw Error(ErrorInfo{ErrorCode::bad_value, "", "a value outside " + to_string(type),
                          fmt::format("{}..{} (overflow policy error)", type.min(), type.max()),
                          ""});
  }
  const int128 result =
      with_overflow(policy, [&]<class Policy>(Policy) { return Policy::bring(v, bounds); });
  changed = result != v;
  return result;
}

}  // namespace facsim::sim
