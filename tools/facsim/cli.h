// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace facsim::cli {

/// The whole command: parses, runs one Command, reports errors on stderr, returns the exit code.
int run(int argc, const char* const* argv);

}  // namespace facsim::cli
