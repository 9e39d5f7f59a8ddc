// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "tests/backends/injected_settings.h"

namespace facsim::test {
namespace {

/// On which every setting that can show does: all codes and pairs of codes (SeparatingNetwork).
constexpr int64_t kImages = 256;

/// FACSIM_DIAGNOSE_STRIDE=1 takes every setting, in minutes; else every 37th of each profile's
/// list, from one that FACSIM_EXHAUSTIVE_SEED names (a commit's hash, or any text; else the first).
Every settings_of_run() {
  const char* text = std::getenv("FACSIM_DIAGNOSE_STRIDE");
  Every every{static_cast<size_t>(std::max(text == nullptr ? 37 : std::atoi(text), 1)), 0};
  const char* seed = std::getenv("FACSIM_EXHAUSTIVE_SEED");
  if (seed != nullptr && *seed != 0) {
    std::seed_seq sequence(seed, seed + std::strlen(seed));
    every.first = std::mt19937_64(sequence)() % every.stride;
  }
  return every;
}

/// FACSIM_DIAGNOSE_PROFILE=NAME takes that one alone.
std::vector<std::string> profiles_of_run() {
  if (const char* one = std::getenv("FACSIM_DIAGNOSE_PROFILE")) return {one};
  return backends::list_profiles(backends::ProfileSearch::standard());
}

TEST_CASE("diagnose: a changed setting, or one proved equal, is first, of every executed profile") {
  int changed = 0;
  const Every every = settings_of_run();
  std::cout << "settings " << every.first << ", " << every.first + every.stride
            << ", … (FACSIM_EXHAUSTIVE_SEED, FACSIM_DIAGNOSE_STRIDE)\n";
  for (const std::string& name : profiles_of_run()) {
    const backends::Profile profile =
        backends::load_profile(name, backends::ProfileSearch::standard());
    if (profile.evidence.level != backends::Profile::Evidence::Level::executed) continue;
    const size_t layers = SeparatingNetwork(profile).graph().nodes.size();
    const Injections result = inject(name, every, kImages, false);
    print(name, layers, result);
    for (const std::string& pair : result.undecided) std::cout << "  undecided: " << pair << "\n";
    CHECK(result.wrong == 0);
    CHECK(result.undecided.empty());
    if (every.stride == 1) CHECK(result.changed > 0);  // some samples hold none that does
    changed += result.changed;
  }
  CHECK(changed > 0);
}

}  // namespace
}  // namespace facsim::test
