// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace facsim::sim {

/// 128-bit integers (a GCC and Clang extension): wide enough for every intermediate of a step
/// program, a 64-bit accumulator times a 32-bit multiplier or shifted left by 62.
__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

}  // namespace facsim::sim
