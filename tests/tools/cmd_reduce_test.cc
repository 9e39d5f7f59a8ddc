// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/backends/schema_validator.h"
#include "tests/tools/deployed_fixture.h"

namespace facsim::test {
namespace {

using Json = nlohmann::json;

/// Under tflite-reference, unless `more` names a profile.
std::vector<std::string> reduce_words(const DeployedFixture& fixture,
                                      const std::vector<std::string>& more) {
  std::vector<std::string> words = {"reduce", "--model", fixture.file("net.json"), "--inputs",
                                    fixture.file("x.npz")};
  if (std::find(more.begin(), more.end(), "--profile") == more.end()) {
    words.insert(words.end(), {"--profile", "tflite-reference"});
  }
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

CommandResult reduce_command(const DeployedFixture& fixture, const std::vector<std::string>& more) {
  return run_command(reduce_words(fixture, more));
}

/// Its JSON, which follows the published schema.
Json reduce_json(const DeployedFixture& fixture, int exit_code, std::vector<std::string> more) {
  more.insert(more.end(), {"--format", "json"});
  const CommandResult result = reduce_command(fixture, more);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == exit_code);
  const Json json = Json::parse(result.out);
  PublishedSchema schema(
      Json::parse(contents(FACSIM_SOURCE_DIR "/configs/schema/reduce.schema.json")));
  CHECK(schema.findings(json) == "");
  return json;
}

/// Exit code of `compare` inside a folder that reduce wrote.
int compare_in(const std::string& folder, const std::string& profile, const std::string& golden) {
  return run_command({"compare", "--model", folder + "/net.json", "--profile",
                      folder + "/" + profile, "--inputs", folder + "/inputs.npz", "--golden",
                      folder + "/" + golden})
      .exit_code;
}

void check_nothing_left(const DeployedFixture& fixture, const std::string& folder) {
  CHECK(!std::filesystem::exists(folder));
  for (const auto& entry : std::filesystem::directory_iterator(fixture.folder.path())) {
    CHECK(entry.path().filename().string().find("tmp-") == std::string::npos);
  }
}

/// What a device of single rounding gives, every tensor.
std::string recording(const DeployedFixture& fixture) {
  const std::string file = fixture.file("device.npz");
  const CommandResult made = run_command({"run", "--model", fixture.file("net.json"), "--profile",
                                          "tflite-single-rounding", "--inputs",
                                          fixture.file("x.npz"), "--dump", "all", "-o", file});
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  return file;
}

/// A command that asks facsim itself what another profile gives.
std::string device_command() {
  return std::string(FACSIM_COMMAND_FILE) +
         " compare --model net.json --profile tflite-single-rounding --inputs inputs.npz --golden "
         "expected_a.npz >/dev/null 2>&1; test $? -eq 1";
}

TEST_CASE("reduce: to one output, one tap and small integers, in a folder that shows it") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 200);
  const std::string folder = fixture.file("repro");
  const Json json = reduce_json(fixture, 1, {"--against", "tflite-single-rounding", "-o", folder});
  CHECK(json["outputs"] == 1);
  CHECK(json["taps"] == 1);
  CHECK(std::abs(json["accumulator"].get<int>()) <= 8);
  CHECK(json["a"]["result"] != json["b"]["result"]);
  CHECK(compare_in(folder, "a.json", "expected_a.npz") == 0);
  CHECK(compare_in(folder, "b.json", "expected_b.npz") == 0);
  CHECK(compare_in(folder, "a.json", "expected_b.npz") == 1);
  CHECK(std::filesystem::exists(folder + "/README.md"));
  CHECK(std::filesystem::exists(folder + "/run.sh"));

  const CommandResult again =
      reduce_command(fixture, {"--against", "tflite-single-rounding", "-o", folder});
  CHECK(again.exit_code == 3);
  CHECK(again.err.find("not empty") != std::string::npos);
}

