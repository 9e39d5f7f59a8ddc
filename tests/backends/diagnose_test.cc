// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/diagnose.h"

#include "backends/parity/cause_ranking-internal.h"
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

TEST_CASE("diagnose: of settings that explain equally, an executed profile's comes first") {
  std::deque<backends::detail::KnobRules> knobs(3);
  knobs[0].knob = {"/requantize/multiplier/bits",
                   "32",
                   "21",
                   {{"/requantize/multiplier/bits", "21"}},
                   "the device multiplies by 21 bits"};
  // xnnpack-x86 scales like this; no profile rounds to odd in float32.
  knobs[1].knob = {"/requantize/domain",
                   "\"fixed_point\"",
                   "\"float32\"",
                   {{"/requantize/domain", "float32"}, {"/requantize/rounding", "half_even"}},
                   "the device scales in float32"};
  knobs[2].knob = knobs[1].knob;
  knobs[2].knob.overrides[1].value = "half_odd";
  const size_t own = knobs.size();
  backends::DiagnoseOptions options;
  options.search = backends::ProfileSearch::standard();
  options.profile = "tflite-builtin";
  backends::detail::CauseRanking ranking(options, knobs, own);
  std::vector<backends::detail::TriedSettings> trials(3);
  for (size_t k = 0; k < trials.size(); ++k) {
    trials[k].knobs = {2 - k};
    trials[k].effect.explained = 5;
  }
  ranking.sort(trials);
  CHECK(trials[0].knobs == std::vector<size_t>{1});
  CHECK(trials[1].knobs == std::vector<size_t>{0});
  CHECK(trials[2].knobs == std::vector<size_t>{2});
  // What explains more is first all the same.
  trials[2].effect.explained = 6;
  ranking.sort(trials);
  CHECK(trials[0].knobs == std::vector<size_t>{2});
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
