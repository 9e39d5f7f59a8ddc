// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "tests/tools/training_fixture.h"

namespace facsim::test {

TEST_CASE("facsim qat: trains, deploys, and the file run by the norm equals the eval forward") {
  const TrainingFixture f;
  const CommandResult result =
      run_command(f.qat({"--epochs", "1", "--dump", "all", "--format", "json"}));
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(contains(result.err, "qat epoch 1/1: loss"));
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("profile") == "tflite-micro");
  CHECK(json.at("float_accuracy").get<double>() > 0.9);
  CHECK(json.at("qat_accuracy").get<double>() > 0.9);
  CHECK(json.at("epochs").size() == 2);
  CHECK(json.at("fake_quantize").at("compared").get<int64_t>() > 0);
  CHECK(json == nlohmann::json::parse(contents(f.folder / "out/history.json")));

  const CommandResult run =
      run_command({"run", "--model", f.file("out/model.json"), "--inputs", f.file("out/input.npz"),
                   "--dump", "all", "--isa", "scalar", "-o", f.file("deployed.npz")});
  CAPTURE(run.err);
  REQUIRE(run.exit_code == 0);
  CHECK(run_command({"compare", f.file("deployed.npz"), f.file("out/evaluation.npz")}).exit_code ==
        0);
  // 48 images: input 64, conv 4x4x4, flatten 64, logits 2.
  int64_t values = 0;
  for (const auto& [name, tensor] : backends::read_npz(f.folder / "out/evaluation.npz")) {
    values += tensor.numel();
  }
  CHECK(values == 48 * (64 + 64 + 64 + 2));
}

TEST_CASE("facsim qat: the same seed gives the same network for any number of threads") {
  const TrainingFixture f;
  std::string first;
  for (const char* threads : {"1", "3"}) {
    REQUIRE(run_command(f.qat({"--epochs", "1", "-j", threads})).exit_code == 0);
    const std::string model =
        contents(f.folder / "out/model.json") + contents(f.folder / "out/model.npz");
    if (first.empty()) first = model;
    CHECK(model == first);
  }
}

TEST_CASE("facsim qat: --epochs 0 is post-training quantization") {
  const TrainingFixture f;
  const CommandResult result = run_command(f.qat({"--epochs", "0", "--format", "json"}));
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("epochs").size() == 1);
  CHECK(json.at("qat_accuracy").get<double>() > 0.8);
  CHECK(!std::filesystem::exists(f.folder / "out/evaluation.npz"));
}

TEST_CASE("facsim qat: resumes a finished run to the same network, refuses other settings") {
  const TrainingFixture f;
  REQUIRE(run_command(f.qat({"--epochs", "1"})).exit_code == 0);
  const std::string model = contents(f.folder / "out/model.npz");
  REQUIRE(run_command(f.qat({"--epochs", "1", "--resume"})).exit_code == 0);
  CHECK(contents(f.folder / "out/model.npz") == model);
  const CommandResult other = run_command(f.qat({"--epochs", "1", "--resume", "--lr", "0.5"}));
  CHECK(other.exit_code == 3);
  CHECK(contains(other.err, "made with lr=0.01; expected lr=0.5"));
}

TEST_CASE("facsim qat: what is wrong is said once, and nothing is written") {
  const TrainingFixture f;
  struct Case {
    std::vector<std::string> options;
    int exit_code;
    const char* message;
  };
  const Case cases[] = {
      {{"--data", f.file("absent")}, 3, "not found; expected a folder with IDX files"},
      {{"--network", f.file("absent.json")}, 3, "absent.json"},
      {{"--profile", "tflite-mikro"}, 3, "tflite-micro"},
      {{"--batch", "0"}, 2, "--batch: 0; expected 1..65536"},
      {{"--lr", "nan"}, 2, "--lr: nan"},
      {{"--epochs", "-1"}, 2, "--epochs: -1"},
      {{"--schedule", "cosin"}, 2, "cosine"},
      {{"--output", f.file("net.json")}, 3, "net.json"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.message);
    std::vector<std::string> words = f.qat({});
    // An option given twice would itself be an error: replace it where it is.
    bool replaced = false;
    for (size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] != c.options[0]) continue;
      words[i + 1] = c.options[1];
      replaced = true;
    }
    if (!replaced) words.insert(words.end(), c.options.begin(), c.options.end());
    const CommandResult result = run_command(words);
    CHECK(result.exit_code == c.exit_code);
    CHECK_MESSAGE(contains(result.err, c.message), result.err);
    CHECK(!std::filesystem::exists(f.folder / "out"));
  }
}

}  // namespace facsim::test
