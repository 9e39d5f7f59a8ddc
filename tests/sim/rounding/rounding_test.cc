// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/rounding.h"

#include <doctest/doctest.h>

#include <string>

namespace facsim::sim {
namespace {

TEST_CASE("rounding: every mode has a name that reads back") {
  CHECK(all_roundings().size() == 11);
  for (Rounding mode : all_roundings()) {
    CAPTURE(to_string(mode));
    CHECK(rounding_from_string(to_string(mode)) == mode);
  }
  CHECK(to_string(Rounding::half_away_from_zero) == "half_away_from_zero");
}

TEST_CASE("rounding: other words are no mode") {
  for (const char* word : {"nearest", "", "HALF_UP", "half_up ", "round"}) {
    CAPTURE(word);
    CHECK_FALSE(rounding_from_string(word).has_value());
  }
}

}  // namespace
}  // namespace facsim::sim
