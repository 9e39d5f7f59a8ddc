// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "backends/io/provenance.h"
#include "backends/parity/compare.h"
#include "backends/parity/suite.h"
#include "tests/backends/schema_validator.h"
#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

namespace {

namespace fs = std::filesystem;
using SuiteReport = nlohmann::json;

const fs::path kSuiteSchemas = fs::path(FACSIM_SOURCE_DIR) / "configs/schema";

CommandResult suite_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "suite");
  return run_command(arguments);
}

/// A network, a profile file of its own that extends tflite-micro, inputs, and the suite of them.
struct SuiteFixture {
  DeployedFixture f;

  explicit SuiteFixture(const std::vector<std::string>& more = {}) {
    write_profile("half_up");
    std::vector<std::string> words = {
        "init",     dir(),           "--model",   f.file("net.json"),
        "--inputs", f.file("x.npz"), "--profile", f.file("chip.json")};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult made = suite_command(words);
    REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  }

  /// Its rounding of every product.
  void write_profile(const std::string& rounding) const {
    f.folder.write("chip.json", R"({"schema_version": 1, "name": "chip", "extends": "tflite-micro",
                   "requantize": {"rounding": ")" +
                                    rounding + R"("}})");
  }
  std::string dir() const { return f.file("suite"); }
  fs::path in(std::string_view file) const { return fs::path(dir()) / file; }
  backends::Suite read() const { return backends::read_suite(dir()); }
  fs::path golden() const { return backends::suite_golden_file(dir(), read().cases[0]); }
  fs::path received() const { return in("cases/x/received.npz"); }

  SuiteReport run(int exit_code, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"run", dir(), "--format", "json"});
    const CommandResult result = suite_command(more);
    CHECK_MESSAGE(result.exit_code == exit_code, result.out << result.err);
    SuiteReport json = SuiteReport::parse(result.out);
    PublishedSchema schema(SuiteReport::parse(contents(kSuiteSchemas / "suite-run.schema.json")));
    CHECK(schema.findings(json) == "");
    return json;
  }
  CommandResult approve(const std::string& reason) const {
    return suite_command({"approve", dir(), "--reason", reason});
  }
};

size_t occurrences(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) ++count;
  return count;
}

/// Every file of a folder with its bytes.
std::map<std::string, std::string> files_with_bytes(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[entry.path().string()] = contents(entry.path());
  }
  return files;
}

}  // namespace

TEST_CASE("facsim suite: init keeps network, inputs and every layer; run passes") {
  const SuiteFixture s;
  const auto golden = backends::read_npz(s.golden());
  REQUIRE(golden.size() == 2);
  CHECK(golden[0].first == "y");
  CHECK(same(golden[0].second, s.f.expected.tensors[1].reshaped(golden[0].second.shape())));
  CHECK(golden[1].first == "z");
  CHECK(same(golden[1].second, s.f.expected.tensors[2]));
  CHECK(same(backends::read_npz(s.in("cases/x/inputs.npz"))[0].second, s.f.input));
  const backends::Suite made = s.read();
  CHECK(made.name == "suite");
  CHECK(made.profile == "../chip.json");
  CHECK(made.cases[0].golden.origin == backends::SuiteGolden::Origin::simulated);
  CHECK(fs::exists(backends::suite_profile_file(s.dir(), made.cases[0].golden.profile)));
  PublishedSchema schema(SuiteReport::parse(contents(kSuiteSchemas / "suite.schema.json")));
  CHECK(schema.findings(SuiteReport::parse(contents(s.in("suite.json")))) == "");
  CHECK(!fs::exists(s.f.file("suite.tmp")));

  const SuiteReport json = s.run(0);
  CHECK(json["passed"] == 1);
  const SuiteReport& c = json["suites"][0]["cases"][0];
  CHECK(c["status"] == "passed");
  CHECK(c["compared"] == golden[0].second.numel() + golden[1].second.numel());
  CHECK(c["changes"].empty());
  CHECK(c["next"].empty());
  const CommandResult table = suite_command({"run", s.dir()});
  CHECK(table.exit_code == 0);
  CHECK(contains(table.out, "PASSED  x  0 of 120 values differ in 2 layers"));
  CHECK(table.out.ends_with("1 passed, 0 failed, 0 unsupported, 0 invalid\n"));
  CHECK(!fs::exists(s.received()));
}

