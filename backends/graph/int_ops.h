// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace facsim::backends {

/// A group of members of NodeAttributes that an op has.
enum class Attribute {
  window,
  groups,
  output_padding,
  activation,
  count_include_pad,
  extents,
  order,
  table,
  axis,
  axes,
  permutation,
  slice,
  pad,
  alpha,
  beta,
  transposed_operands,
  resize,
  rank,
  state,
  cell_clip,
};

/// What an op of an IntGraph takes: the one table that the check, the file format and their
/// messages read.
struct IntOp {
  std::string_view name;
  size_t min_inputs = 1;
  size_t max_inputs = 1;
  size_t first_constant = 1;  ///< inputs from here on are constants (weights, bias)
  std::vector<Attribute> attributes = {};

  bool has(Attribute attribute) const {
    for (const Attribute own : attributes) {
      if (own == attribute) return true;
    }
    return false;
  }
};

std::span<const IntOp> int_ops();
/// Null for an unknown name.
const IntOp* find_int_op(std::string_view name);

}  // namespace facsim::backends
