// SPDX-License-Identifier: Apache-2.0
// The recorded operator suite in FACSIM_VECTORS_DIR, in process.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>

#include "backends/parity/vectors.h"

namespace facsim::backends {
namespace {

using Status = VectorResult::Status;

TEST_CASE("vectors: no case of the recorded suite fails, on the norm and on the fastest kernels") {
  const char* folder = std::getenv("FACSIM_VECTORS_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::cout << "SKIPPED: FACSIM_VECTORS_DIR is not set\n";
    return;
  }
  for (const sim::Isa isa : {sim::Isa::scalar, sim::Isa::best}) {
    VectorOptions options;
    options.search = ProfileSearch::standard();
    options.isa = isa;
    const VectorReport report = check_vectors(folder, options);
    for (const VectorResult& result : report.cases) {
      CAPTURE(result.name);
      CAPTURE(result.message);
      CHECK(result.status != Status::failed);
      if (result.status == Status::passed) CHECK(result.compared > 0);
    }
    // Fewer means that cases stopped being computed.
    constexpr int64_t kPassing = 397;
    CHECK(report.count(Status::passed) >= kPassing);
    std::cout << sim::to_string(isa) << ": " << report.count(Status::passed) << " passed, "
              << report.count(Status::failed) << " failed, " << report.count(Status::unsupported)
              << " unsupported\n";
  }
}

TEST_CASE("vectors: a wrong rounding rule is found by the suite") {
  const char* folder = std::getenv("FACSIM_VECTORS_DIR");
  if (folder == nullptr || *folder == '\0') return;
  VectorOptions options;
  options.search = ProfileSearch::standard();
  options.profile = "tflite-single-rounding";
  const VectorReport report = check_vectors(folder, options);
  CHECK(report.count(Status::failed) > 0);
}

}  // namespace
}  // namespace facsim::backends