TEST_CASE("facsim suite: a changed profile is named before what it changed; approve accepts") {
  const SuiteFixture s;
  const backends::Suite before = s.read();
  const std::string old_golden = contents(s.golden());
  const fs::path old_file = s.golden();
  s.write_profile("floor");

  const CommandResult table = suite_command({"run", s.dir()});
  CHECK(table.exit_code == 1);
  CHECK(contains(table.out, "the profile changed: " + before.cases[0].golden.profile + " -> "));
  CHECK(contains(table.out, "/requantize/rounding  \"half_up\" -> \"floor\""));
  REQUIRE(contains(table.out, "max |d|"));
  CHECK(table.out.find("the profile changed") < table.out.find("max |d|"));
  CHECK(contains(table.out, "facsim explain --model "));
  CHECK(contains(table.out, " conv"));  // a layer by its node
  CHECK(contains(table.out, "facsim suite approve " + s.dir() + " --case x --reason \"...\""));
  CHECK(contains(table.out, "0 passed, 1 failed"));

  const SuiteReport json = s.run(1);
  const SuiteReport& c = json["suites"][0]["cases"][0];
  CHECK(c["changes"][0]["what"] == "profile");
  CHECK(c["changes"][0]["settings"].size() == 1);
  CHECK(c["received"] == s.received().string());
  CHECK(c["mismatches"] > 0);
  const auto received = backends::read_npz(s.received());
  const backends::ComparisonReport direct =
      backends::compare(received, backends::read_npz(s.golden()));
  CHECK(c["mismatches"] == direct.mismatches());
  CHECK(c["layers"][0]["first"][0]["got"] == direct.tensors[0].first[0].got);
  const auto made = backends::provenance_from_comment(backends::NpzFile(s.received()).comment());
  REQUIRE(made.has_value());
  CHECK(made->profile == "chip");
  CHECK(contents(s.golden()) == old_golden);  // a run changes no golden

  const CommandResult approved = s.approve("the chip floors since revision B");
  CHECK(approved.exit_code == 0);
  const backends::Suite now = s.read();
  const backends::SuiteCase& kept = now.cases[0];
  CHECK(kept.golden.reason == "the chip floors since revision B");
  CHECK(kept.golden.fingerprint == backends::fingerprint(received));
  CHECK(kept.golden.date >= before.cases[0].golden.date);
  REQUIRE(kept.history.size() == 1);
  CHECK(kept.history[0] == before.cases[0].golden);
  CHECK(!fs::exists(s.received()));
  CHECK(!fs::exists(old_file));
  CHECK(backends::fingerprint(backends::read_npz(s.golden())) == kept.golden.fingerprint);
  CHECK(s.run(0)["suites"][0]["cases"][0]["changes"].empty());
}

TEST_CASE("facsim suite: approve refuses without a reason, without a failing run, or blindly") {
  const SuiteFixture s;
  const auto before = files_with_bytes(s.dir());
  const CommandResult nothing = s.approve("why not");
  CHECK(nothing.exit_code == 3);
  CHECK(contains(nothing.err, "nothing to approve"));
  s.write_profile("floor");
  const CommandResult not_run = s.approve("not looked at");
  CHECK(not_run.exit_code == 3);
  CHECK(contains(not_run.err, "no received values"));
  CHECK(contains(not_run.err, "facsim suite run"));
  CHECK(files_with_bytes(s.dir()) == before);

  s.run(1);
  const auto failed = files_with_bytes(s.dir());
  CHECK(suite_command({"approve", s.dir()}).exit_code == 2);
  CHECK(contains(suite_command({"approve", s.dir()}).err, "--reason"));
  CHECK(s.approve("  ").exit_code == 2);
  CHECK(s.approve("two\nlines").exit_code == 2);
  CHECK(s.approve(std::string("no utf-8 \xff")).exit_code == 2);
  CHECK(
      suite_command({"approve", s.dir(), "--reason", "r", "--profile", "tflite-micro"}).exit_code ==
      2);
  const CommandResult misspelt =
      suite_command({"approve", s.dir(), "--case", "y", "--reason", "r"});
  CHECK(misspelt.exit_code == 3);
  CHECK(contains(misspelt.err, "one of x"));
  s.write_profile("ceil");  // received.npz is what floor gave
  const CommandResult stale = s.approve("looked at other values");
  CHECK(stale.exit_code == 3);
  CHECK(contains(stale.err, "does not give now"));
  CHECK(files_with_bytes(s.dir()) == failed);
  s.write_profile("floor");
  CHECK(s.approve("looked at").exit_code == 0);
}

