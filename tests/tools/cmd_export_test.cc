// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

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

TEST_CASE("facsim export: what is missing is noticed before a file is written") {
  const DeployedFixture f;
  const auto check_left_alone = [&](int exit_code, const std::vector<std::string>& more) {
    CAPTURE(more);
    const size_t before = f.folder.files();
    CHECK(export_to(f, "new.tflite", more).exit_code == exit_code);
    CHECK(f.folder.files() == before);
    f.folder.write("old.tflite", "old");
    CHECK(export_to(f, "old.tflite", more).exit_code == exit_code);
    CHECK(backends::read_file(f.folder / "old.tflite") == "old");
    std::filesystem::remove(f.folder / "old.tflite");
  };
  check_left_alone(2, {"--verify"});
  check_left_alone(2, {"--inputs", f.file("x.npz")});
  check_left_alone(2, {"--runtimes", f.file(".")});
  check_left_alone(3, {"--verify", "--inputs", f.file("absent.npz")});
  check_left_alone(4, {"--verify", "--inputs", f.file("x.npz"), "--runtimes", f.file("absent")});
}

TEST_CASE("facsim export: never over what it reads") {
  const DeployedFixture f;
  REQUIRE(export_to(f, "net.onnx").exit_code == 0);
  const std::string before = backends::read_file(f.folder / "net.onnx");
  std::filesystem::create_symlink(f.folder / "net.onnx", f.folder / "link.onnx");
  for (const char* to : {"net.onnx", "./net.onnx", "link.onnx"}) {
    CAPTURE(std::string(to));
    const CommandResult result = run_command(
        {"export", "--model", f.file("net.onnx"), "--form", "qoperator", "--to", f.file(to)});
    CHECK(result.exit_code == 2);
    CHECK(result.err.find("is read by this command") != std::string::npos);
    CHECK(backends::read_file(f.folder / "net.onnx") == before);
  }
}

namespace {

/// A folder of runtimes whose `node` is a shell script.
class FakeNode {
 public:
  FakeNode(const DeployedFixture& f, const std::string& script) : before_(std::getenv("PATH")) {
    f.folder.write("node", "#!/bin/sh\n" + script);
    f.folder.write("run_tflite.mjs", "");
    std::filesystem::permissions(f.folder / "node", std::filesystem::perms::owner_all);
    setenv("PATH", (f.folder.path().string() + ":" + before_).c_str(), 1);
  }
  FakeNode(const FakeNode&) = delete;
  FakeNode& operator=(const FakeNode&) = delete;
  ~FakeNode() { setenv("PATH", before_.c_str(), 1); }

 private:
  std::string before_;
};

std::vector<std::string> verify_by_fake(const DeployedFixture& f) {
  return {"--verify",  "--inputs",  f.file("x.npz"), "--runtimes",
          f.file("."), "--profile", "tflite-micro"};
}

}  // namespace

TEST_CASE("facsim export: what the runtime's script says may be anything") {
  const DeployedFixture f;
  backends::write_npz(f.folder / "y.npz", {{f.graph.tensors.back().name, f.expected.outputs[0]}});
  for (const char* said : {"", "7", "{\"runtime\": 5, \"version\": [], \"seconds\": \"x\"}"}) {
    CAPTURE(std::string(said));
    const FakeNode node(f, "cp " + f.file("y.npz") + " $4\necho '" + said + "'\n");
    const CommandResult result = export_to(f, "net.tflite", verify_by_fake(f));
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
  }
  const FakeNode node(f, "echo \"error: $2: refused for a reason\" >&2\nexit 3\n");
  const CommandResult result = export_to(f, "net.tflite", verify_by_fake(f));
  CHECK(result.exit_code == 4);
  CHECK(result.err.find("refused for a reason") != std::string::npos);
  const size_t named = result.err.find("net.tflite: ");
  REQUIRE(named != std::string::npos);
  CHECK(result.err.find("net.tflite: ", named + 1) == std::string::npos);
}

TEST_CASE("facsim export: an interrupt ends the runtime's process") {
  for (const int signal : {SIGINT, SIGTERM}) {
    CAPTURE(signal);
    const DeployedFixture f;
    const FakeNode node(f, "echo $$ > " + f.file("pid.tmp") + "\nmv " + f.file("pid.tmp") + " " +
                               f.file("pid") + "\nexec sleep 60\n");
    std::vector<std::string> words{"export", "--model", f.file("net.json"), "--to",
                                   f.file("net.tflite")};
    for (const std::string& word : verify_by_fake(f)) words.push_back(word);
    const TempFolder logs;
    CommandProcess process(logs, words);
    const auto start = std::chrono::steady_clock::now();
    const auto is_late = [&] {
      return std::chrono::steady_clock::now() > start + std::chrono::seconds(20);
    };
    while (!std::filesystem::exists(f.folder / "pid") && !is_late()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    kill(process.pid(), signal);
    CHECK(process.wait().exit_code == 130);
    CHECK_FALSE(is_late());
    REQUIRE(std::filesystem::exists(f.folder / "pid"));
    const pid_t child = std::stoi(backends::read_file(f.folder / "pid"));
    CHECK(kill(child, 0) != 0);
  }
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
