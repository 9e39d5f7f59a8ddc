// SPDX-License-Identifier: Apache-2.0
#include "sim/overflow/overflow.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "sim/core/error.h"

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

TEST_CASE("overflow: what no policy is") {
  const auto none = static_cast<Overflow>(all_overflows().size());
  CHECK(to_string(none) == "?");
  bool changed = false;
  CHECK_THROWS_AS(bring_into(none, 1, kInt8, changed), std::logic_error);
}

TEST_CASE("overflow: the refusal names the type and its ends") {
  bool changed = false;
  try {
    bring_into(Overflow::error, -9, IntType{4, true}, changed);
    FAIL("accepted");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::bad_value);
    CHECK(std::string(e.what()).find("a value outside int4") != std::string::npos);
    CHECK(std::string(e.what()).find("-8..7") != std::string::npos);
  }
}

}  // namespace
}  // namespace facsim::sim