TEST_CASE("facsim suite: a run under another profile leaves nothing that could be approved") {
  const SuiteFixture s;
  const SuiteReport json = s.run(1, {"--set", "/requantize/rounding=floor"});
  CHECK(json["suites"][0]["profile"]["settings"][0]["value"] == "floor");
  CHECK(json["suites"][0]["cases"][0]["next"].size() == 1);  // explain, not approve
  CHECK(fs::exists(s.received()));
  CHECK(s.approve("from another profile").exit_code == 3);
  CHECK(s.run(0, {"--profile", "tflite-micro", "--set",
                  "/requantize/rounding=half_up"})["passed"] == 1);
  CHECK(fs::exists(s.received()));  // only the suite's own profile tidies up
  s.run(0);
  CHECK(!fs::exists(s.received()));
  CHECK(s.run(4, {"--profile", "example-chip"})["unsupported"] == 1);
  CHECK(s.run(3, {"--profile", "no-such-chip"})["invalid"] == 1);
}

TEST_CASE("facsim suite: other inputs or goldens than approved ones are no mismatches") {
  const SuiteFixture s;
  const Tensor other = codes(s.f.input.shape(), 41);
  backends::write_npz(s.in("cases/x/inputs.npz"), {{"x", other}});
  const SuiteReport inputs = s.run(3);
  CHECK(inputs["invalid"] == 1);
  const SuiteReport& c = inputs["suites"][0]["cases"][0];
  CHECK(c["compared"] == 0);
  CHECK(contains(c["errors"][0]["text"].get<std::string>(), "inputs differ"));
  CHECK(contains(suite_command({"run", s.dir()}).out, "INVALID  x"));
  CHECK(s.approve("no").exit_code == 3);

  backends::write_npz(s.in("cases/x/inputs.npz"), {{"x", s.f.input}});
  s.run(0);
  auto golden = backends::read_npz(s.golden());
  golden[0].second.set_int(0, golden[0].second.int_at(0) ^ 1);
  backends::write_npz(s.golden(), golden);
  const SuiteReport edited = s.run(3);
  CHECK(contains(edited["suites"][0]["cases"][0]["errors"][0]["text"].get<std::string>(),
                 "only facsim suite approve changes a golden"));
  fs::remove(s.golden());
  s.run(3);
}

TEST_CASE("facsim suite: a changed network is named; equal bits pass and may be approved") {
  const SuiteFixture s;
  backends::IntGraph graph = backends::read_int_graph(s.in("network.json"));
  graph.nodes[0].name = "renamed";
  backends::write_int_graph(s.in("network.json"), graph);
  const SuiteReport json = s.run(0);
  CHECK(json["suites"][0]["cases"][0]["changes"][0]["what"] == "network");
  const std::string golden = contents(s.golden());
  CHECK(s.approve("a node has another name").exit_code == 0);
  CHECK(contents(s.golden()) == golden);
  CHECK(s.read().cases[0].history.size() == 1);
  CHECK(s.run(0)["suites"][0]["cases"][0]["changes"].empty());

  Tensor& weights = *graph.tensors[1].data;
  weights.set_int(0, weights.int_at(0) + 50);
  backends::write_int_graph(s.in("network.json"), graph);
  s.run(1);

  // A golden may not lose a tensor in silence.
  backends::IntTensor& output = graph.tensors[static_cast<size_t>(graph.nodes[0].output)];
  const std::string before = output.name;
  output.name = "another name";
  backends::write_int_graph(s.in("network.json"), graph);
  s.run(1);
  const CommandResult refused = s.approve("a tensor has another name");
  CHECK(refused.exit_code == 3);
  CHECK(contains(refused.err, "tensor \"" + before + "\" of the golden"));
  CHECK(s.read().cases[0].history.size() == 1);
}

