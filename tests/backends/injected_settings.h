// SPDX-License-Identifier: Apache-2.0
// Changes settings of a profile one by one, and asks diagnose which one it was.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "backends/parity/compare.h"
#include "backends/parity/diagnose.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tests/backends/separating_network.h"

namespace facsim::test {

inline const backends::Profile& no_other(std::string_view name) {
  throw Error({ErrorCode::unsupported, "", std::string(name), "", ""});
}

/// Every tensor of a run by the norm, as a device would dump it.
inline backends::NamedTensors dump(const sim::Graph& graph, const std::vector<Tensor>& inputs) {
  sim::ExecutorOptions options;
  options.threads = 1;
  options.trace = true;
  const sim::RunResult run = sim::Executor(graph, options).run(inputs);
  backends::NamedTensors named;
  for (size_t t = 0; t < run.tensors.size(); ++t) {
    named.emplace_back(graph.tensors[t].name, run.tensors[t]);
  }
  return named;
}

inline bool equal(const backends::NamedTensors& a, const backends::NamedTensors& b) {
  return backends::compare(a, b, 0).equal();
}

inline bool is_in(const std::vector<backends::Knob>& knobs, const backends::Knob& wanted) {
  return knobs.size() == 1 && knobs[0].pointer == wanted.pointer && knobs[0].to == wanted.to;
}

/// Settings number first, first + stride, … of a profile's list.
struct Every {
  size_t stride = 1, first = 0;
};

struct Injections {
  int changed = 0;      ///< settings that change a bit
  int unchanged = 0;    ///< settings that change none on these images
  int refused = 0;      ///< settings with which a layer cannot be lowered
  int first = 0;        ///< the setting itself is first
  int proved = 0;       ///< one whose lowered ops are equal is first
  int same_values = 0;  ///< one that computes the same values on these images is first
  int wrong = 0;
  std::vector<std::string> undecided;  ///< of same_values: the setting, and the first one
};

/// Changes settings of a profile in turn, and diagnoses what comes out.
inline Injections inject(const std::string& name, Every every, int64_t images, bool only_outputs) {
  const backends::Profile profile =
      backends::load_profile(name, backends::ProfileSearch::standard());
  SeparatingNetwork network(profile);
  const std::vector<Tensor> inputs = network.images(images);
  const backends::NamedTensors own = dump(backends::lower(network.graph(), profile), inputs);
  backends::DiagnoseOptions options;
  options.search = backends::ProfileSearch::standard();
  options.profile = name;
  options.pairs = backends::KnobPairs::never;
  options.images = images;
  backends::Diagnoser diagnoser(network.graph(), options, no_other);
  const std::vector<backends::Knob> knobs = diagnoser.knobs();
  Injections result;
  for (size_t k = every.first; k < knobs.size(); k += every.stride) {
    const backends::Knob& knob = knobs[k];
    backends::NamedTensors golden;
    try {
      golden = dump(backends::lower(network.graph(),
                                    backends::load_profile(
                                        name, backends::ProfileSearch::standard(), knob.overrides)),
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
    const backends::Diagnosis diagnosis = diagnoser.run(inputs, golden);
    CAPTURE(name);
    CAPTURE(knob.sentence);
    REQUIRE(!diagnosis.causes.empty());
    const backends::Cause& cause = diagnosis.causes[0];
    CHECK(cause.explains_all());
    const auto same =
        std::find_if(cause.also.begin(), cause.also.end(),
                     [&](const backends::Cause::Same& s) { return is_in(s.knobs, knob); });
    if (is_in(cause.knobs, knob)) {
      ++result.first;
    } else if (same != cause.also.end()) {
      ++(same->proved ? result.proved : result.same_values);
      if (!same->proved) {
        result.undecided.push_back(knob.pointer + "=" + knob.to + " and " + cause.knobs[0].pointer +
                                   "=" + cause.knobs[0].to);
      }
    } else {
      ++result.wrong;
      FAIL_CHECK("first: " << cause.knobs[0].sentence);
    }
  }
  return result;
}

inline void print(const std::string& name, size_t layers, const Injections& r) {
  std::cout << name << ": " << layers << " layers, " << r.changed << " settings change a bit ("
            << r.unchanged << " none, " << r.refused << " refused): first itself " << r.first
            << ", proved equal " << r.proved << ", equal on these images " << r.same_values
            << ", wrong " << r.wrong << "\n";
}

}  // namespace facsim::test
