// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <set>

#include "tests/tools/deployed_fixture.h"
#include "tests/tools/printed_schema.h"

namespace facsim::test {
namespace {

using Json = nlohmann::json;

/// What a device that is as `overrides` say computes for the fixture's network.
backends::NamedTensors device_run(const DeployedFixture& fixture,
                                  const std::vector<backends::ProfileOverride>& overrides) {
  const sim::Graph graph = backends::lower(
      fixture.graph,
      backends::load_profile("tflite-micro", backends::ProfileSearch::standard(), overrides));
  sim::ExecutorOptions options;
  options.trace = true;
  const sim::RunResult run = sim::Executor(graph, options).run({fixture.input});
  return {{"y", run.tensors[1]}, {"z", run.tensors[2]}};
}

CommandResult diagnose_command(const DeployedFixture& fixture, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"diagnose",
                                        "--model",
                                        fixture.file("net.json"),
                                        "--profile",
                                        "tflite-micro",
                                        "--inputs",
                                        fixture.file("x.npz"),
                                        "--golden",
                                        fixture.file("device.npz")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_command(arguments);
}

TEST_CASE("diagnose: names the setting, in words, as options and with its place") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 40);
  backends::write_npz(fixture.folder / "device.npz",
                      device_run(fixture, {{"/requantize/rounding", "floor"}}));
  const CommandResult table = diagnose_command(fixture);
  CAPTURE(table.out);
  CAPTURE(table.err);
  CHECK(table.exit_code == 1);
  CHECK(table.out.find("the device rounds floor where the profile says half_up by 31") !=
        std::string::npos);
  CHECK(table.out.find("try       --set /requantize/rounding=floor\n") != std::string::npos);
  CHECK(table.out.find("set by    ") != std::string::npos);
  CHECK(table.out.find(".json:") != std::string::npos);

  const CommandResult result = diagnose_command(fixture, {"--format", "json"});
  const Json json = printed_json("diagnose", result.out);
  const Json& first = json["causes"][0];
  CHECK(first["explained"] == first["of"]);
  CHECK(first["introduced"] == 0);
  CHECK(json["verdict"] == "setting");
  CHECK(first["settings"][0]["pointer"] == "/requantize/rounding");
  CHECK(first["settings"][0]["to"] == "floor");
  CHECK(json["layers"][0]["mismatches"].get<int>() > 0);
  CHECK(json["layers"][1]["mismatches"] == 0);  // flatten, on golden's input: no second error

  // The setting that it says makes the difference go away.
  const CommandResult fixed = diagnose_command(fixture, {"--set", "/requantize/rounding=floor"});
  CHECK(fixed.exit_code == 0);
  CHECK(fixed.out.find("values are equal") != std::string::npos);
}

TEST_CASE("diagnose: two settings at once, from the network's output alone") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 40);
  backends::NamedTensors golden =
      device_run(fixture, {{"/requantize/rounding", "ceil"}, {"/output/narrow_range", "true"}});
  golden.erase(golden.begin());
  backends::write_npz(fixture.folder / "device.npz", golden);
  const Json json = printed_json("diagnose", diagnose_command(fixture, {"--format", "json"}).out);
  const Json& first = json["causes"][0];
  CHECK(first["explained"] == first["of"]);
  CHECK(first["introduced"] == 0);
  REQUIRE(first["settings"].size() == 2);
  std::set<std::string> pointers;
  for (const Json& setting : first["settings"]) pointers.insert(setting["pointer"]);
  CHECK(pointers.contains("/requantize/rounding"));
}

TEST_CASE("diagnose: a network laid out NCHW, and golden in either layout") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 40);
  backends::NamedTensors golden = device_run(fixture, {{"/requantize/rounding", "floor"}});
  const Shape nhwc = golden[0].second.shape();
  Tensor nchw(DType::int8, {nhwc[0], nhwc[3], nhwc[1], nhwc[2]});
  for (int64_t i = 0; i < nchw.numel(); ++i) {
    const int64_t pixels = nhwc[1] * nhwc[2];
    const int64_t n = i / (pixels * nhwc[3]), c = i / pixels % nhwc[3], pixel = i % pixels;
    nchw.set_int(i, golden[0].second.int_at((n * pixels + pixel) * nhwc[3] + c));
  }
  golden[0].second = nchw;
  backends::write_npz(fixture.folder / "device.npz", golden);
  const CommandResult result = diagnose_command(fixture);
  CHECK(result.err.find("laid out NCHW") != std::string::npos);
  CHECK(result.out.find("try       --set /requantize/rounding=floor\n") != std::string::npos);
}

