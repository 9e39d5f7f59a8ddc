// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/field-internal.h"
#include "backends/profile/profile.h"
#include "backends/profile/resolve-internal.h"

namespace facsim::backends::detail {

/// One entry of Profile::ops: an op, or one of its variants.
struct RulesKey {
  std::string op;
  std::string variant;  ///< empty: the op's own rules

  static RulesKey parse(std::string_view name);  ///< "conv2d int16x8"
  std::string name() const;
  /// JSON pointers of the objects its rules are merged from, the last word first:
  /// /ops/conv2d/variants/int16x8, /ops/conv2d, "" (the profile).
  std::vector<std::string> places() const;
  /// Where the rule at `pointer` (relative, "/accumulator/bits") is written: in the nearest place
  /// that has it, in the profile for a default.
  std::string pointer_of(const ResolvedProfile& resolved, std::string_view pointer) const;
};

/// Every op and variant of a resolved profile.
std::vector<RulesKey> rules_keys(const Json& resolved);

/// The rules of one op or variant: the profile's, /ops/<op> merged over them, the variant over that
/// (null deletes), defaults filled in. A variant whose `when` names a type has that type, unless
/// it writes another.
Json effective_rules(const Json& resolved, const RulesKey& key);
/// With the op as it is in `ops` instead of /ops.
Json effective_rules(const Json& resolved, const Json& ops, const RulesKey& key);

/// The rules of one op or variant of `ops`, checked and lowered; what is wrong with them goes to
/// `errors`.
OpRules read_op_rules(const ResolvedProfile& resolved, const Json& ops, const RulesKey& key,
                      std::vector<ErrorInfo>& errors);

/// All that read_op_rules takes of `ops` for a key: under one profile, keys with the same text have
/// the same rules.
std::string rules_text(const Json& ops, const RulesKey& key);

/// Every op's rules, checked. Error with all findings.
Profile read_profile(const ResolvedProfile& resolved);

/// The checked `when` of a variant; no condition for an op or a variant without one.
VariantCondition read_condition(const Json& ops, const RulesKey& key);

/// A type word: "int4", "uint8".
sim::IntType type_from_word(std::string_view word);

/// True if some operands meet both conditions.
bool overlap(const VariantCondition& a, const VariantCondition& b);
/// True if `a` has every condition of `b` and more: it wins wherever both are met.
bool refines(const VariantCondition& a, const VariantCondition& b);

}  // namespace facsim::backends::detail
