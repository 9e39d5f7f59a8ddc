// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/check.h"
#include "sim/overflow/error.h"
#include "sim/overflow/overflow.h"
#include "sim/overflow/saturate.h"
#include "sim/overflow/saturate_symmetric.h"
#include "sim/overflow/saturate_zero.h"
#include "sim/overflow/wrap.h"

namespace facsim::sim {

/// Calls f with a value of the policy's type: with_overflow(policy, [&]<class Policy>(Policy) { …
/// }).
template <class F>
decltype(auto) with_overflow(Overflow policy, F&& f) {
  switch (policy) {
#define FACSIM_OVERFLOW(name) \
  case Overflow::name:        \
    return f(overflow::name{});
#include "sim/overflow/overflow.def"
#undef FACSIM_OVERFLOW
  }
  facsim::detail::check_failed(__FILE__, __LINE__, "policy is an Overflow", "");
}

}  // namespace facsim::sim
