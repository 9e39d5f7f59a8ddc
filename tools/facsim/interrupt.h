// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

namespace facsim::cli {

/// Thrown where work may stop after Ctrl-C; ends in exit code 130. Files are written through a
/// temporary and a rename, so whatever is on disk is whole.
struct Interrupted {};

/// From now on the first Ctrl-C asks the work to stop, the second ends the process at once.
void catch_interrupts();
/// From now on a write beyond `ulimit -f` fails like one to a full disk: the default is a signal
/// that ends the process and leaves its temporary file.
void report_file_size_limit();
/// While it lives, SIGTERM asks the work to stop as Ctrl-C does; for work that must not be left
/// half done.
class TerminationInterrupts {
 public:
  TerminationInterrupts();
  TerminationInterrupts(const TerminationInterrupts&) = delete;
  TerminationInterrupts& operator=(const TerminationInterrupts&) = delete;
  ~TerminationInterrupts();

 private:
  struct sigaction before_ = {};
};
bool interrupted();
void throw_if_interrupted();

}  // namespace facsim::cli
