// SPDX-License-Identifier: Apache-2.0
// Runs the real facsim binary and keeps what it returned and wrote.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/formats/temp_folder.h"

extern char** environ;

namespace facsim::test {

struct CommandResult {
  int exit_code = -1;  ///< 128 + signal if it was killed by one
  std::string out, err;
  int64_t peak_kilobytes = 0;  ///< largest resident memory
};

/// A facsim process with its output in files of `folder`.
class CommandProcess {
 public:
  CommandProcess(const TempFolder& folder, const std::vector<std::string>& arguments)
      : out_(folder / "stdout"), err_(folder / "stderr") {
    std::vector<std::string> words = {FACSIM_COMMAND_FILE};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out_.c_str(), kFlags, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err_.c_str(), kFlags, 0600);
    const int failed =
        posix_spawn(&pid_, FACSIM_COMMAND_FILE, &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    REQUIRE_MESSAGE(failed == 0, "cannot start " << FACSIM_COMMAND_FILE);
  }

  pid_t pid() const { return pid_; }
  std::string err_so_far() const { return contents(err_); }

  CommandResult wait() {
    int status = 0;
    rusage usage = {};
    wait4(pid_, &status, 0, &usage);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return {code, contents(out_), contents(err_), usage.ru_maxrss};
  }

 private:
  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
};

inline CommandResult run_command(const std::vector<std::string>& arguments) {
  const TempFolder folder;
  return CommandProcess(folder, arguments).wait();
}

}  // namespace facsim::test
