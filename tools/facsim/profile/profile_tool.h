// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "tools/facsim/command.h"

namespace facsim::cli {

/// One subcommand of `facsim profile` with a file of its own.
class ProfileTool {
 public:
  virtual ~ProfileTool() = default;
  virtual void set_up(CLI::App& app) = 0;
  virtual ExitCode run(const Globals& globals) = 0;
};

std::unique_ptr<ProfileTool> make_profile_diff();
std::unique_ptr<ProfileTool> make_profile_init();
std::unique_ptr<ProfileTool> make_profile_fmt();
std::unique_ptr<ProfileTool> make_profile_migrate();
std::unique_ptr<ProfileTool> make_profile_fingerprint();

}  // namespace facsim::cli
