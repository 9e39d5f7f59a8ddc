// SPDX-License-Identifier: Apache-2.0
// facsim profile diff, init, fmt, migrate and fingerprint.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/tools/command_runner.h"
#include "tests/tools/deployed_fixture.h"
#include "tests/tools/printed_schema.h"

namespace facsim::test {
namespace {

using ProfileJson = nlohmann::json;

CommandResult profile_command(std::vector<std::string> words) {
  std::vector<std::string> arguments = {
      "--profile-path", std::string(FACSIM_SOURCE_DIR) + "/configs/profiles", "profile"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  return run_command(arguments);
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("facsim profile diff: rules, exit code 1 if one differs, JSON") {
  const CommandResult table =
      profile_command({"diff", "tflite-reference", "tflite-single-rounding"});
  CHECK(table.exit_code == 1);
  CHECK(mentions(table.out, "/requantize/left_shift/position\n  A  \"before_multiply\" ("));
  CHECK(mentions(table.out, "svdf\n  A  absent\n"));
  CHECK(mentions(table.out, " settings differ\n"));
  CHECK(profile_command({"diff", "ruy", "ruy"}).exit_code == 0);
  const CommandResult set =
      profile_command({"diff", "ruy", "ruy", "--set", "/accumulator/bits=24", "--format", "json"});
  CHECK(set.exit_code == 1);
  CHECK(schema_findings("profile-diff", set.out) == "");
  const ProfileJson json = ProfileJson::parse(set.out);
  REQUIRE(json["settings"].size() == 1);
  CHECK(json["settings"][0]["pointer"] == "/accumulator/bits");
  CHECK(json["settings"][0]["a"] == 32);
  CHECK(json["settings"][0]["b"] == 24);
  CHECK(json["settings"][0]["b_set_by"] == "--set /accumulator/bits=24");
  CHECK(json["a"]["fingerprint"] != json["b"]["fingerprint"]);
}

TEST_CASE("facsim profile diff --numeric: the smallest vectors, or a proof") {
  const CommandResult table = profile_command(
      {"diff", "tflite-reference", "tflite-single-rounding", "--numeric", "--op", "conv2d"});
  CHECK(table.exit_code == 1);
  CHECK(mentions(table.out,
                 "smallest: accumulator 1, scale 0.25, zero point 0, int8\n"
                 "    A  1   accumulator 1; mul multiplier -> 1073741824; shr 31 half_up -> "
                 "1 (multiplier = 1073741824, shift = 1)\n"
                 "    B  0   accumulator 1; mul multiplier -> 1073741824; shr shift half_up "
                 "-> 0 (multiplier = 1073741824, shift = 32)\n"));
  const CommandResult equal = profile_command({"diff", "ruy", "ruy", "--numeric"});
  CHECK(equal.exit_code == 0);
  CHECK(mentions(equal.out, "linear  proved equal: the same rules and the same step program\n"));
  const std::string printed =
      profile_command({"diff", "ruy", "gemmlowp", "--numeric", "--format", "json"}).out;
  CHECK(schema_findings("profile-diff", printed) == "");
  const ProfileJson json = ProfileJson::parse(printed);
  CHECK(json["ops"][0]["op"] == "linear");
  CHECK(json["ops"][0]["verdict"] == "separated");
  CHECK(json["ops"][0]["smallest"]["a"]["accumulator"] == 1);
  CHECK(json["ops"][0]["smallest"]["a"]["output"].is_number());
  // Not separated and not proved is not equal.
  const CommandResult undecided =
      profile_command({"diff", "ruy", "ruy", "--numeric", "--op", "linear", "--set",
                       "/accumulator/order=sequential"});
  CHECK(
      mentions(undecided.out, "0 of 1 ops proved equal, 0 not the same, 1 not decided: linear\n"));
  CHECK(undecided.exit_code == 1);
  CHECK(profile_command({"diff", "ruy", "gemmlowp", "--op", "linear"}).exit_code == 2);
  CHECK(profile_command({"diff", "ruy"}).exit_code == 2);
  CHECK(profile_command({"diff", "ruy", "gemmlowp", "--numeric", "--op", "svdf"}).exit_code == 4);
  const CommandResult unknown = profile_command({"diff", "ruy", "gemlowp"});
  CHECK(unknown.exit_code == 3);
  CHECK(mentions(unknown.err, "did you mean \"gemmlowp\"?"));
}

TEST_CASE("facsim profile diff --numeric: a whole layer is reduced to what it needs") {
  const std::vector<std::string> words = {
      "diff", "tflite-micro", "tflite-micro", "--numeric",
      "--op", "mul",          "--set",        "/requantize/rounding=floor"};
  const CommandResult table = profile_command(words);
  CHECK(table.exit_code == 1);
  CHECK(mentions(table.out, "smallest: mul: "));
  // One product; its operands are in the text.
  CHECK(mentions(table.out, " at [0"));
  std::vector<std::string> as_json = words;
  as_json.insert(as_json.end(), {"--format", "json"});
  const std::string printed = profile_command(as_json).out;
  CHECK(schema_findings("profile-diff", printed) == "");
  const ProfileJson smallest = ProfileJson::parse(printed)["ops"][0]["smallest"];
  const std::string layer = smallest["layer"];
  CAPTURE(layer);
  for (const ProfileJson& index : smallest["index"]) CHECK(index == 0);
  CHECK(mentions(layer, "input1 int8(1, 1, 1, 1) = ["));
  CHECK(mentions(layer, "input2 int8(1, 1, 1, 1) = ["));
  CHECK(smallest["a"]["output"] != smallest["b"]["output"]);
}

TEST_CASE("facsim profile diff --model: the share of each layer, as two runs show it") {
  const DeployedFixture f;
  const std::vector<std::string> set = {"--set", "/requantize/rounding=floor"};
  std::vector<std::string> words = {"diff",          "tflite-micro",     "tflite-micro",
                                    "--model",       f.file("net.json"), "--inputs",
                                    f.file("x.npz"), "--format",         "json"};
  words.insert(words.end(), set.begin(), set.end());
  const CommandResult result = profile_command(words);
  CHECK(result.exit_code == 1);
  CHECK(schema_findings("profile-diff", result.out) == "");
  const ProfileJson json = ProfileJson::parse(result.out);
  REQUIRE(json["layers"].size() == f.graph.nodes.size());
  const auto dump = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> run = {
        "run",           "--model", f.file("net.json"), "--profile", "tflite-micro", "--inputs",
        f.file("x.npz"), "-o",      f.file(name),       "--dump",    "all"};
    run.insert(run.end(), more.begin(), more.end());
    CHECK(run_command(run).exit_code == 0);
    return backends::read_npz(f.folder / name);
  };
  const backends::NamedTensors a = dump("a.npz", {}), b = dump("b.npz", set);
  int64_t total = 0;
  bool first = true;
  for (const ProfileJson& layer : json["layers"]) {
    const std::string tensor = layer["tensor"];
    CAPTURE(tensor);
    const Tensor& x = backends::member(a, tensor, "a");
    const Tensor& y = backends::member(b, tensor, "b");
    CHECK(layer["compared"] == x.numel());
    int64_t differing = 0;
    for (int64_t i = 0; i < x.numel(); ++i) differing += x.int_at(i) != y.int_at(i);
    CHECK(layer["whole"] == differing);
    total += differing;
    if (x.numel() > 0 && first && differing > 0) {  // up to there both had the same inputs
      CHECK(layer["own"] == differing);
      CHECK(layer["own_largest"] == 1);
      first = false;
    }
  }
  CHECK(total > 0);
  CHECK_FALSE(first);
  // The same profile: nothing differs; without inputs: a usage error.
  const CommandResult same = profile_command({"diff", "tflite-micro", "tflite-micro", "--model",
                                              f.file("net.json"), "--inputs", f.file("x.npz")});
  CHECK(same.exit_code == 0);
  CHECK(mentions(same.out, "whole run"));
  CHECK(profile_command({"diff", "ruy", "ruy", "--model", f.file("net.json")}).exit_code == 2);
  // ruy has no convolution: the layers say so.
  const CommandResult ruy = profile_command(
      {"diff", "tflite-micro", "ruy", "--model", f.file("net.json"), "--inputs", f.file("x.npz")});
  CHECK(ruy.exit_code == 1);
  CHECK(mentions(ruy.out, "unsupported on B: node "));
  CHECK(mentions(ruy.out, "B does not run the whole network"));
}

TEST_CASE("facsim profile init: writes once, --force again, the base's fingerprint") {
  const TempFolder folder;
  const std::string file = (folder / "my-chip.json").string();
  const CommandResult first = profile_command({"init", "my-chip", "--from", "ruy", "-o", file});
  CHECK(first.exit_code == 0);
  CHECK(mentions(text_of(file), "\"extends\": \"ruy\""));
  std::ofstream(file, std::ios::app) << "// mine\n";
  const CommandResult again = profile_command({"init", "my-chip", "--from", "ruy", "-o", file});
  CHECK(again.exit_code == 3);
  CHECK(mentions(again.err, "--force replaces it"));
  CHECK(mentions(text_of(file), "// mine"));
  const CommandResult forced = profile_command(
      {"init", "my-chip", "--from", "ruy", "-o", file, "--force", "--format", "json"});
  CHECK(forced.exit_code == 0);
  CHECK_FALSE(mentions(text_of(file), "// mine"));
  const ProfileJson prints = ProfileJson::parse(
      profile_command({"fingerprint", "ruy", file, "--format", "json"}).out)["profiles"];
  CHECK(prints[0]["fingerprint"] == prints[1]["fingerprint"]);
  CHECK(ProfileJson::parse(forced.out)["fingerprint"] == prints[0]["fingerprint"]);
  CHECK(folder.files() == 1);
  CHECK(profile_command({"init", "Chip", "--from", "ruy", "-o", file}).exit_code == 3);
  CHECK(profile_command({"init", "my-chip", "-o", file}).exit_code == 2);
  CHECK(profile_command({"init", "my-chip", "--from", "ruuy", "-o", file, "--force"}).exit_code ==
        3);
  CHECK(
      profile_command({"init", "c", "--from", "ruy", "--set", "/accumulator/bits=24"}).exit_code ==
      2);
}

TEST_CASE("facsim profile fmt: --check says, without it the file is put in order") {
  const TempFolder folder;
  const std::string file =
      folder.write("a.json", "{\"name\": \"a\", // me\n\"schema_version\": 1}").string();
  const std::string link = (folder / "link.json").string();
  std::filesystem::create_symlink("a.json", link);
  const CommandResult check = profile_command({"fmt", "--check", file});
  CHECK(check.exit_code == 1);
  CHECK(mentions(check.out, "not in order"));
  CHECK(mentions(text_of(file), "{\"name\""));
  CHECK(profile_command({"fmt", link}).exit_code == 0);  // the file, not the link
  CHECK(std::filesystem::is_symlink(link));
  CHECK(text_of(file) == "{\n  \"schema_version\": 1,\n  \"name\": \"a\"  // me\n}\n");
  const CommandResult same = profile_command({"fmt", "--check", file});
  CHECK(same.exit_code == 0);
  CHECK(same.out.empty());
  // Nothing is written when one of the files is broken.
  const std::string broken = folder.write("b.json", "{").string();
  folder.write("a.json", "{\"name\": \"a\", \"schema_version\": 1}");
  const CommandResult failed = profile_command({"fmt", file, broken});
  CHECK(failed.exit_code == 3);
  CHECK(mentions(failed.err, "b.json:1:"));
  CHECK(mentions(text_of(file), "{\"name\""));
}

TEST_CASE("facsim profile migrate: nothing to do today; newer files are unsupported") {
  const TempFolder folder;
  const std::string today = folder.write("a.json", "{\"schema_version\": 1}").string();
  const CommandResult nothing = profile_command({"migrate", today});
  CHECK(nothing.exit_code == 0);
  CHECK(mentions(nothing.out, "nothing to do, schema_version 1"));
  CHECK(text_of(today) == "{\"schema_version\": 1}");
  const std::string newer = folder.write("b.json", "{\"schema_version\": 2}").string();
  const CommandResult refused = profile_command({"migrate", newer});
  CHECK(refused.exit_code == 4);
  CHECK(mentions(refused.err,
                 "b.json:1:20 /schema_version: schema version 2, newer than this build"));
  const ProfileJson json =
      ProfileJson::parse(profile_command({"migrate", "--check", today, "--format", "json"}).out);
  CHECK(json["files"][0]["from"] == 1);
  CHECK(json["files"][0]["to"] == 1);
}

TEST_CASE("facsim profile fingerprint: of several, or of --profile with --set") {
  const CommandResult two = profile_command({"fingerprint", "ruy", "gemmlowp"});
  CHECK(two.exit_code == 0);
  CHECK(mentions(two.out, "  ruy\n"));
  const CommandResult global = profile_command({"fingerprint", "--profile", "ruy"});
  CHECK(two.out.starts_with(global.out));
  const CommandResult set =
      profile_command({"fingerprint", "ruy", "--set", "/accumulator/bits=24"});
  CHECK(set.out != global.out);
  CHECK(profile_command({"fingerprint"}).exit_code == 2);
}

}  // namespace
}  // namespace facsim::test
