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

TEST_CASE("diagnose: the verdict, by what settings and findings explain") {
  using Verdict = backends::Diagnosis::Verdict;
  struct Row {
    const char* reason;
    int64_t explained, introduced;  // by the best setting, of 100; 0: there is none
    std::vector<backends::LayerFinding> findings;
    Verdict expected;
  };
  const Row rows[] = {
      {"half is most", 50, 0, {}, Verdict::setting},
      {"less is not", 49, 0, {}, Verdict::unexplained},
      {"what is introduced counts against it", 70, 21, {}, Verdict::unexplained},
      {"nothing explains", 0, 0, {}, Verdict::unexplained},
      {"findings of layers add up",
       60,
       0,
       {{"a", "", 50, 50}, {"b", "", 40, 40}},
       Verdict::findings},
      {"two findings of a layer do not",
       60,
       0,
       {{"a", "x", 50, 50}, {"a", "y", 50, 50}},
       Verdict::setting},
      {"of all layers", 49, 0, {{"", "", 100, 100}}, Verdict::findings},
      {"findings alone", 0, 0, {{"", "", 100, 100}}, Verdict::findings},
      {"findings of the smaller part", 10, 0, {{"a", "", 50, 50}}, Verdict::unexplained},
      {"a setting that explains it all as well is not passed over",
       100,
       0,
       {{"", "", 100, 100}},
       Verdict::setting},
  };
  for (const Row& row : rows) {
    CAPTURE(row.reason);
    backends::Diagnosis diagnosis;
    diagnosis.mismatches = 1000;  // of which 100 on the images tried
    diagnosis.mismatches_tried = 100;
    diagnosis.findings = row.findings;
    if (row.explained > 0) {
      backends::Cause cause;
      cause.explained = row.explained;
      cause.introduced = row.introduced;
      cause.of = 100;
      diagnosis.causes = {cause};
    }
    CHECK(diagnosis.verdict() == row.expected);
  }
  CHECK(backends::Diagnosis().verdict() == Verdict::equal);
}

}  // namespace
}  // namespace facsim::test
