// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace facsim::sim {

/// What an op of one input is besides an Op if its output may take the input's memory: element i of
/// the output depends on element i of the input alone, which is read before the place is written.
class InPlaceOp {
 public:
  virtual ~InPlaceOp() = default;
  /// False where the types need different memory.
  virtual bool may_overwrite_input() const = 0;
};

}  // namespace facsim::sim
