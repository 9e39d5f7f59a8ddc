// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "sim/core/error.h"
#include "tools/facsim/interrupt.h"

extern char** environ;

namespace facsim::cli {

namespace {

using Clock = std::chrono::steady_clock;

/// Ends a process group and waits for its leader.
void end_group(pid_t leader) {
  kill(-leader, SIGKILL);
  int status = 0;
  while (waitpid(leader, &status, 0) < 0 && errno == EINTR) {
  }
}

/// Waits for a child. An interrupt ends the child's group first, then the wait by Interrupted.
ChildEnd wait_for(pid_t pid, double timeout_seconds) {
  constexpr auto kPause = std::chrono::milliseconds(2);
  const auto start = Clock::now();
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) {
      throw_if_interrupted();
      return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), false};
    }
    if (ended < 0 && errno != EINTR) {
      throw Error({ErrorCode::io, "waitpid", std::strerror(errno), "the program's process", ""});
    }
    const std::chrono::duration<double> passed = Clock::now() - start;
    const bool too_long = timeout_seconds > 0 && passed.count() > timeout_seconds;
    if (interrupted() || too_long) {
      end_group(pid);
      throw_if_interrupted();
      return {128 + SIGKILL, true};
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

std::optional<ChildEnd> run_child(ChildProgram program) {
  std::vector<char*> argv;
  for (std::string& word : program.words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, program.out.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, program.err.c_str(), kFlags, 0600);
  if (!program.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, program.folder.c_str());
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  const TerminationInterrupts termination;
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return {};
  return wait_for(pid, program.timeout_seconds);
}

}  // namespace facsim::cli
