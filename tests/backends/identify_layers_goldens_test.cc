// SPDX-License-Identifier: Apache-2.0
// Recorded layers of real runtimes: the profile they were recorded under is found, and suggested
// layers, answered by its rules, leave one class.
#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <map>

#include "backends/parity/vectors_manifest-internal.h"
#include "tests/backends/layer_dialogue.h"

namespace facsim::backends {
namespace {

using test::LayerDialogueEnd;

bool names_profile(const IdentifyResult& result, const std::string& profile) {
  return std::any_of(result.candidates.begin(), result.candidates.end(),
                     [&](const auto& c) { return c.profile == profile && c.settings.empty(); });
}

/// Two quick groups, or every n-th with FACSIM_IDENTIFY_STRIDE=n: all take ten minutes.
bool is_asked(size_t group, const std::string& key) {
  const char* text = std::getenv("FACSIM_IDENTIFY_STRIDE");
  const long stride = text == nullptr ? 0 : std::atol(text);
  if (stride > 0) return group % static_cast<size_t>(stride) == 0;
  return key == "conv2d conv_s16 cmsis-nn" || key == "average_pool2d pool_s16 cmsis-nn";
}

TEST_CASE("identify layers: recorded layers name their runtime's profile, a dialogue decides") {
  const char* folder = std::getenv("FACSIM_VECTORS_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::cout << "SKIPPED: FACSIM_VECTORS_DIR is not set\n";
    return;
  }
  const detail::VectorSuite suite = detail::read_vector_suite(folder);
  constexpr std::array kOps{"conv2d",     "depthwise_conv2d",   "fully_connected", "add",
                            "mul",        "average_pool2d",     "max_pool2d",      "QLinearConv",
                            "QLinearAdd", "QLinearAveragePool", "QLinearMatMul",   "QGemm"};
  std::map<std::string, std::vector<std::string>> groups;
  for (const detail::VectorCase& c : suite.cases) {
    if (std::find(kOps.begin(), kOps.end(), c.op) == kOps.end()) continue;
    groups[c.op + " " + c.family + " " + c.profile].push_back(c.name);
  }
  REQUIRE(groups.size() > 20);
  size_t group = 0;
  for (const auto& [key, names] : groups) {
    const size_t number = group++;
    if (!is_asked(number, key)) continue;
    CAPTURE(key);
    const std::string profile = key.substr(key.rfind(' ') + 1);
    const Profile device = load_profile(profile, ProfileSearch::standard());
    LayerDialogue dialogue;
    dialogue.suite = folder;
    dialogue.cases = names;
    const LayerDialogueEnd end = test::run_layer_dialogue(
        dialogue, device,
        [&](const IdentifyResult& result) { return names_profile(result, profile); });
    std::cout << key << ": " << names.size() << " cases, " << end.first_classes << " classes, "
              << end.suggested << " suggested layers, then " << end.classes << ", " << end.seconds
              << " s, of processors " << end.processor_seconds << " s" << std::endl;
    CHECK(end.always_named);
    CHECK(end.classes == 1);
    CHECK(end.suggested <= 16);
    CHECK(end.processor_seconds < test::kMostDialogueSeconds);
  }
}

}  // namespace
}  // namespace facsim::backends
