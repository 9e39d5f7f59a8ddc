// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/torch_peer.h"

#include <cerrno>
#include <cstdlib>
#include <sstream>

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/core/error.h"

extern char** environ;

namespace facsim::bench {

extern const char* const kTorchStepScript;  // torch_step.py

namespace {

constexpr size_t kLongestLine = 4096;

}  // namespace

TorchPeer::TorchPeer(const std::filesystem::path& network, int64_t batch, int threads) {
  const std::vector<std::string> arguments = {"-W",        "ignore",
                                              "-c",        kTorchStepScript,
                                              "--network", network.string(),
                                              "--batch",   std::to_string(batch),
                                              "--threads", std::to_string(threads)};
  std::string missing = "no python3";
  // A python3 of the user's own may come first and lack what the system's has.
  std::vector<std::string> pythons = {"python3", "/usr/bin/python3"};
  if (const char* chosen = std::getenv("FACSIM_PYTHON")) pythons = {chosen};
  for (const std::string& python : pythons) {
    std::istringstream first(start(python, arguments));
    std::string word;
    first >> word;
    if (word == "ready") {
      first >> version_;
      while (first >> word) variants_.push_back(word);
      return;
    }
    if (word == "missing") {
      std::getline(first >> std::ws, missing);
    } else if (pid_ != -1) {
      stop();
      throw Error({ErrorCode::unsupported, "--peers torch", network.string(),
                   "a network that torch_step.py can train", "its message is above"});
    }
    stop();
  }
  throw Error({ErrorCode::unsupported, "--peers torch", missing, "a python3 that imports torch",
               "install python3-torch, name a python3 by FACSIM_PYTHON, or leave the peer out"});
}

TorchPeer::~TorchPeer() { stop(); }

void TorchPeer::step(const std::string& variant) {
  const std::string line = variant + "\n";
  const auto size = static_cast<ssize_t>(line.size());
  if (send(socket_, line.data(), line.size(), MSG_NOSIGNAL) != size || read_line() != "done") {
    throw Error({ErrorCode::io, "--peers torch", "the python3 process has ended",
                 "a step of " + variant, "its message is above"});
  }
}

std::string TorchPeer::start(const std::string& python, const std::vector<std::string>& arguments) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    throw Error({ErrorCode::io, "--peers torch", "no socket pair", "", ""});
  }
  std::vector<std::string> words = {python};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, sockets[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, sockets[1], STDOUT_FILENO);
  const int failed = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(sockets[1]);
  socket_ = sockets[0];
  if (failed != 0) {
    pid_ = -1;
    return "";
  }
  return read_line();
}

void TorchPeer::stop() {
  if (socket_ != -1) close(socket_);
  if (pid_ != -1) {
    while (waitpid(pid_, nullptr, 0) == -1 && errno == EINTR) {
    }
  }
  socket_ = -1;
  pid_ = -1;
}

std::string TorchPeer::read_line() {
  std::string line;
  char c = 0;
  while (line.size() < kLongestLine) {
    const ssize_t got = recv(socket_, &c, 1, 0);
    if (got == -1 && errno == EINTR) continue;
    if (got != 1) return "";
    if (c == '\n') return line;
    line += c;
  }
  return "";
}

}  // namespace facsim::bench
