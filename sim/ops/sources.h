// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/shape.h"

namespace facsim::sim {

/// An element of one of an op's inputs.
struct SourceElement {
  int input = 0;
  int64_t flat_index = 0;
  friend bool operator==(const SourceElement&, const SourceElement&) = default;
};

class Op;

/// What an op is besides an Op if it can say which elements of its inputs an output element is
/// computed from.
class SourcesOp {
 public:
  virtual ~SourcesOp() = default;
  /// In the order in which the norm takes them; none for an element of padding. Error bad_value if
  /// the index is outside the output.
  virtual std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                             int64_t flat_index) const = 0;
};

/// The same of any op: of those that are SourcesOp, of additions, pools and reshapes, of ops that
/// compute each element from the one at its place. None where the op cannot say.
std::vector<SourceElement> sources_of(const Op& op, std::span<const Shape> inputs,
                                      int64_t flat_index);

namespace detail {

/// The elements of one row of the last axis, for an op over such rows whose output has its input's
/// shape.
std::vector<SourceElement> row_sources(const Op& op, std::span<const Shape> inputs,
                                       int64_t flat_index);

}  // namespace detail

}  // namespace facsim::sim
