// SPDX-License-Identifier: Apache-2.0
#include "backends/text/did_you_mean.h"

#include <doctest/doctest.h>

#include <vector>

namespace facsim::backends {

TEST_CASE("did_you_mean: the distance counts inserts, deletions, replacements and swaps") {
  struct Case {
    const char* a;
    const char* b;
    size_t distance;
  };
  for (const Case& c :
       {Case{"", "", 0}, Case{"", "abc", 3}, Case{"abc", "", 3}, Case{"half_even", "half_even", 0},
        Case{"roundng", "rounding", 1}, Case{"comprae", "compare", 1}, Case{"kitten", "sitting", 3},
        Case{"ca", "abc", 3}, Case{"ab", "ba", 1}}) {
    CAPTURE(c.a);
    CAPTURE(c.b);
    CHECK(edit_distance(c.a, c.b) == c.distance);
    CHECK(edit_distance(c.b, c.a) == c.distance);
  }
}

TEST_CASE("did_you_mean: the nearest word, or none") {
  const std::vector<std::string> words = {"half_up", "half_even", "floor", "toward_zero", "run"};
  CHECK(did_you_mean("half_evn", words) == "half_even");
  CHECK(did_you_mean("HALF_EVEN", words) == "half_even");
  CHECK(did_you_mean("toward", words) == "toward_zero");
  CHECK(did_you_mean("flor", words) == "floor");
  CHECK(did_you_mean("rnu", words) == "run");
  CHECK(did_you_mean("nearest", words).empty());
  CHECK(did_you_mean("xyz", words).empty());
  CHECK(did_you_mean("", words).empty());
  CHECK(did_you_mean(std::string(65, 'f'), words).empty());
  CHECK(did_you_mean("run", {}).empty());
  CHECK(did_you_mean_hint("flor", words) == "did you mean \"floor\"?");
  CHECK(did_you_mean_hint("nearest", words).empty());
}

}  // namespace facsim::backends