TEST_CASE("reduce: settings of either side; the sides' names tell them apart") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 20);
  const CommandResult table =
      reduce_command(fixture, {"--set", "/requantize/rounding=floor", "-o", fixture.file("one")});
  CHECK(table.exit_code == 1);
  CHECK(contains(table.out, "accumulator "));
  CHECK(contains(table.out, "tflite-reference --set /requantize/rounding=floor -> "));
  CHECK(contains(table.out, "\ntflite-reference -> "));

  const std::string folder = fixture.file("two");
  const Json json =
      reduce_json(fixture, 1, {"--against-set", "/requantize/rounding=half_even", "-o", folder});
  CHECK(json["a"]["name"] == "tflite-reference");
  CHECK(json["a"]["settings"].empty());
  CHECK(json["b"]["name"] == "tflite-reference --set /requantize/rounding=half_even");
  CHECK(json["b"]["settings"][0]["value"] == "half_even");
  CHECK(compare_in(folder, "b.json", "expected_b.npz") == 0);
  CHECK(contains(contents(folder + "/README.md"), "/requantize/rounding=half_even"));

  const Json both = reduce_json(fixture, 0,
                                {"--set", "/requantize/rounding=floor", "--against-set",
                                 "/requantize/rounding=floor", "-o", fixture.file("three")});
  CHECK(both["equal"] == true);
}

TEST_CASE("reduce: equal sides are exit code 0; usage; nothing is left behind") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 20);
  const std::string folder = fixture.file("repro");
  const CommandResult same =
      reduce_command(fixture, {"--against", "tflite-reference", "-o", folder});
  CHECK(same.exit_code == 0);
  CHECK(contains(same.out, "EQUAL"));
  CHECK(reduce_command(fixture, {"-o", folder}).exit_code == 2);
  CHECK(reduce_command(fixture, {"--against-set", "rounding", "-o", folder}).exit_code == 2);
  CHECK(reduce_command(fixture, {"--with-cause", "--against", "ruy", "-o", folder}).exit_code == 2);
  CHECK(reduce_command(fixture, {"--check", "true", "--against", "ruy", "-o", folder}).exit_code ==
        2);
  CHECK(reduce_command(fixture, {"--against", "no-such-profile", "-o", folder}).exit_code == 3);
  check_nothing_left(fixture, folder);
}

TEST_CASE("reduce --golden: one output of the recording, with its own numbers") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nchw, 200);
  Tensor x(DType::int8, {200, 2, 4, 4});  // fixture.input in the file's layout
  for (int64_t i = 0; i < x.numel(); ++i) {
    const int64_t pixel = i % 16, channel = i / 16 % 2, image = i / 32;
    x.set_int(i, fixture.input.int_at((image * 16 + pixel) * 2 + channel));
  }
  backends::write_npz(fixture.folder / "x.npz", {{"x", x}});
  const std::string folder = fixture.file("repro"), device = recording(fixture);
  const Json json = reduce_json(fixture, 1, {"--golden", device, "-o", folder});
  CHECK(json["outputs"] == 1);
  CHECK(json["b"]["kind"] == "recording");
  CHECK(json["a"]["result"] != json["b"]["result"]);
  CHECK(contains(json["notes"].dump(), "a recording cannot say"));
  CHECK(compare_in(folder, "a.json", "expected_a.npz") == 0);
  CHECK(compare_in(folder, "a.json", "expected_b.npz") == 1);
  CHECK(!std::filesystem::exists(folder + "/b.json"));
  // The device itself gives the recorded code for what is left.
  CHECK(run_command({"compare", "--model", folder + "/net.json", "--profile",
                     "tflite-single-rounding", "--inputs", folder + "/inputs.npz", "--golden",
                     folder + "/expected_b.npz"})
            .exit_code == 0);

  const std::string other = fixture.file("cause");
  const Json cause = reduce_json(fixture, 1, {"--golden", device, "--with-cause", "-o", other});
  CHECK(cause["taps"] == 1);
  CHECK(std::abs(cause["accumulator"].get<int>()) <= 8);
  CHECK(cause["b"]["kind"] == "profile");
  CHECK(!cause["b"]["settings"].empty());
  CHECK(contains(cause["notes"].dump(), "diagnose ranks first"));
  CHECK(compare_in(other, "b.json", "expected_b.npz") == 0);

  const Json equal = reduce_json(
      fixture, 0,
      {"--profile", "tflite-single-rounding", "--golden", device, "-o", fixture.file("equal")});
  CHECK(equal["equal"] == true);
  check_nothing_left(fixture, fixture.file("equal"));
}

