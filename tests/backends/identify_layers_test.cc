// SPDX-License-Identifier: Apache-2.0
// A device made of a shipped profile with one setting changed, which is in no list: a small
// convolution and the suggested layers find it.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "backends/parity/knobs.h"
#include "backends/parity/profile_diff-internal.h"
#include "tests/backends/layer_dialogue.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::backends {
namespace {

using test::LayerDialogueEnd;

/// Every `stride`th of the drawn devices: FACSIM_IDENTIFY_STRIDE, 1 for all.
size_t identify_stride(size_t unless_told) {
  const char* text = std::getenv("FACSIM_IDENTIFY_STRIDE");
  const long stride = text == nullptr ? 0 : std::atol(text);
  return stride > 0 ? static_cast<size_t>(stride) : unless_told;
}

std::vector<std::string> executed_with_conv2d() {
  std::vector<std::string> names;
  for (const std::string& name : list_profiles(ProfileSearch::standard())) {
    const Profile profile = load_profile(name, ProfileSearch::standard());
    if (profile.evidence.level != Profile::Evidence::Level::executed) continue;
    if (profile.ops.contains("conv2d")) names.push_back(name);
  }
  return names;
}

/// One convolution with the device's outputs.
GeneratedSuite small_conv(const Profile& device, uint64_t seed) {
  detail::VectorDice dice(seed);
  const detail::VectorTarget target = detail::vector_target(device, "conv2d");
  const detail::VectorLayer layer = detail::make_layer(target, dice, VectorStrategy::random);
  GeneratedCase made;
  made.name = "conv";
  made.op = made.family = "conv2d";
  made.graph = layer.graph;
  made.arrays.emplace_back("input", layer.inputs.front());
  for (const IntTensor& tensor : layer.graph.tensors) {
    if (tensor.data) made.arrays.emplace_back(tensor.name, *tensor.data);
  }
  made.golden = detail::compute_layer(layer, device);
  made.output_type = target.output;
  GeneratedSuite suite;
  suite.profile = "unknown";
  suite.op = "conv2d";
  suite.cases.push_back(std::move(made));
  return suite;
}

/// True if a candidate is the profile with exactly these settings.
bool names_settings(const IdentifyResult& result, const std::string& profile,
                    const std::vector<ProfileOverride>& settings) {
  return std::any_of(result.candidates.begin(), result.candidates.end(), [&](const auto& c) {
    return c.profile == profile &&
           std::equal(c.settings.begin(), c.settings.end(), settings.begin(), settings.end(),
                      [](const ProfileOverride& a, const ProfileOverride& b) {
                        return a.pointer == b.pointer && a.value == b.value;
                      });
  });
}

/// True if a candidate is the device: the profile with the changed setting, or as shipped where the
/// change is proved to compute the same.
bool names_device(const IdentifyResult& result, const std::string& profile, const Profile& device,
                  const std::vector<ProfileOverride>& settings) {
  if (names_settings(result, profile, settings)) return true;
  const Profile shipped = load_profile(profile, ProfileSearch::standard());
  const bool is_proved =
      !detail::proof_of_equality("conv2d", shipped.ops.at("conv2d"), device.ops.at("conv2d"))
           .empty();
  return is_proved && names_settings(result, profile, {});
}

TEST_CASE("identify layers: a random setting of a random profile is found from a small conv") {
  constexpr size_t kDevices = 48;
  constexpr uint64_t kSeed = 20261129;
  const std::vector<std::string> names = executed_with_conv2d();
  REQUIRE(names.size() >= 10);
  const TemporaryFolder folder;
  size_t tried = 0;
  for (size_t d = 0; d < kDevices; d += identify_stride(32)) {
    std::mt19937_64 random(kSeed + d);
    const std::string name = names[random() % names.size()];
    const std::vector<Knob> knobs = profile_knobs(name, ProfileSearch::standard(), {}, {"conv2d"});
    REQUIRE_FALSE(knobs.empty());
    const Knob& knob = knobs[random() % knobs.size()];
    CAPTURE(kSeed + d);
    CAPTURE(name);
    CAPTURE(knob.sentence);
    const Profile device = load_profile(name, ProfileSearch::standard(), knob.overrides);
    GeneratedSuite suite;
    try {
      suite = small_conv(device, kSeed + d);
    } catch (const Error& error) {
      std::cout << name << ": " << knob.sentence << ": no such layer: " << error.what() << "\n";
      continue;
    }
    const std::string label = std::to_string(d);
    write_vectors(folder / label, suite, {});
    LayerDialogue dialogue;
    dialogue.suite = folder / label;
    const LayerDialogueEnd end =
        test::run_layer_dialogue(dialogue, device, [&](const IdentifyResult& result) {
          return names_device(result, name, device, knob.overrides);
        });
    ++tried;
    std::cout << name << ": " << knob.sentence << ": " << end.first_classes << " classes, "
              << end.suggested << " suggested layers, then " << end.classes << ", " << end.seconds
              << " s, of processors " << end.processor_seconds << " s" << std::endl;
    CHECK(end.always_named);
    CHECK(end.classes == 1);
    CHECK(end.suggested <= 16);
    CHECK(end.processor_seconds < test::kMostDialogueSeconds);
  }
  CHECK(tried > 0);
}

}  // namespace
}  // namespace facsim::backends
