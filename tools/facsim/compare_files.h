// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/facsim/compare_network.h"

namespace facsim::cli {

/// Two files by array name, in pieces: neither is in memory as a whole. An .npy stands for the only
/// array of the other side. Findings about layouts and names as of compare_network.
NetworkComparison compare_files(const ArrayFile& got, const ArrayFile& expected,
                                const MatchOptions& match, const CompareOptions& options);

}  // namespace facsim::cli
