// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/rounding.h"

#include <doctest/doctest.h>

#include <stdexcept>
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

TEST_CASE("rounding: what no mode or shift is") {
  const auto none = static_cast<Rounding>(all_roundings().size());
  CHECK(to_string(none) == "?");
  CHECK_THROWS_AS(round_real(none, 1.5), std::logic_error);
  CHECK_THROWS_AS(round_shift(Rounding::floor, 1, -1), std::logic_error);
  CHECK_THROWS_AS(round_shift(Rounding::floor, 1, 127), std::logic_error);
  CHECK_THROWS_AS(round_divide(Rounding::floor, 1, 0), std::logic_error);
  CHECK_THROWS_AS(round_divide(Rounding::floor, 1, -1), std::logic_error);
}

TEST_CASE("rounding: shifts and divisors at both ends") {
  constexpr int128 kLargest = static_cast<int128>(~uint128{0} >> 1);
  CHECK(round_shift(Rounding::floor, kLargest, 0) == kLargest);
  CHECK(round_shift(Rounding::ceil, kLargest, 126) == 2);
  CHECK(round_shift(Rounding::floor, -kLargest - 1, 126) == -2);
  CHECK(round_divide(Rounding::ceil, -7, 1) == -7);
  CHECK(round_divide(Rounding::half_up, kLargest, kLargest) == 1);
}

}  // namespace
}  // namespace facsim::sim