TEST_CASE("reduce --golden: layers of another profile, names that are none") {
  DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 50);
  fixture.graph.nodes[0].profile = "tflite-reference";
  backends::write_int_graph(fixture.folder / "net.json", fixture.graph);
  const std::string device = recording(fixture);
  const std::string folder = fixture.file("repro");
  // Recorded with single rounding in that layer: the difference is found under its own profile.
  backends::IntGraph plain = fixture.graph;
  plain.nodes[0].profile.clear();
  backends::write_int_graph(fixture.folder / "net.json", plain);
  const std::string all_single = recording(fixture);
  backends::write_int_graph(fixture.folder / "net.json", fixture.graph);
  const Json json = reduce_json(
      fixture, 1, {"--profile", "tflite-single-rounding", "--golden", all_single, "-o", folder});
  CHECK(json["layer"] == fixture.graph.nodes[0].name);
  CHECK(json["a"]["name"] == "tflite-reference");
  CHECK(compare_in(folder, "a.json", "expected_a.npz") == 0);
  CHECK(compare_in(folder, "a.json", "expected_b.npz") == 1);

  backends::write_npz(fixture.folder / "none.npz", {{"stranger", Tensor(DType::int8, {1, 7})}});
  const CommandResult none =
      reduce_command(fixture, {"--golden", fixture.file("none.npz"), "-o", fixture.file("none")});
  CHECK(none.exit_code == 3);
  CHECK(contains(none.err, "no array of this network"));
}

TEST_CASE("reduce --check: a command decides") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 60);
  const std::string folder = fixture.file("repro");
  const Json json = reduce_json(fixture, 1, {"--check", device_command(), "-o", folder});
  CHECK(json["outputs"] == 1);
  CHECK(json["taps"] == 1);
  CHECK(std::abs(json["accumulator"].get<int>()) <= 8);
  CHECK(json["b"]["kind"] == "command");
  CHECK(!json["b"].contains("result"));
  CHECK(contains(json["notes"].dump(), "The command was run: "));
  CHECK(compare_in(folder, "a.json", "expected_a.npz") == 0);
  CHECK(std::system((folder + "/run.sh").c_str()) == 0);  // it still differs there
  CHECK(reduce_json(fixture, 0, {"--check", "exit 1", "-o", fixture.file("equal")})["equal"] ==
        true);
  check_nothing_left(fixture, fixture.file("equal"));
}

TEST_CASE("reduce --check: any other end of the command stops with an error") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 4);
  const std::string folder = fixture.file("repro");
  const auto fails = [&](const std::vector<std::string>& more, const std::string& text) {
    std::vector<std::string> words = more;
    words.insert(words.end(), {"-o", folder});
    const CommandResult result = reduce_command(fixture, words);
    CAPTURE(text);
    CHECK(result.exit_code == 3);
    CHECK_MESSAGE(contains(result.err, text), result.err);
    check_nothing_left(fixture, folder);
  };
  fails({"--check", "echo no board >&2; exit 7"}, "exit code 7: no board");
  fails({"--check", "./no-such-program"}, "full path");
  fails({"--check", "kill -9 $$"}, "exit code 137");
  fails({"--max-checks", "1", "--check", "true"}, "1 run, no more");
  const auto start = std::chrono::steady_clock::now();
  const std::string late = fixture.file("late");
  fails({"--timeout", "0.2", "--check", "(sleep 1; touch " + late + ") & sleep 60"},
        "no answer in 0.2 s");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  CHECK(!std::filesystem::exists(late));  // its group ended with it
}

TEST_CASE("reduce --check: Ctrl-C ends the command and its group, and leaves nothing") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 4);
  const std::string folder = fixture.file("repro"), begun = fixture.file("begun"),
                    late = fixture.file("late");
  const TempFolder output;
  CommandProcess process(
      output,
      reduce_words(fixture,
                   {"--check", "touch " + begun + "; (sleep 1; touch " + late + ") & sleep 60",
                    "-o", folder}));
  for (int i = 0; i < 500 && !std::filesystem::exists(begun); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  kill(process.pid(), SIGINT);
  CHECK(process.wait().exit_code == 130);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  CHECK(!std::filesystem::exists(late));
  check_nothing_left(fixture, folder);
}

}  // namespace
}  // namespace facsim::test
