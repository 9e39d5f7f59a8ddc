// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/tools/command_runner.h"

namespace facsim::test {

namespace {

nlohmann::json bench_json(const std::vector<std::string>& words) {
  std::vector<std::string> command = {"bench"};
  command.insert(command.end(), words.begin(), words.end());
  command.insert(command.end(), {"--rounds", "2", "--sample-ms", "0", "--format", "json"});
  const CommandResult result = run_command(command);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

/// FACSIM_PYTHON of commands started while this lives.
class ChosenPython {
 public:
  explicit ChosenPython(const std::string& file) { setenv("FACSIM_PYTHON", file.c_str(), 1); }
  ~ChosenPython() { unsetenv("FACSIM_PYTHON"); }
};

/// A program that answers as python3 with torch_step.py does.
std::string fake_python(const TempFolder& folder, const std::string& shell) {
  const std::string file = folder / "python";
  std::ofstream(file) << "#!/bin/sh\n" << shell;
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  return file;
}

const std::string kNetworks = FACSIM_SOURCE_DIR "/configs/networks/";

}  // namespace

TEST_CASE("facsim bench: layers are timed under two profiles and equal the norm") {
  const nlohmann::json json = bench_json({"layers", "--only", "depthwise3x3_960_7"});
  REQUIRE(json["layers"].size() == 2);
  for (const nlohmann::json& one : json["layers"]) {
    CHECK(one["mismatches"] == 0);
    CHECK(one["samples_ns"].size() == 2);
    CHECK(one["minimum_ns"] <= one["median_ns"]);
    CHECK(one["macs"] == 7 * 7 * 960 * 9);
    CHECK(one["name"] == "depthwise3x3_960_7");
    CHECK(one["batch"] == 1);
    CHECK(one["threads"].get<int>() >= 1);
    CHECK(one["ns"] == one["median_ns"]);
    CHECK(one["gmacs"].get<double>() ==
          doctest::Approx(one["macs"].get<double>() / one["ns"].get<double>()));
    CHECK(one.contains("peak_fraction"));
  }
  CHECK(json["layers"][0]["profile"] == "onednn");
  CHECK(json["layers"][0]["activation"] == "uint8");
  CHECK(json["layers"][1]["activation"] == "int8");
  CHECK(json["machine"]["cores"].get<int>() >= 1);
  CHECK(json["layers"][0]["contender"] == "facsim:onednn");
  CHECK(json["layers"][1]["contender"] == "facsim:tflite-micro");
}

TEST_CASE("facsim bench: requantization by program, each equal to the norm") {
  const nlohmann::json json = bench_json({"requantize"});
  CHECK(json["requantize"].size() >= 8);
  bool block = false;
  for (const nlohmann::json& one : json["requantize"]) {
    CHECK(one["mismatches"] == 0);
    block = block || one["form"] == "block";
  }
  CHECK(block);
}

TEST_CASE("facsim bench: networks compare every image of the batch and plan their memory") {
  const nlohmann::json json = bench_json({"nets", "--only", "resnet18_32", "--batch", "1,2"});
  REQUIRE(json["nets"].size() == 4);
  for (const nlohmann::json& one : json["nets"]) {
    CHECK(one.at("ratio_sum_of_layers").get<double>() > 0);
    CHECK(one["mismatches"] == 0);
    CHECK(one["images_compared"] == one["batch"]);
    const nlohmann::json& memory = one["memory"];
    CHECK(memory["weights_bytes"] > 11'000'000);
    // A residual block's shortcut lives beside two tensors of 32 x 32 x 64.
    const int64_t images = memory["images_per_arena"].get<int64_t>();
    CHECK(memory["arena_bytes"] >= images * 3 * 32 * 32 * 64);
    CHECK(memory["arena_bytes"] == memory["largest_live_set_bytes"]);
    CHECK(memory["buffers_bytes"] ==
          memory["arenas"].get<int64_t>() * memory["arena_bytes"].get<int64_t>() +
              one["batch"].get<int64_t>() * 10);
    CHECK(memory["bound_bytes"] < memory["buffers_bytes"]);
  }
}

TEST_CASE(
    "facsim bench: scaling compares time per multiply-accumulate with the base and draws it") {
  const TempFolder folder;
  const std::string page = folder / "scaling.html";
  const nlohmann::json json = bench_json({"scaling", "--only", "3x3_64", "--html", page});
  REQUIRE(json["scaling"].size() == 8);  // the base and three batches under two profiles
  for (const nlohmann::json& one : json["scaling"]) {
    CHECK(one["mismatches"] == 0);
    const int64_t factor = one["factor"].get<int64_t>();
    CHECK(one["batch"] == factor);
    CHECK(one["macs"] == factor * 28 * 28 * 64 * 64 * 9);
    const double base = json["scaling"][one["profile"] == "onednn" ? 0 : 4]["minimum_ns"];
    CHECK(one["time_per_mac_over_base"]["minimum"].get<double>() ==
          doctest::Approx(one["minimum_ns"].get<double>() / base / static_cast<double>(factor)));
  }
  const std::string html = contents(page);
  CHECK(contains(html, "<svg"));
  CHECK(contains(html, "prefers-color-scheme: dark"));
  CHECK(contains(html, "batch, times the base's batch or channels 8x: "));
}

TEST_CASE(
    "facsim bench: training steps equal those of the norm and of other threads, bit for bit") {
  const nlohmann::json json =
      bench_json({"qat", "--network", kNetworks + "fashion_cnn.json:2", "--threads", "1,2"});
  CHECK(json["profile"] == "tflite-micro");
  int simulated = 0;
  for (const nlohmann::json& one : json["steps"]) {
    CHECK(one["network"] == "fashion_cnn");
    CHECK(one["batch"] == 2);
    CHECK(one["samples_ns"].size() == 2);
    CHECK(one["mismatches"] == 0);
    CHECK(one["compared"] > 100'000);
    CHECK(one.contains("ratio") == (one["step"] != "facsim-float"));
    simulated += one["step"] == "facsim-simulate" ? 1 : 0;
  }
  CHECK(simulated == 2);
}

TEST_CASE("facsim bench: PyTorch's steps take turns with ours, the faster layout is the peer") {
  const TempFolder folder;
  const ChosenPython python(fake_python(folder,
                                        "echo ready 9.9 torch-float torch-float-channels-last\n"
                                        "while read variant; do\n"
                                        "  echo $variant >> \"$0.steps\"\n"
                                        "  [ $variant = torch-float ] && sleep 0.02\n"
                                        "  echo done\n"
                                        "done\n"));
  const nlohmann::json json = bench_json({"qat", "--network", kNetworks + "fashion_cnn.json:2",
                                          "-j", "1", "--only", "float", "--peers", "torch"});
  CHECK(json["torch"] == "9.9");
  REQUIRE(json["steps"].size() == 3);
  CHECK(json["steps"][0]["ratio"].contains("torch-float"));
  CHECK(json["steps"][1]["step"] == "torch-float");
  CHECK(json["steps"][1]["ratio"]["torch-float"]["minimum"] > 1.0);
  CHECK_FALSE(json["steps"][2]["ratio"].contains("torch-float"));
  CHECK_FALSE(json["steps"][1].contains("mismatches"));
  CHECK(contains(contents(folder / "python.steps"),
                 "torch-float\ntorch-float\ntorch-float-channels-last\n"));
}

TEST_CASE("facsim bench: a PyTorch that is missing, refuses the network or ends is an error") {
  const TempFolder folder;
  const std::vector<std::string> command = {
      "bench",   "qat",   "--network", kNetworks + "fashion_cnn.json:2",
      "-j",      "1",     "--only",    "torch",
      "--peers", "torch", "--rounds",  "1"};
  struct Case {
    const char* shell;
    int exit_code;
    const char* message;
  };
  for (const Case& c : {Case{"echo missing No module named torch", 4, "No module named torch"},
                        Case{"exit 1", 4, "torch_step.py can train"},
                        Case{"echo ready 9.9 torch-float; read x; exit 1", 3, "has ended"}}) {
    CAPTURE(c.shell);
    const ChosenPython python(fake_python(folder, c.shell));
    const CommandResult result = run_command(command);
    CHECK(result.exit_code == c.exit_code);
    CHECK(contains(result.err, c.message));
  }
  const ChosenPython none(folder / "nosuch");
  const CommandResult result = run_command(command);
  CHECK(result.exit_code == 4);
  CHECK(contains(result.err, "python3-torch"));
}

TEST_CASE("facsim bench: the real torch_step.py, where PyTorch is installed") {
  const CommandResult result =
      run_command({"bench", "qat", "--network", kNetworks + "fashion_cnn.json:2", "-j", "1",
                   "--only", "torch", "--peers", "torch", "--rounds", "1", "--format", "json"});
  CAPTURE(result.err);
  if (result.exit_code == 4) {
    CHECK(contains(result.err, "a python3 that imports torch"));
    MESSAGE("not run: no PyTorch");
    return;
  }
  REQUIRE(result.exit_code == 0);
  const nlohmann::json json = nlohmann::json::parse(result.out);
  REQUIRE(json["steps"].size() == 3);
  for (const nlohmann::json& one : json["steps"]) CHECK(one["minimum_ns"] > 0);
}

TEST_CASE("facsim bench: what it cannot do") {
  const CommandResult peer = run_command({"bench", "layers", "--peers", "nosuch"});
  CHECK(peer.exit_code == 4);
  CHECK(contains(peer.err, "nosuch"));
  CHECK(run_command({"bench"}).exit_code == 2);
  CHECK(run_command({"bench", "layers", "--rounds", "0"}).exit_code == 2);
  CHECK(run_command({"bench", "qat", "--peers", "onednn"}).exit_code == 2);
  CHECK(run_command({"bench", "qat", "--network", "fashion_cnn:0"}).exit_code == 2);
  CHECK(run_command({"bench", "qat", "--network", "nosuch.json"}).exit_code == 3);
}

}  // namespace facsim::test
