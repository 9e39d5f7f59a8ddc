// SPDX-License-Identifier: Apache-2.0
#include "sim/overflow/overflow.h"

#include <doctest/doctest.h>

namespace facsim::sim {
namespace {

TEST_CASE("overflow: every policy has a name that reads back") {
  CHECK(all_overflows().size() == 5);
  for (Overflow policy : all_overflows()) {
    CAPTURE(to_string(policy));
    CHECK(overflow_from_string(to_string(policy)) == policy);
  }
}

TEST_CASE("overflow: other words are no policy") {
  for (const char* word : {"clip", "", "Saturate", "saturate_sym"}) {
    CAPTURE(word);
    CHECK_FALSE(overflow_from_string(word).has_value());
  }
}

}  // namespace
}  // namespace facsim::sim