/// What a device computes that has another network of the same tensors.
backends::NamedTensors run_of(const backends::IntGraph& graph, const Tensor& input) {
  sim::ExecutorOptions options;
  options.trace = true;
  const backends::Profile profile =
      backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
  const sim::RunResult run = sim::Executor(backends::lower(graph, profile), options).run({input});
  return {{"y", run.tensors[1]}, {"z", run.tensors[2]}};
}

TEST_CASE("diagnose: a device without the bias, or with other weights in a channel, is said") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 40);
  backends::IntGraph other = fixture.graph;
  other.nodes[0].inputs.resize(2);
  backends::write_npz(fixture.folder / "device.npz", run_of(other, fixture.input));
  Json json = printed_json("diagnose", diagnose_command(fixture, {"--format", "json"}).out);
  REQUIRE(json["findings"].size() == 1);
  CHECK(json["findings"][0]["node"] == "conv");
  CHECK(json["findings"][0]["what"] == "the device adds no bias");
  CHECK(json["findings"][0]["explained"] == json["findings"][0]["of"]);
  CHECK(diagnose_command(fixture).out.find("found     conv: the device adds no bias: explains ") !=
        std::string::npos);

  other = fixture.graph;
  Tensor weights = other.tensors[1].data->clone();
  const int64_t taps = weights.numel() / weights.shape()[0];
  for (int64_t i = taps; i < 2 * taps; ++i) weights.set_int(i, 100 - weights.int_at(i) / 2);
  other.tensors[1].data = weights;
  backends::write_npz(fixture.folder / "device.npz", run_of(other, fixture.input));
  json = printed_json("diagnose", diagnose_command(fixture, {"--format", "json"}).out);
  REQUIRE(json["findings"].size() == 1);
  CHECK(json["findings"][0]["what"].get<std::string>().starts_with("only channels 1 of 3 differ"));

  // A setting is no finding.
  backends::write_npz(fixture.folder / "device.npz",
                      device_run(fixture, {{"/requantize/rounding", "floor"}}));
  json = printed_json("diagnose", diagnose_command(fixture, {"--format", "json"}).out);
  CHECK(json["findings"].empty());
}

/// The fixture's network with biases that matter, and a second convolution beside the first.
backends::IntGraph two_convolutions(const backends::IntGraph& graph) {
  backends::IntGraph two = graph;
  Tensor bias(DType::int32, {3});
  for (int64_t c = 0; c < 3; ++c) bias.set_int(c, 9000 - 4000 * c);
  two.tensors[2].data = bias;
  two.tensors.push_back(two.tensors[3]);
  two.tensors.back().name = "y2";
  two.nodes.push_back(two.nodes[0]);
  two.nodes.back().name = "conv2";
  two.nodes.back().output = 5;
  two.outputs.push_back(5);
  return two;
}

/// The activations of a run of two_convolutions.
backends::NamedTensors run_of_two(const backends::IntGraph& graph, const Tensor& input) {
  backends::NamedTensors run = run_of(graph, input);
  sim::ExecutorOptions options;
  options.trace = true;
  const backends::Profile profile =
      backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
  run.emplace_back("y2",
                   sim::Executor(backends::lower(graph, profile), options).run({input}).tensors[3]);
  return run;
}

