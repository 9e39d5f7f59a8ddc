// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdlib>

#include "tests/backends/injected_settings.h"

namespace facsim::test {
namespace {

/// Every setting takes minutes: FACSIM_DIAGNOSE_STRIDE=1. Else every seventeenth of each profile's
/// list.
size_t stride_of_run() {
  const char* text = std::getenv("FACSIM_DIAGNOSE_STRIDE");
  const int stride = text == nullptr ? 17 : std::atoi(text);
  return static_cast<size_t>(std::max(stride, 1));
}

TEST_CASE("diagnose: a changed setting is ranked first, of every executed profile") {
  for (const std::string& name : backends::list_profiles(backends::ProfileSearch::standard())) {
    const backends::Profile profile =
        backends::load_profile(name, backends::ProfileSearch::standard());
    if (profile.evidence.level != backends::Profile::Evidence::Level::executed) continue;
    const size_t layers = TenLayers(profile).graph().nodes.size();
    const Injections result = inject(name, stride_of_run(), 48, false);
    print(name, layers, result);
    for (const std::string& pair : result.undecided) std::cout << "  undecided: " << pair << "\n";
    CHECK(result.wrong == 0);
  }
}

}  // namespace
}  // namespace facsim::test
