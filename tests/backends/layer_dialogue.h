// SPDX-License-Identifier: Apache-2.0
// A device that answers suggested layers by the rules of a profile.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <ctime>

#include "backends/parity/identify.h"
#include "backends/parity/vectors_gen_suite-internal.h"
#include "sim/core/error.h"

namespace facsim::test {

/// All rounds of a dialogue together.
constexpr double kMostDialogueSeconds = 30;

struct LayerDialogueEnd {
  bool always_named = true;  ///< the device's rules were among the candidates every time
  size_t first_classes = 0, classes = 0, suggested = 0;
  double seconds = 0;
  /// Of all threads, which a busy machine does not change: an idle one needs at most as long.
  double processor_seconds = 0;
  backends::IdentifyResult last;
};

/// `dialogue`: recorded cases; asks until one class is left or 16 layers were suggested. `is_named`
/// says whether candidates include the device's rules.
template <class IsNamed>
LayerDialogueEnd run_layer_dialogue(backends::LayerDialogue dialogue,
                                    const backends::Profile& device, const IsNamed& is_named) {
  namespace detail = backends::detail;
  constexpr int kAtOnce = 6, kMost = 16;
  backends::IdentifyOptions options;
  options.search = backends::ProfileSearch::standard();
  options.threads = 0;
  LayerDialogueEnd end;
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t used_before = std::clock();
  for (int round = 0;; ++round) {
    std::vector<backends::GeneratedCase> next;
    options.suggest = std::min(kAtOnce, kMost - static_cast<int>(end.suggested));
    end.last = backends::identify_layers(dialogue, options, &next);
    end.classes = end.last.classes.size();
    if (end.classes > 0) dialogue.left = backends::settings_left(end.last);
    end.always_named &= is_named(end.last);
    if (round == 0) end.first_classes = end.classes;
    if (next.empty()) break;
    end.suggested += next.size();
    for (backends::GeneratedCase& made : next) {
      try {
        made.golden = detail::compute_layer(detail::layer_of(made), device);
        dialogue.answered.push_back(std::move(made));
      } catch (const Error&) {
        dialogue.refused.push_back(std::move(made));
      }
    }
  }
  end.processor_seconds =
      static_cast<double>(std::clock() - used_before) / static_cast<double>(CLOCKS_PER_SEC);
  end.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return end;
}

}  // namespace facsim::test
