// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "fused/patterns/pattern.h"

namespace facsim::fused {

/// The patterns a network is fused by. Nothing registers itself: ours come from `standard()`
/// (patterns.def), a user's by `add`.
class PatternRegistry {
 public:
  /// The library's patterns.
  static PatternRegistry standard();

  /// Error bad_value, naming both patterns, if one of this name or one that matches the same ops
  /// exists; if the roles are not linear, affine?, add?, activation? or an activation's form is
  /// missing.
  void add(FusionPattern pattern);

  const std::vector<FusionPattern>& patterns() const { return patterns_; }
  const FusionPattern* find(std::string_view name) const;
  /// Those with these names and the single ops, which every network needs; all if `names` is empty.
  /// Error bad_value for an unknown name.
  PatternRegistry only(std::span<const std::string> names) const;

 private:
  std::vector<FusionPattern> patterns_;
};

}  // namespace facsim::fused
