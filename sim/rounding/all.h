// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/check.h"
#include "sim/rounding/away_from_zero.h"
#include "sim/rounding/ceil.h"
#include "sim/rounding/floor.h"
#include "sim/rounding/half_away_from_zero.h"
#include "sim/rounding/half_down.h"
#include "sim/rounding/half_even.h"
#include "sim/rounding/half_odd.h"
#include "sim/rounding/half_toward_zero.h"
#include "sim/rounding/half_up.h"
#include "sim/rounding/neg_half_up_pos_half_even.h"
#include "sim/rounding/rounding.h"
#include "sim/rounding/toward_zero.h"

namespace facsim::sim {

/// Calls f with a value of the mode's type: with_rounding(mode, [&]<class Mode>(Mode) { … }).
template <class F>
decltype(auto) with_rounding(Rounding mode, F&& f) {
  switch (mode) {
#define FACSIM_ROUNDING(name) \
  case Rounding::name:        \
    return f(rounding::name{});
#include "sim/rounding/rounding.def"
#undef FACSIM_ROUNDING
  }
  facsim::detail::check_failed(__FILE__, __LINE__, "mode is a Rounding", "");
}

}  // namespace facsim::sim
