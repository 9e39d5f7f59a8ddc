// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace facsim::backends {

/// What an op of an IntGraph takes: the one table that the check, the file format and their
/// messages read.
struct IntOp {
  std::string_view name;
  size_t min_inputs = 1;
  size_t max_inputs = 1;
  size_t first_constant = 1;  ///< inputs from here on are constants (weights, bias)
  // The attributes it has (NodeAttributes).
  bool window = false;
  bool groups = false;
  bool activation = false;
  bool count_include_pad = false;
  bool extents = false;
  bool order = false;
  bool table = false;
};

std::span<const IntOp> int_ops();
/// Null for an unknown name.
const IntOp* find_int_op(std::string_view name);

}  // namespace facsim::backends
