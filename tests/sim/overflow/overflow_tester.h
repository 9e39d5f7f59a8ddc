// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

#include "sim/core/error.h"
#include "sim/overflow/all.h"
#include "tests/oracle/overflow.h"

namespace facsim::sim {

struct OverflowCase {
  int64_t value;
  IntType type;
  int64_t expected;
  bool changed;
  const char* reason;
};

/// Everything a policy must satisfy, against the oracle of its name.
template <class Policy>
class OverflowTester {
 public:
  using Oracle = int128 (*)(int128 v, int128 min, int128 max);

  OverflowTester(Overflow policy, Oracle oracle) : policy_(policy), oracle_(oracle) {}

  void table(std::initializer_list<OverflowCase> cases) const {
    for (const OverflowCase& c : cases) {
      INFO(std::string(c.reason));
      CAPTURE(c.value);
      bool changed = !c.changed;
      CHECK(bring_into(policy_, c.value, c.type, changed) == c.expected);
      CHECK(changed == c.changed);
    }
  }

  /// Every value from far below to far above, into every small type; then the ends of the wide
  /// ones.
  void every_type() const {
    for (int bits = 1; bits <= 64; ++bits) {
      for (const bool is_signed : {false, true}) {
        if (bits == 64 && !is_signed) continue;
        const IntType type{bits, is_signed};
        const int128 min = type.min();
        const int128 max = type.max();
        if (bits <= 8) {
          for (int v = -700; v <= 700; ++v) check(v, type);
        }
        for (int128 v : {min, max, int128{0}}) {
          for (int d = -3; d <= 3; ++d) check(v + d, type);
        }
        for (int128 wide : {max * 2 + 1, max * 2 + 2, min * 3 - 1, (max + 1) * 1000 + 7}) {
          check(wide, type);
          check(-wide, type);
        }
      }
    }
  }

 private:
  void check(int128 v, IntType type) const {
    const int128 expected = oracle_(v, type.min(), type.max());
    bool changed = false;
    const bool outside = v < type.min() || v > type.max();
    if (policy_ == Overflow::error && outside) {
      CHECK_THROWS_AS(bring_into(policy_, v, type, changed), Error);
      return;
    }
    const int128 got = bring_into(policy_, v, type, changed);
    if (got != expected || changed != (expected != v)) {
      FAIL(to_string(type) << " from " << static_cast<double>(v) << ": expected "
                           << static_cast<double>(expected) << ", got "
                           << static_cast<double>(got));
    }
    // The same source with 64 bits, as blocks run it, where the type leaves it the spare bit it
    // needs.
    if (type.bits < 64 && v >= INT64_MIN && v <= INT64_MAX) {
      const auto narrow_bounds = overflow::bounds_of(type, int64_t{0});
      CHECK(Policy::bring(static_cast<int64_t>(v), narrow_bounds) == expected);
    }
  }

  Overflow policy_;
  Oracle oracle_;
};

}  // namespace facsim::sim
