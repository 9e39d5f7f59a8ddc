// SPDX-License-Identifier: Apache-2.0
// Whole recorded networks: how many bits their weights and biases demand of accumulators. The
// expected counts come from an independent computation over the same weights.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <nlohmann/json.hpp>

#include "tests/tools/command_runner.h"

namespace facsim::test {

namespace {

struct RecordedRanges {
  const char* network;
  int64_t channels, above_16, above_20, above_24;  ///< channels that need more bits than that
};

}  // namespace

TEST_CASE("facsim ranges: recorded networks fit 32 bits, and how many channels fit fewer") {
  const char* folder = std::getenv("FACSIM_MODELS_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::cout << "SKIPPED: FACSIM_MODELS_DIR is not set\n";
    return;
  }
  const RecordedRanges cases[] = {{"kws_ref_int8", 588, 588, 7, 0},
                                  {"resnet8_int8", 346, 346, 212, 0},
                                  {"person_detect", 2738, 2737, 1022, 0}};
  for (const RecordedRanges& expected : cases) {
    CAPTURE(std::string(expected.network));
    const std::string file =
        (std::filesystem::path(folder) / expected.network / "model.tflite").string();
    const CommandResult result = run_command(
        {"ranges", "--profile", "tflite-micro", "--format", "json", "--channels", "--model", file});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    int64_t channels = 0, above_16 = 0, above_20 = 0, above_24 = 0;
    const auto json = nlohmann::json::parse(result.out);
    for (const auto& layer : json.at("layers")) {
      for (const auto& range : layer.at("ranges")) {
        const int64_t bits = range.at("bits").get<int64_t>();
        ++channels;
        above_16 += bits > 16 ? 1 : 0;
        above_20 += bits > 20 ? 1 : 0;
        above_24 += bits > 24 ? 1 : 0;
      }
    }
    CHECK(channels == expected.channels);
    CHECK(above_16 == expected.above_16);
    CHECK(above_20 == expected.above_20);
    CHECK(above_24 == expected.above_24);
    CHECK(run_command({"ranges", "--profile", "tflite-micro", "--bits", "20", "--model", file})
              .exit_code == 1);
  }
}

}  // namespace facsim::test
