// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace facsim::backends::detail {

/// A named algorithm: arithmetic of one op that no orthogonal field of a profile expresses
/// (profile /ops/<op>/algorithm). A change of its result is a new name.
struct Algorithm {
  std::string name;
  std::vector<std::string> ops;     ///< that may name it
  std::vector<std::string> params;  ///< keys it reads from /ops/<op>/params
  std::string description;
  /// The output is an accumulator put through the op's own requantize.
  bool requantizes = false;
};

const std::vector<Algorithm>& algorithms();
/// Those of accelerators, part of algorithms().
const std::vector<Algorithm>& platform_algorithms();
/// True if an op has arithmetic of its own, which an algorithm only replaces.
bool algorithm_is_optional(std::string_view op);
/// Null if there is no algorithm of that name.
const Algorithm* find_algorithm(std::string_view name);
/// The algorithms an op may name; empty for ops that have none.
const std::vector<std::string>& algorithms_of(std::string_view op);

}  // namespace facsim::backends::detail
