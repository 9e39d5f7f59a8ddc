// SPDX-License-Identifier: Apache-2.0
// Ctrl-C during commands that write folders: exit code 130, and nothing of the folder is there.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <thread>

#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

namespace {

/// Runs a command, interrupts it as soon as `is_time` says so, and checks how it ended.
void check_interrupted(const std::vector<std::string>& words,
                       const std::function<bool(const CommandProcess&)>& is_time) {
  const TempFolder logs;
  CommandProcess process(logs, words);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!is_time(process) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(std::chrono::steady_clock::now() < deadline);
  kill(process.pid(), SIGINT);
  const CommandResult result = process.wait();
  CAPTURE(words.front());
  CHECK_MESSAGE(result.exit_code == 130, result.err);
  CHECK(contains(result.err, "interrupted"));
}

}  // namespace

TEST_CASE("facsim identify: Ctrl-C exits 130 and leaves no folder of suggestions") {
  const TempFolder folder;
  check_interrupted(
      {"identify", "--acc", "585,-585", "--scale", "0.0111", "--out", "6,-6", "--knobs", "always",
       "--suggest-vectors", "16", "-o", (folder / "next").string(), "--emit",
       (folder / "chip.json").string(), "--any", "--progress", "always"},
      [](const CommandProcess& process) { return contains(process.err_so_far(), "identify  ["); });
  CHECK(folder.files() == 0);
}

TEST_CASE("facsim vectors gen: Ctrl-C while it writes exits 130 and leaves nothing") {
  const TempFolder folder;
  check_interrupted({"vectors", "gen", "--profile", "tflite-micro", "--op", "conv2d", "--strategy",
                     "random", "--count", "1000", "--no-separate", "--emit", "npz,hex,c", "--out",
                     (folder / "vectors").string()},
                    [&](const CommandProcess&) { return folder.files() > 0; });
  CHECK(folder.files() == 0);
}

TEST_CASE("facsim suite init: Ctrl-C while it writes exits 130 and leaves nothing") {
  const DeployedFixture f(backends::IntGraph::Layout::nhwc, 60000);
  const size_t before = f.folder.files();
  check_interrupted({"suite", "init", f.file("suite"), "--model", f.file("net.json"), "--inputs",
                     f.file("x.npz"), "--isa", "scalar", "-j", "1"},
                    [&](const CommandProcess&) { return f.folder.files() > before; });
  CHECK(f.folder.files() == before);
}

}  // namespace facsim::test
