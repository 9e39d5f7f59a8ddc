// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/diagnose.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "backends/parity/compare.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tests/backends/ten_layer_network.h"

namespace facsim::backends {
namespace {

const Profile& no_other(std::string_view name) {
  throw Error({ErrorCode::unsupported, "", std::string(name), "", ""});
}

/// Every tensor of a run by the norm, as a device would dump it.
NamedTensors dump(const sim::Graph& graph, const std::vector<Tensor>& inputs) {
  sim::ExecutorOptions options;
  options.threads = 1;
  options.trace = true;
  const sim::RunResult run = sim::Executor(graph, options).run(inputs);
  NamedTensors named;
  for (size_t t = 0; t < run.tensors.size(); ++t) {
    named.emplace_back(graph.tensors[t].name, run.tensors[t]);
  }
  return named;
}

bool equal(const NamedTensors& a, const NamedTensors& b) { return compare(a, b, 0).equal(); }

bool is_in(const std::vector<Knob>& knobs, const Knob& wanted) {
  return knobs.size() == 1 && knobs[0].pointer == wanted.pointer && knobs[0].to == wanted.to;
}

struct Injections {
  int changed = 0;      ///< settings that change a bit
  int unchanged = 0;    ///< settings that change none on these images
  int refused = 0;      ///< settings with which a layer cannot be lowered
  int first = 0;        ///< the setting itself is first
  int proved = 0;       ///< one whose lowered ops are equal is first
  int same_values = 0;  ///< one that computes the same values on these images is first
  int wrong = 0;
};

/// Changes each setting of a profile in turn, `stride` apart, and diagnoses what comes out.
Injections inject(const std::string& name, size_t stride, int64_t images, bool only_outputs) {
  const Profile profile = load_profile(name, ProfileSearch::standard());
  test::TenLayers network(profile);
  const std::vector<Tensor> inputs = network.images(images);
  const NamedTensors own = dump(lower(network.graph(), profile), inputs);
  DiagnoseOptions options;
  options.search = ProfileSearch::standard();
  options.profile = name;
  options.pairs = KnobPairs::never;
  options.images = images;
  Diagnoser diagnoser(network.graph(), options, no_other);
  const std::vector<Knob> knobs = diagnoser.knobs();
  Injections result;
  for (size_t k = 0; k < knobs.size(); k += stride) {
    const Knob& knob = knobs[k];
    NamedTensors golden;
    try {
      golden = dump(
          lower(network.graph(), load_profile(name, ProfileSearch::standard(), knob.overrides)),
          inputs);
    } catch (const Error&) {
      ++result.refused;
      continue;
    }
    if (only_outputs) golden = {golden.back()};
    if (only_outputs ? equal({own.back()}, golden) : equal(own, golden)) {
      ++result.unchanged;
      continue;
    }
    ++result.changed;
    const Diagnosis diagnosis = diagnoser.run(inputs, golden);
    CAPTURE(name);
    CAPTURE(knob.sentence);
    REQUIRE(!diagnosis.causes.empty());
    const Cause& cause = diagnosis.causes[0];
    CHECK(cause.explains_all());
    const auto same = std::find_if(cause.also.begin(), cause.also.end(),
                                   [&](const Cause::Same& s) { return is_in(s.knobs, knob); });
    if (is_in(cause.knobs, knob)) {
      ++result.first;
    } else if (same != cause.also.end()) {
      ++(same->proved ? result.proved : result.same_values);
    } else {
      ++result.wrong;
      FAIL_CHECK("first: " << cause.knobs[0].sentence);
    }
  }
  return result;
}

void print(const std::string& name, size_t layers, const Injections& r) {
  std::cout << name << ": " << layers << " layers, " << r.changed << " settings change a bit ("
            << r.unchanged << " none, " << r.refused << " refused): first itself " << r.first
            << ", proved equal " << r.proved << ", equal on these images " << r.same_values
            << ", wrong " << r.wrong << "\n";
}

TEST_CASE("diagnose: a changed setting is ranked first, of some profiles") {
  for (const char* name : {"tflite-reference", "onnxruntime-cpu", "vitis-ai"}) {
    const Injections result = inject(name, 17, 8, false);
    CHECK(result.changed > 3);
    CHECK(result.wrong == 0);
  }
}

TEST_CASE("diagnose: a changed setting is ranked first, every one of every executed profile" *
          doctest::skip(std::getenv("FACSIM_DIAGNOSE_ALL") == nullptr)) {
  for (const std::string& name : list_profiles(ProfileSearch::standard())) {
    const Profile profile = load_profile(name, ProfileSearch::standard());
    if (profile.evidence.level != Profile::Evidence::Level::executed) continue;
    const size_t layers = test::TenLayers(profile).graph().nodes.size();
    const Injections result = inject(name, 1, 8, false);
    print(name, layers, result);
    CHECK(result.wrong == 0);
  }
}

}  // namespace
}  // namespace facsim::backends
