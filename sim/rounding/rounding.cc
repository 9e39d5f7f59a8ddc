// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/rounding.h"

#include "sim/core/check.h"
#include "sim/rounding/all.h"

namespace facsim::sim {

std::string_view to_string(Rounding mode) {
  switch (mode) {
#define FACSIM_ROUNDING(name) \
  case Rounding::name:        \
    return #name;
#include "sim/rounding/rounding.def"
#undef FACSIM_ROUNDING
  }
  return "?";
}

std::optional<Rounding> rounding_from_string(std::string_view word) {
  for (Rounding mode : all_roundings()) {
    if (to_string(mode) == word) return mode;
  }
  return std::nullopt;
}

const std::vector<Rounding>& all_roundings() {
  static const std::vector<Rounding> modes = {
#define FACSIM_ROUNDING(name) Rounding::name,
#include "sim/rounding/rounding.def"
#undef FACSIM_ROUNDING
  };
  return modes;
}

int128 round_shift(Rounding mode, int128 v, int n) {
  FACSIM_CHECK(n >= 0 && n <= 126);
  return with_rounding(mode, [&]<class Mode>(Mode) {
    return rounding::shift_right<Mode>(v, static_cast<int128>(n));
  });
}

int128 round_divide(Rounding mode, int128 v, int128 d) {
  FACSIM_CHECK(d > 0);
  return with_rounding(mode, [&]<class Mode>(Mode) { return rounding::divide<Mode>(v, d); });
}

double round_real(Rounding mode, double v) {
  return with_rounding(mode, [&]<class Mode>(Mode) { return rounding::real<Mode>(v); });
}

float round_real(Rounding mode, float v) {
  return with_rounding(mode, [&]<class Mode>(Mode) { return rounding::real<Mode>(v); });
}

}  // namespace facsim::sim
