// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/contest.h"

#include <doctest/doctest.h>

namespace facsim::bench {

TEST_CASE(
    "contest: contenders take turns, one sample a round, each after a run that is not counted; "
    "the order turns") {
  std::string order;
  const std::vector<Contender> contenders = {{"a", [&] { order += 'a'; }},
                                             {"b", [&] { order += 'b'; }}};
  const std::vector<Times> times = contest(contenders, {.rounds = 3, .sample_ms = 0});
  CHECK(order ==
        "aabb"
        "aabb"
        "bbaa"
        "aabb");
  REQUIRE(times.size() == 2);
  CHECK(times[0].ns.size() == 3);
  CHECK(times[1].ns.size() == 3);
}

TEST_CASE("contest: medians, minima, ratios and means") {
  const Times a{{4, 1, 9}}, b{{2, 2, 3}};
  CHECK(a.median() == 4);
  CHECK(a.minimum() == 1);
  CHECK(ratio(a, b).median == 2);  // of 2, 0.5, 3
  CHECK(ratio(a, b).minimum == 0.5);
  const double values[] = {1, 4};
  CHECK(geometric_mean(values) == doctest::Approx(2));
  CHECK(geometric_mean({}) == 0);
  CHECK(Times{}.median() == 0);
}

}  // namespace facsim::bench
