// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/backends/injected_settings.h"

namespace facsim::test {
namespace {

/// On which every setting that can show does: all codes and pairs of codes (SeparatingNetwork).
constexpr int64_t kImages = 256;

/// FACSIM_DIAGNOSE_STRIDE=1 takes every setting, in minutes; else every 37th of each profile's
/// list.
size_t stride_of_run() {
  const char* text = std::getenv("FACSIM_DIAGNOSE_STRIDE");
  const int stride = text == nullptr ? 37 : std::atoi(text);
  return static_cast<size_t>(std::max(stride, 1));
}

/// FACSIM_DIAGNOSE_PROFILE=NAME takes that one alone.
std::vector<std::string> profiles_of_run() {
  if (const char* one = std::getenv("FACSIM_DIAGNOSE_PROFILE")) return {one};
  return backends::list_profiles(backends::ProfileSearch::standard());
}

TEST_CASE("diagnose: a changed setting, or one proved equal, is first, of every executed profile") {
  int changed = 0;
  for (const std::string& name : profiles_of_run()) {
    const backends::Profile profile =
        backends::load_profile(name, backends::ProfileSearch::standard());
    if (profile.evidence.level != backends::Profile::Evidence::Level::executed) continue;
    const size_t layers = SeparatingNetwork(profile).graph().nodes.size();
    const Injections result = inject(name, stride_of_run(), kImages, false);
    print(name, layers, result);
    for (const std::string& pair : result.undecided) std::cout << "  undecided: " << pair << "\n";
    CHECK(result.wrong == 0);
    CHECK(result.undecided.empty());
    changed += result.changed;
  }
  CHECK(changed > 0);
}

}  // namespace
}  // namespace facsim::test
