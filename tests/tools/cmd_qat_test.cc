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

TEST_CASE("facsim qat: a float ONNX network with its parameters is quantized as it came") {
  const TrainingFixture f;
  REQUIRE(run_command(f.qat({"--epochs", "0", "--float-onnx", f.file("float.onnx")})).exit_code ==
          0);
  const auto expected = nlohmann::json::parse(contents(f.folder / "out/history.json"));
  const auto qat_onnx = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {
        "qat",    "--profile", "tflite-micro", "--network",    f.file("float.onnx"),
        "--data", f.file(""),  "--output",     f.file("out2"), "--batch",
        "16",     "--format",  "json"};
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
  };
  // The file's preprocessing, no float epochs, and so the same network to the bit.
  const CommandResult result = qat_onnx({"--epochs", "0"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("float_accuracy") == expected.at("float_accuracy"));
  CHECK(json.at("epochs").empty());
  CHECK(contents(f.folder / "out2/model.npz") == contents(f.folder / "out/model.npz"));
  // Trained on from there.
  CHECK(qat_onnx({"--epochs", "1"}).exit_code == 0);
  // Another preprocessing is another network, and a run is not resumed with it.
  REQUIRE(qat_onnx({"--epochs", "0", "--mean", "0.9"}).exit_code == 0);
  CHECK(contents(f.folder / "out2/model.npz") != contents(f.folder / "out/model.npz"));
  const CommandResult other = qat_onnx({"--epochs", "0", "--mean", "0.8", "--resume"});
  CHECK(other.exit_code == 3);
  CHECK(contains(other.err, "preprocessing=mean 0.8 std 0.4"));

  CHECK(contains(qat_onnx({"--mean", "1,2"}).err, "--mean: 2 numbers; expected 1"));
  CHECK(qat_onnx({"--mean", "1,2"}).exit_code == 2);
  CHECK(contains(qat_onnx({"--std", "0"}).err, "--std 0: expected numbers > 0"));
  f.folder.write("bad.onnx", "not a model");
  std::vector<std::string> words = f.qat({});
  words[4] = f.file("bad.onnx");
  CHECK(run_command(words).exit_code == 3);
}

}  // namespace facsim::test
