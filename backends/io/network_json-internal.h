// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "backends/graph/int_graph.h"
#include "backends/json/positioned_json-internal.h"

namespace facsim::backends::detail {

inline constexpr std::string_view kNetworkFormat = "facsim-network";
inline constexpr int kNetworkVersion = 1;

/// The file that holds a network's constants, as the JSON names it.
struct ArraysFile {
  std::string name;  ///< in the JSON's folder
  std::string hash;  ///< hash_hex of its bytes
};

/// The JSON of a network: one line per tensor and node. float32 values are written as the double
/// that equals them, so that they read back to the same bits.
std::string network_to_json(const IntGraph& graph, const ArraysFile& arrays);

/// A network without the data of its constants (their `data` is an empty Tensor).
struct ParsedNetwork {
  IntGraph graph;
  ArraysFile arrays;
};
/// Error with every finding.
ParsedNetwork network_from_json(const json::Document& document);

/// 128 bits of XXH3 in hexadecimal: finds damage, not forgery.
std::string hash_hex(std::string_view bytes);

}  // namespace facsim::backends::detail
