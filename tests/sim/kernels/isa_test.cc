// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/isa.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/core/error.h"

namespace facsim::sim {
namespace {

constexpr Isa kAll[] = {Isa::best, Isa::scalar, Isa::ssse3,   Isa::sse4,
                        Isa::avx2, Isa::avx3,   Isa::avx3_dl, Isa::neon};

TEST_CASE("isa: every name reads back") {
  for (Isa isa : kAll) {
    CAPTURE(to_string(isa));
    CHECK(isa_from_string(to_string(isa)) == isa);
  }
  CHECK_FALSE(isa_from_string("avx512").has_value());
  CHECK_FALSE(isa_from_string("").has_value());
}

TEST_CASE("isa: best is the widest available, scalar the first") {
  const std::vector<Isa> available = available_isas();
  CHECK(available.front() == Isa::scalar);
  CHECK(resolve_isa(Isa::best) == available.back());
  for (Isa isa : available) CHECK(resolve_isa(isa) == isa);
}

TEST_CASE("isa: one this CPU lacks is refused, not replaced") {
  const std::vector<Isa> available = available_isas();
  for (Isa isa : kAll) {
    if (isa == Isa::best || std::count(available.begin(), available.end(), isa) > 0) continue;
    CAPTURE(to_string(isa));
    try {
      resolve_isa(isa);
      FAIL("not refused");
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::unsupported);
    }
  }
}

}  // namespace
}  // namespace facsim::sim
