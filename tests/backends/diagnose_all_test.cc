// SPDX-License-Identifier: Apache-2.0
#include "tests/backends/injected_settings.h"

namespace facsim::test {
namespace {

TEST_CASE("diagnose: a changed setting is ranked first, every one of every executed profile") {
  for (const std::string& name : backends::list_profiles(backends::ProfileSearch::standard())) {
    const backends::Profile profile =
        backends::load_profile(name, backends::ProfileSearch::standard());
    if (profile.evidence.level != backends::Profile::Evidence::Level::executed) continue;
    const size_t layers = TenLayers(profile).graph().nodes.size();
    const Injections result = inject(name, 1, 8, false);
    print(name, layers, result);
    CHECK(result.wrong == 0);
  }
}

}  // namespace
}  // namespace facsim::test
