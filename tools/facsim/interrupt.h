// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace facsim::cli {

/// Thrown where work may stop after Ctrl-C; ends in exit code 130. Files are written through a
/// temporary and a rename, so whatever is on disk is whole.
struct Interrupted {};

/// From now on the first Ctrl-C asks the work to stop, the second ends the process at once.
void catch_interrupts();
bool interrupted();
void throw_if_interrupted();

}  // namespace facsim::cli
