// SPDX-License-Identifier: Apache-2.0
// A device that answers suggested layers by the rules of a profile.
#pragma once

#include <doctest/doctest.h>

#include <chrono>

#include "backends/parity/identify.h"
#include "backends/parity/vectors_gen_suite-internal.h"
#include "sim/core/error.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::test {

struct LayerDialogueEnd {
  bool always_named = true;  ///< the device's rules were among the candidates every time
  size_t first_classes = 0, classes = 0, suggested = 0;
  double seconds = 0;
  backends::IdentifyResult last;
};

/// `suite`: recorded cases; asks until one class is left or 16 layers were suggested. `is_named`
/// says whether candidates include the device's rules.
template <class IsNamed>
LayerDialogueEnd run_layer_dialogue(const std::filesystem::path& suite,
                                    const std::vector<std::string>& cases,
                                    const backends::Profile& device, int suggest,
                                    const backends::TemporaryFolder& folder, const std::string& label,
                                    const IsNamed& is_named) {
  namespace detail = backends::detail;
  backends::IdentifyOptions options;
  options.search = backends::ProfileSearch::standard();
  options.threads = 0;
  backends::IdentifyLayers layers{suite, cases, {}, {}};
  backends::GeneratedSuite answered, refused;
  answered.profile = refused.profile = "unknown";
  answered.op = refused.op = "layers";
  LayerDialogueEnd end;
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0;; ++round) {
    std::vector<backends::GeneratedCase> next;
    options.suggest = std::min(suggest, 16 - static_cast<int>(end.suggested));
    end.last = backends::identify_layers(layers, options, &next);
    end.classes = end.last.classes.size();
    end.always_named &= is_named(end.last);
    if (round == 0) end.first_classes = end.classes;
    if (next.empty()) break;
    end.suggested += next.size();
    for (backends::GeneratedCase& made : next) {
      made.name = "round" + std::to_string(round) + "_" + made.name;
      try {
        made.golden = detail::compute_layer(detail::layer_of(made), device);
        answered.cases.push_back(made);
      } catch (const Error&) {
        refused.cases.push_back(made);
      }
    }
    const auto write = [&](const backends::GeneratedSuite& some, const std::string& name) {
      if (some.cases.empty()) return std::filesystem::path();
      const std::filesystem::path to =
          folder / (label + "_" + name + "_" + std::to_string(round));
      backends::write_vectors(to, some, {});
      return to;
    };
    layers.answered = write(answered, "answered");
    layers.refused = write(refused, "refused");
  }
  end.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return end;
}

}  // namespace facsim::test
