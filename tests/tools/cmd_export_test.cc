// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>

#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

namespace {

/// The fixture's network with a bias in accumulator units and no node profiles is what it has.
CommandResult export_to(const DeployedFixture& f, const std::string& file,
                        std::vector<std::string> more = {}) {
  std::vector<std::string> words{"export", "--model", f.file("net.json"), "--to", f.file(file)};
  words.insert(words.end(), more.begin(), more.end());
  return run_command(words);
}

bool has_runtimes() {
  const char* variable = std::getenv("FACSIM_RUNTIMES");
  if (variable != nullptr &&
      std::filesystem::exists(std::filesystem::path(variable) / "run_onnx.mjs")) {
    return true;
  }
  // Not "SKIPPED:", which would call all of this binary skipped; facsim_test_export_runtime says
  // that.
  std::cout << "facsim export --verify is not tried: FACSIM_RUNTIMES names no runtimes\n";
  return false;
}

}  // namespace

TEST_CASE("facsim export: writes both formats, by the file's extension") {
  const DeployedFixture f;
  const CommandResult tflite = export_to(f, "net.tflite");
  CAPTURE(tflite.err);
  REQUIRE(tflite.exit_code == 0);
  CHECK(backends::read_file(f.folder / "net.tflite").substr(4, 4) == "TFL3");
  // tflite-micro is not what XNNPACK does.
  CHECK(tflite.err.find("xnnpack-x86") != std::string::npos);
  for (const char* form : {"qdq", "qoperator"}) {
    const CommandResult onnx = export_to(f, "net.onnx", {"--form", form, "--format", "json"});
    CAPTURE(onnx.err);
    REQUIRE(onnx.exit_code == 0);
    const auto json = nlohmann::json::parse(onnx.out);
    CHECK(json.at("form") == form);
    CHECK(json.at("nodes") == 2);
    CHECK(json.at("runtime_profile") == "onnxruntime-cpu");
  }
}

TEST_CASE("facsim export: what it refuses") {
  const DeployedFixture f;
  CHECK(export_to(f, "net.h5").exit_code == 4);
  CHECK(export_to(f, "net.tflite", {"--form", "qdq"}).exit_code == 2);
  CHECK(export_to(f, "net.onnx", {"--form", "other"}).exit_code == 2);
  CHECK(export_to(f, "net.onnx", {"--verify"}).exit_code == 2);
  CHECK(run_command({"export", "--model", f.file("absent.json"), "--to", f.file("a.onnx")})
            .exit_code == 3);
  const CommandResult none = export_to(
      f, "net.tflite", {"--verify", "--inputs", f.file("x.npz"), "--runtimes", f.file("absent")});
  CHECK(none.exit_code == 4);
  CHECK(none.err.find("tools/runtimes/install.sh") != std::string::npos);
}

TEST_CASE("facsim export: verifies in the real runtimes") {
  if (!has_runtimes()) return;
  const DeployedFixture f;
  for (const char* file : {"net.tflite", "net.onnx"}) {
    const CommandResult result =
        export_to(f, file, {"--verify", "--inputs", f.file("x.npz"), "--format", "json"});
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    const auto json = nlohmann::json::parse(result.out);
    CHECK(json.at("comparison").at("compared") == 60);
    CHECK(json.at("comparison").at("mismatches") == 0);
    CHECK(json.at("own_profile").at("name") == "tflite-micro");
  }
  // Another rounding is noticed.
  const CommandResult other =
      export_to(f, "net.tflite",
                {"--verify", "--inputs", f.file("x.npz"), "--set", "/requantize/rounding=floor"});
  CAPTURE(other.err);
  CHECK(other.exit_code == 1);
}

}  // namespace facsim::test