TEST_CASE("facsim suite: goldens of a device, several cases and the first images only") {
  const DeployedFixture f;
  Tensor device = f.expected.tensors[2].clone();
  device.set_int(17, device.int_at(17) ^ 1);  // image 1
  backends::write_npz(f.folder / "device.npz", {{"z", device}});
  backends::write_npz(f.folder / "good.npz", {{"z", f.expected.tensors[2]}});
  backends::write_npz(f.folder / "second.npz", {{"x", f.input}});
  const std::vector<std::string> both = {"init",     f.file("suite"),
                                         "--model",  f.file("net.json"),
                                         "--inputs", f.file("x.npz"),
                                         "--golden", f.file("good.npz"),
                                         "--inputs", f.file("second.npz"),
                                         "--golden", f.file("device.npz"),
                                         "--images", "2"};
  const CommandResult made = suite_command(both);
  CHECK(made.exit_code == 0);
  CHECK(contains(made.err, "the suite fails until it does"));
  const CommandResult result = suite_command({"run", f.file("suite"), "--junit", f.file("j.xml")});
  CHECK(result.exit_code == 1);
  CHECK(contains(result.out, "1 passed, 1 failed"));
  CHECK(contains(result.out, "[1,5] got"));
  const backends::Suite read = backends::read_suite(f.file("suite"));
  CHECK(read.cases[0].name == "x");
  CHECK(read.cases[1].name == "second");
  CHECK(read.cases[1].golden.origin == backends::SuiteGolden::Origin::recorded);
  CHECK(backends::read_npz(backends::suite_inputs_file(f.file("suite"), read.cases[1]))[0]
            .second.shape() == Shape{2, 4, 4, 2});
  const std::string xml = contents(f.folder / "j.xml");
  CHECK(contains(xml, "tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""));
  CHECK(contains(xml, "<testsuite name=\"suite.second\""));
  CHECK(contains(xml, "<testcase name=\"flatten\" classname=\"suite.x\""));
  CHECK(contains(xml, "<failure message=\"1 of 24 values differ, by at most 1; z[1,5]: got"));

  const CommandResult approved = suite_command(
      {"approve", f.file("suite"), "--case", "second", "--reason", "the device was wrong"});
  CHECK(approved.exit_code == 0);
  CHECK(contains(approved.err, "recorded elsewhere"));
  CHECK(suite_command({"run", f.file("suite")}).exit_code == 0);
}

TEST_CASE("facsim suite: several suites in one call, a broken one does not hide the others") {
  const SuiteFixture s;
  const DeployedFixture f;
  REQUIRE(suite_command({"init", f.file("b"), "--model", f.file("net.json"), "--inputs",
                         f.file("x.npz"), "--tensors", "outputs"})
              .exit_code == 0);
  const CommandResult both =
      suite_command({"run", s.dir(), f.file("b"), "--junit", f.file("j.xml")});
  CHECK(both.exit_code == 0);
  CHECK(contains(both.out, "2 passed, 0 failed"));
  CHECK(occurrences(contents(f.folder / "j.xml"), "<testcase ") == 3);  // layers: 2 and 1
  const CommandResult broken =
      suite_command({"run", f.file("absent"), f.file("b"), "--junit", f.file("j.xml")});
  CHECK(broken.exit_code == 3);
  CHECK(contains(broken.out, "1 passed, 0 failed, 0 unsupported, 1 invalid"));
  CHECK(contains(contents(f.folder / "j.xml"), "errors=\"1\""));
}

TEST_CASE("facsim suite: init refuses what would make no suite, and leaves nothing") {
  const DeployedFixture f;
  const std::vector<std::string> base = {"init", f.file("s"), "--model", f.file("net.json"),
                                         "--inputs"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> words = base;
    words.insert(words.end(), more.begin(), more.end());
    return suite_command(words);
  };
  backends::write_npz(f.folder / "unknown.npz", {{"zz", f.expected.tensors[2]}});
  backends::write_npz(f.folder / "short.npz", {{"z", f.expected.tensors[2].slice(0, 3)}});
  const size_t files = f.folder.files();
  const std::string x = f.file("x.npz");
  CHECK(with({f.file("absent.npz")}).exit_code == 3);
  const CommandResult unknown = with({x, "--golden", f.file("unknown.npz")});
  CHECK(unknown.exit_code == 3);
  CHECK(contains(unknown.err, "array \"zz\""));
  CHECK(with({x, "--golden", f.file("short.npz")}).exit_code == 3);
  CHECK(contains(with({x, "--images", "6"}).err, "5 images; expected at least 6"));
  CHECK(with({x, "--inputs", x}).exit_code == 2);  // two cases of one name
  CHECK(with({x, "--golden", f.file("short.npz"), "--golden", f.file("short.npz")}).exit_code == 2);
  CHECK(with({x, "--images", "0"}).exit_code == 2);
  CHECK(f.folder.files() == files);

  // facsim's own results name their inputs.
  backends::write_npz(f.folder / "other.npz", {{"x", codes(f.input.shape(), 41)}});
  REQUIRE(run_command({"run", "--model", f.file("net.json"), "--inputs", f.file("other.npz"), "-o",
                       f.file("other-golden.npz")})
              .exit_code == 0);
  const CommandResult other = with({x, "--golden", f.file("other-golden.npz")});
  CHECK(other.exit_code == 3);
  CHECK(contains(other.err, "inputs differ"));
  CHECK(!fs::exists(f.file("s")));

  REQUIRE(with({x}).exit_code == 0);
  const CommandResult again = with({x});
  CHECK(again.exit_code == 3);
  CHECK(contains(again.err, "not empty"));
}

TEST_CASE("facsim suite: a referenced network stays where it is, layouts are the file's") {
  const DeployedFixture f(backends::IntGraph::Layout::nchw);
  backends::write_npz(f.folder / "x.npz", {{"x", codes({5, 2, 4, 4}, 37)}});
  REQUIRE(suite_command({"init", f.file("s"), "--model", f.file("net.json"), "--inputs",
                         f.file("x.npz"), "--reference"})
              .exit_code == 0);
  CHECK(!fs::exists(f.folder / "s/network.json"));
  CHECK(backends::read_suite(f.file("s")).network == "../net.json");
  CHECK(suite_command({"run", f.file("s")}).exit_code == 0);
  const auto golden = backends::read_npz(
      backends::suite_golden_file(f.file("s"), backends::read_suite(f.file("s")).cases[0]));
  CHECK(golden[0].second.shape() == Shape{5, 3, 2, 2});
  fs::remove(f.folder / "net.json");
  const CommandResult gone = suite_command({"run", f.file("s")});
  CHECK(gone.exit_code == 3);
  CHECK(contains(gone.out, "INVALID"));
}

TEST_CASE("facsim suite: init in the folder one is in, and behind a symbolic link") {
  const DeployedFixture f;
  f.folder.write("chip.json",
                 R"({"schema_version": 1, "name": "chip", "extends": "tflite-micro"})");
  fs::create_directories(f.folder / "here");
  const auto shell = [&](const std::string& folder, const std::string& words) {
    const std::string line = "cd " + f.file(folder) + " && " FACSIM_COMMAND_FILE " suite " + words +
                             " >/dev/null && ls suite.json >/dev/null";
    return std::system(line.c_str());
  };
  const std::string rest = " --model ../net.json --inputs ../x.npz --profile ../chip.json";
  CHECK(shell("here", "init ." + rest) == 0);  // it is still the folder one is in
  CHECK(shell("here", "run .") == 0);
  CHECK(backends::read_suite(f.file("here")).profile == "../chip.json");

  fs::create_directories(f.folder / "deep/er/real");
  fs::create_directory_symlink(f.folder / "deep/er/real", f.folder / "link");
  const CommandResult made =
      suite_command({"init", f.file("link/suite"), "--model", f.file("net.json"), "--inputs",
                     f.file("x.npz"), "--profile", f.file("chip.json"), "--reference"});
  CHECK_MESSAGE(made.exit_code == 0, made.err);
  CHECK(backends::read_suite(f.file("link/suite")).profile == "../../../../chip.json");
  for (const char* folder : {"link/suite", "deep/er/real/suite"}) {
    const CommandResult result = suite_command({"run", f.file(folder)});
    CHECK_MESSAGE(result.exit_code == 0, result.out << result.err);
  }
  fs::create_directory_symlink(f.folder / "deep/er", f.folder / "empty-link");
  fs::create_directories(f.folder / "deep/er/new");
  CHECK(suite_command({"init", f.file("empty-link/new"), "--model", f.file("net.json"), "--inputs",
                       f.file("x.npz"), "--profile", f.file("chip.json")})
            .exit_code == 0);
  CHECK(suite_command({"run", f.file("empty-link/new")}).exit_code == 0);
}

TEST_CASE("facsim suite: a folder of suites runs each; one page shows all") {
  const DeployedFixture f;
  for (const char* name : {"all/b", "all/deeper/a"}) {
    fs::create_directories((f.folder / name).parent_path());
    REQUIRE(suite_command(
                {"init", f.file(name), "--model", f.file("net.json"), "--inputs", f.file("x.npz")})
                .exit_code == 0);
  }
  const std::string page = f.file("page.html");
  const CommandResult result =
      suite_command({"run", f.file("all"), "--html", page, "--set", "/requantize/rounding=floor"});
  CHECK(result.exit_code == 1);
  CHECK(contains(result.out, "0 passed, 2 failed"));
  CHECK(result.out.find(f.file("all/b")) < result.out.find(f.file("all/deeper/a")));
  const std::string html = contents(page);
  CHECK(contains(html, "<!doctype html>"));
  CHECK(contains(html, "b: x, failed"));
  CHECK(contains(html, "a: x, failed"));
  CHECK(occurrences(html, "The first mismatch, step by step") == 2);
  CHECK(contains(html, "the profile changed: "));
  CHECK(suite_command({"run", f.file("all"), "--html", page}).exit_code == 0);
  CHECK(contains(contents(page), "b: x, passed"));
  CHECK(suite_command({"run", f.folder.path().string() + "/absent", "--html", page}).exit_code ==
        3);
  CHECK(contains(contents(page), "suite.json"));
}

TEST_CASE("facsim suite: what a killed process left is removed by the next init or approve") {
  const SuiteFixture s;
  const fs::path dead = s.f.folder / "second.tmp-4194303",
                 alive = s.f.folder / ("second.tmp-" + std::to_string(getpid()));
  fs::create_directories(dead / "cases");
  fs::create_directories(alive);
  REQUIRE(suite_command({"init", s.f.file("second"), "--model", s.f.file("net.json"), "--inputs",
                         s.f.file("x.npz")})
              .exit_code == 0);
  CHECK(!fs::exists(dead));
  CHECK(fs::exists(alive));

  const fs::path old = s.in("suite.json.tmp-0123"), fresh = s.in("cases/x/golden-0.npz.tmp-4567");
  for (const fs::path& file : {old, fresh}) backends::write_file_atomically(file, "x");
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(2));
  s.write_profile("floor");
  s.run(1);
  REQUIRE(s.approve("the chip floors").exit_code == 0);
  CHECK(!fs::exists(old));
  CHECK(fs::exists(fresh));
}

}  // namespace facsim::test
