// SPDX-License-Identifier: Apache-2.0
// profile diff --model against what two real runtimes recorded of one network.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "tests/tools/command_runner.h"

namespace facsim::test {

TEST_CASE("facsim profile diff --model: as many outputs differ as between the runtimes") {
  const char* folder = std::getenv("FACSIM_MODELS_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::cout << "SKIPPED: FACSIM_MODELS_DIR is not set\n";
    return;
  }
  for (const char* network : {"resnet8_int8", "kws_ref_int8", "person_detect"}) {
    CAPTURE(network);
    const std::filesystem::path place = std::filesystem::path(folder) / network;
    const backends::NpzFile golden(place / "golden.npz");
    const TempFolder temporary;
    const Tensor recorded = golden.read("X");
    std::vector<int64_t> extents = recorded.shape().extents();
    REQUIRE(extents[1] == 1);
    extents.erase(extents.begin() + 1);
    const std::string inputs = (temporary / "x.npy").string();
    backends::write_npy(inputs, recorded.reshaped(Shape(extents)));
    for (const auto& [array, profile] :
         {std::pair{"y_sr", "tflite-single-rounding"}, {"y_xnn", "xnnpack-x86"}}) {
      CAPTURE(array);
      const CommandResult result =
          run_command({"profile", "diff", "tflite-micro", profile, "--model",
                       (place / "model.tflite").string(), "--inputs", inputs, "--format", "json"});
      CAPTURE(result.err);
      REQUIRE(result.exit_code == 1);
      const nlohmann::json json = nlohmann::json::parse(result.out);
      const Tensor ref = golden.read("y_tflm_ref"), other = golden.read(array);
      int64_t differing = 0;
      for (int64_t i = 0; i < ref.numel(); ++i) differing += ref.int_at(i) != other.int_at(i);
      CHECK(json["layers"].back()["compared"] == ref.numel());
      CHECK(json["layers"].back()["whole"] == differing);
      std::cout << network << ", " << profile << ": " << differing << " of " << ref.numel()
                << " outputs\n";
    }
  }
}

}  // namespace facsim::test
