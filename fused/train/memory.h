// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace facsim::fused::train {

/// Tells glibc's malloc to keep freed memory instead of returning it to the system. Training frees
/// and allocates the same large tensors at every step, and faulting their pages in again takes
/// longer than the arithmetic on them. Changes the whole process, so programs call it, the library
/// does not. Does nothing on other C libraries.
void keep_freed_memory();

}  // namespace facsim::fused::train