TEST_CASE("diagnose: what findings explain has no setting as its cause") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 40);
  const backends::IntGraph graph = two_convolutions(fixture.graph);
  backends::write_int_graph(fixture.folder / "net.json", graph);
  backends::IntGraph other = graph;
  for (const size_t n : {0, 2}) other.nodes[n].inputs.resize(2);
  backends::write_npz(fixture.folder / "device.npz", run_of_two(other, fixture.input));
  const CommandResult table = diagnose_command(fixture);
  CAPTURE(table.out);
  CHECK(table.out.find("found     all 2 layers that differ: the device adds no bias: explains ") !=
        std::string::npos);
  CHECK(table.out.find("cause     what is found explains ") != std::string::npos);
  CHECK(table.out.find("--set") == std::string::npos);
  CHECK(table.out.find("no setting of") == std::string::npos);
  const Json json = printed_json("diagnose", diagnose_command(fixture, {"--format", "json"}).out);
  CHECK(json["verdict"] == "findings");
  CHECK(json["findings"].size() == 2);
  // compare says the same.
  const CommandResult compared =
      run_command({"compare", "--model", fixture.file("net.json"), "--inputs",
                   fixture.file("x.npz"), "--golden", fixture.file("device.npz")});
  CAPTURE(compared.out);
  CHECK(compared.out.find("probable cause     all 2 layers that differ: the device adds no bias") !=
        std::string::npos);
  CHECK(compared.out.find("--set") == std::string::npos);
}

TEST_CASE("diagnose: a setting that explains less than half is the nearest, not the cause") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 40);
  const backends::IntGraph graph = two_convolutions(fixture.graph);
  backends::write_int_graph(fixture.folder / "net.json", graph);
  backends::IntGraph other = graph;
  Tensor halved = graph.tensors[2].data->clone();
  for (int64_t c = 0; c < 3; ++c) halved.set_int(c, halved.int_at(c) / 2);
  other.tensors[2].data = halved;
  backends::write_npz(fixture.folder / "device.npz", run_of_two(other, fixture.input));
  const CommandResult table = diagnose_command(fixture);
  CAPTURE(table.out);
  CHECK(table.out.find("cause     no setting of tflite-micro explains the differences (") !=
        std::string::npos);
  CHECK(table.out.find("nearest   ") != std::string::npos);
  CHECK(table.out.find("try  ") == std::string::npos);
  const Json json = printed_json("diagnose", diagnose_command(fixture, {"--format", "json"}).out);
  CHECK(json["verdict"] == "unexplained");
  CHECK_FALSE(json["causes"].empty());
  // compare says the same.
  const std::vector<std::string> compare = {"compare",
                                            "--model",
                                            fixture.file("net.json"),
                                            "--inputs",
                                            fixture.file("x.npz"),
                                            "--golden",
                                            fixture.file("device.npz")};
  const CommandResult compared = run_command(compare);
  CAPTURE(compared.out);
  CHECK(compared.out.find("probable cause     none of ") != std::string::npos);
  CHECK(compared.out.find("\n  try ") == std::string::npos);
}

TEST_CASE("diagnose: says how many settings cannot matter") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 40);
  backends::write_npz(fixture.folder / "device.npz",
                      device_run(fixture, {{"/requantize/rounding", "floor"}}));
  const CommandResult table = diagnose_command(fixture);
  CHECK(table.out.find("of them cannot change this network") != std::string::npos);
  const Json json = printed_json("diagnose", diagnose_command(fixture, {"--format", "json"}).out);
  CHECK(json["settings_without_effect"] > 10);
  CHECK(json["settings_without_effect"] < json["settings_tried"]);
}

TEST_CASE("diagnose: other inputs are said, not searched for") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 4);
  backends::NamedTensors golden = device_run(fixture, {});
  Tensor other = fixture.input;
  other.set_int(0, other.int_at(0) == 5 ? 6 : 5);
  golden.emplace_back("x", other);
  backends::write_npz(fixture.folder / "device.npz", golden);
  const CommandResult result = diagnose_command(fixture);
  CHECK(result.err.find("inputs differ") != std::string::npos);
}

TEST_CASE("diagnose: errors") {
  const DeployedFixture fixture;
  backends::write_npz(fixture.folder / "device.npz", {{"nothing", codes({5, 3}, 1)}});
  CHECK(diagnose_command(fixture).exit_code == 3);
  backends::write_npz(fixture.folder / "device.npz", {{"y", codes({5, 3}, 1)}});
  const CommandResult shape = diagnose_command(fixture);
  CHECK(shape.exit_code == 3);
  CHECK(shape.err.find("golden \"y\"") != std::string::npos);
  CHECK(run_command({"diagnose", "--model", fixture.file("net.json")}).exit_code == 2);
}

}  // namespace
}  // namespace facsim::test
