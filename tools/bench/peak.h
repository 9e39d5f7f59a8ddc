// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace facsim::bench {

/// What one core of this machine does at most, measured now: multiply-accumulates per second of
/// independent vector instructions on registers. 0 where the CPU lacks the instruction.
struct CorePeak {
  double int8_macs = 0;  ///< AVX-512 VNNI vpdpbusd
};
CorePeak measure_core_peak();

}  // namespace facsim::bench
