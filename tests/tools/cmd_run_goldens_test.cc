// SPDX-License-Identifier: Apache-2.0
// The command alone, on .tflite files as they are: the outputs that real runtimes recorded.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "backends/io/npy.h"
#include "tests/tools/command_runner.h"

namespace facsim::test {

namespace {

/// [samples, 1, …] as [samples, …].
Tensor without_file_batch(const Tensor& recorded) {
  std::vector<int64_t> extents = recorded.shape().extents();
  REQUIRE(extents.size() >= 2);
  REQUIRE(extents[1] == 1);
  extents.erase(extents.begin() + 1);
  return recorded.reshaped(Shape(extents));
}

}  // namespace

TEST_CASE(
    "facsim run: .tflite networks give the runtimes' outputs, nothing but the profile named") {
  const char* folder = std::getenv("FACSIM_MODELS_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::cout << "SKIPPED: FACSIM_MODELS_DIR is not set\n";
    return;
  }
  const std::pair<const char*, const char*> runtimes[] = {
      {"y_tflm_ref", "tflite-micro"},     {"y_tflm_ref", "cmsis-nn"},
      {"y_sr", "tflite-single-rounding"}, {"y_builtin", "tflite-builtin"},
      {"y_xnn", "xnnpack-x86"},           {"y_litert", "xnnpack-x86"}};
  for (const char* network : {"resnet8_int8", "kws_ref_int8", "person_detect"}) {
    CAPTURE(network);
    const std::filesystem::path place = std::filesystem::path(folder) / network;
    const backends::NpzFile golden(place / "golden.npz");
    const TempFolder temporary;
    const std::string inputs = (temporary / "x.npy").string();
    const std::string outputs = (temporary / "y.npz").string();
    backends::write_npy(inputs, without_file_batch(golden.read("X")));
    for (const auto& [array, profile] : runtimes) {
      CAPTURE(array);
      CAPTURE(profile);
      const CommandResult result =
          run_command({"run", "--model", (place / "model.tflite").string(), "--profile", profile,
                       "--inputs", inputs, "-o", outputs});
      CAPTURE(result.err);
      REQUIRE(result.exit_code == 0);
      const backends::NamedTensors codes = backends::read_npz(outputs);
      REQUIRE(codes.size() == 1);
      const Tensor expected = without_file_batch(golden.read(array));
      REQUIRE(codes[0].second.shape() == expected.shape());
      int64_t different = 0;
      for (int64_t i = 0; i < expected.numel(); ++i) {
        different += codes[0].second.int_at(i) != expected.int_at(i) ? 1 : 0;
      }
      CHECK(different == 0);
    }
  }
}

}  // namespace facsim::test
