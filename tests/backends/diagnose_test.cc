// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/diagnose.h"

#include "tests/backends/injected_settings.h"

namespace facsim::test {
namespace {

TEST_CASE("diagnose: a changed setting is ranked first, of some profiles") {
  for (const char* name : {"tflite-reference", "onnxruntime-cpu", "vitis-ai"}) {
    const Injections result = inject(name, {.stride = 17}, 8, false);
    CHECK(result.changed > 3);
    CHECK(result.wrong == 0);
  }
}

}  // namespace
}  // namespace facsim::test
