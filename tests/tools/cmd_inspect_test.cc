// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

namespace {

nlohmann::json inspect_json(const std::vector<std::string>& more, int exit_code = 0) {
  std::vector<std::string> arguments = {"inspect", "--format", "json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const CommandResult result = run_command(arguments);
  CAPTURE(result.err);
  CHECK(result.exit_code == exit_code);
  return nlohmann::json::parse(result.out);
}

std::string written(const TempFolder& folder, const char* name, const std::string& text) {
  std::ofstream(folder / name) << text;
  return (folder / name).string();
}

/// A float network of these nodes on an 8 x 8 image of 3 channels.
std::string float_network(const TempFolder& folder, const std::string& nodes) {
  return written(folder, "float.json",
                 R"({"format": "facsim-float-network", "version": 1, "name": "n",
                     "input": {"shape": [3, 8, 8]}, "nodes": [)" +
                     nodes + "]}");
}

const char* const kConv =
    R"({"name": "conv", "op": "Conv2d", "in_channels": 3, "out_channels": 4, "kernel_size": 3,
        "padding": 1})";

}  // namespace

TEST_CASE("facsim inspect: layers of a quantized network, with its profile's accumulators") {
  const DeployedFixture f;
  const auto json = inspect_json({f.file("net.json")});
  CHECK(json.at("file") == "facsim");
  CHECK(json.at("profile") == "tflite-micro");
  CHECK(json.at("macs") == 2 * 2 * 3 * 3 * 3 * 2);
  REQUIRE(json.at("nodes").size() == 2);
  const auto conv = json.at("nodes")[0];
  CHECK(conv.at("description") == "conv2d 3x3 + relu");
  CHECK(conv.at("runs") == true);
  CHECK(conv.at("accumulator").at("bits_needed") == 17);
  CHECK(conv.at("weights").at("quantization").at("scale").size() == 3);
  CHECK(conv.at("output").at("quantization").at("zero_point")[0] == -128);

  const CommandResult table = run_command({"inspect", f.file("net.json")});
  CHECK(table.exit_code == 0);
  CHECK(contains(table.out, "conv2d 3x3 + relu"));
  CHECK(contains(table.out, "17 of 32 bits"));
  CHECK(contains(table.out, "2 of 2 nodes run under tflite-micro"));
}

TEST_CASE("facsim inspect: what a profile does not run, and why") {
  const DeployedFixture f;
  // NVDLA's int8 pipeline has no per-tensor zero points.
  const auto json = inspect_json({f.file("net.json"), "--profile", "nvdla"}, 4);
  const auto conv = json.at("nodes")[0];
  CHECK(conv.at("runs") == false);
  REQUIRE(conv.at("reasons").size() >= 1);
  CHECK(contains(conv.at("reasons")[0].get<std::string>(), "node \"conv\""));
  const CommandResult table = run_command({"inspect", f.file("net.json"), "--profile", "nvdla"});
  CHECK(table.exit_code == 4);
  CHECK(contains(table.out, conv.at("reasons")[0].get<std::string>()));
}

TEST_CASE("facsim inspect: what a float network's layers are fused into") {
  const TempFolder folder;
  const auto json = inspect_json({float_network(
      folder, std::string(kConv) + R"(, {"name": "bn", "op": "BatchNorm2d", "num_features": 4},
               {"name": "relu", "op": "ReLU"}, {"name": "pool", "op": "MaxPool2d", "kernel_size": 2})")});
  CHECK(json.at("file") == "facsim float");
  CHECK(json.at("parameters") == 3 * 4 * 9 + 4 + 2 * 4);
  for (int i = 0; i < 3; ++i) {
    const auto layer = json.at("layers")[static_cast<size_t>(i)];
    CHECK(layer.at("pattern") == "ConvBnReLU2d");
    CHECK(layer.at("fused_into") == "relu");
  }
  CHECK_FALSE(json.at("layers")[3].contains("pattern"));
  CHECK_FALSE(json.at("layers")[3].contains("not_fused"));
}

TEST_CASE("facsim inspect: why a layer is not fused") {
  struct Case {
    const char* nodes;
    size_t layer;
    const char* reason;
  };
  const Case cases[] = {
      {R"(, {"name": "relu", "op": "ReLU"}, {"name": "sum", "op": "Add", "inputs": ["conv", "relu"]})",
       1, "the output of conv is used by relu and sum"},
      {R"(, {"name": "pool", "op": "MaxPool2d", "kernel_size": 2}, {"name": "relu", "op": "ReLU"})",
       2, "it follows pool (MaxPool2d), behind which no pattern goes on"},
      {R"(, {"name": "relu", "op": "ReLU"}, {"name": "bn", "op": "BatchNorm2d", "num_features": 4})",
       2, "no pattern puts BatchNorm2d behind ConvReLU2d"},
      {R"(, {"name": "relu", "op": "ReLU", "profile": "cmsis-nn"})", 1,
       "relu runs under another profile than conv"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.nodes);
    const TempFolder folder;
    const auto json = inspect_json({float_network(folder, std::string(kConv) + c.nodes)});
    const auto layer = json.at("layers")[c.layer];
    CAPTURE(layer.dump());
    CHECK_FALSE(layer.contains("pattern"));
    CHECK(layer.value("not_fused", "") == c.reason);
  }
  const TempFolder folder;
  const auto first =
      inspect_json({float_network(folder, R"({"name": "relu", "op": "ReLU"})")}).at("layers")[0];
  CHECK(first.value("not_fused", "") == "it follows the network's input");
}

TEST_CASE("facsim inspect: files that are no network") {
  const TempFolder folder;
  const CommandResult text = run_command({"inspect", written(folder, "a.bin", "hello")});
  CHECK(text.exit_code == 3);
  CHECK(contains(text.err, "not a network file"));
  CHECK(contains(run_command({"inspect", (folder / "absent.json").string()}).err, "absent.json"));
}

}  // namespace facsim::test
