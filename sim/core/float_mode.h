// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace facsim::sim {

/// Gives its scope IEEE 754's default float arithmetic (round to nearest even, subnormals kept),
/// whatever mode the calling thread runs in, and restores that mode afterwards. float32 steps are
/// evaluated under it, so that a caller's fesetround or flush-to-zero cannot change a bit. Costs
/// one register read where the mode is the default already. The guarded arithmetic belongs in a
/// function of its own that is not inlined: compilers may move float operations past a mode change.
class FloatMode {
 public:
  FloatMode();
  ~FloatMode();
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  uint64_t saved_;
};

}  // namespace facsim::sim
