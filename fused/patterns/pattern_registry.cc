// SPDX-License-Identifier: Apache-2.0
#include "fused/patterns/pattern_registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"

namespace facsim::fused {

#define FACSIM_PATTERN(name) FusionPattern name##_pattern();
#include "fused/patterns/patterns.def"
#undef FACSIM_PATTERN

namespace {

/// True if both patterns match some same nodes, as far as op words tell: a predicate may keep them
/// apart.
bool same_ops(const FusionPattern& a, const FusionPattern& b) {
  if (a.ops.size() != b.ops.size()) return false;
  for (size_t i = 0; i < a.ops.size(); ++i) {
    const PatternOp& p = a.ops[i];
    const PatternOp& q = b.ops[i];
    if (p.role != q.role || p.accepts || q.accepts) return false;
    if (p.role != Role::activation) {
      if (p.op != q.op) return false;
      continue;
    }
    const bool overlap =
        std::any_of(a.activations.begin(), a.activations.end(),
                    [&](const auto& entry) { return b.activations.contains(entry.first); });
    if (!overlap) return false;
  }
  return true;
}

void check_roles(const FusionPattern& pattern) {
  const auto refuse = [&](std::string found, std::string expected) {
    throw Error({ErrorCode::bad_value, "pattern " + pattern.name, std::move(found),
                 std::move(expected), ""});
  };
  if (pattern.name.empty()) refuse("no name", "a name like ConvBnReLU2d");
  if (pattern.ops.empty() || pattern.ops[0].role != Role::linear) {
    refuse("no linear op first", "ops in the order linear, affine, add, activation");
  }
  bool activates = false;
  for (size_t i = 1; i < pattern.ops.size(); ++i) {
    if (pattern.ops[i].role <= pattern.ops[i - 1].role) {
      refuse("op " + pattern.ops[i].op + " out of order",
             "each role at most once, in the order linear, affine, add, activation");
    }
    activates = activates || pattern.ops[i].role == Role::activation;
  }
  if (activates == pattern.activations.empty()) {
    refuse(activates ? "an activation op without its integer form" : "an activation without an op",
           "make_pattern<Activation> with an op of role activation");
  }
}

}  // namespace

PatternRegistry PatternRegistry::standard() {
  PatternRegistry registry;
#define FACSIM_PATTERN(name) registry.add(name##_pattern());
#include "fused/patterns/patterns.def"
#undef FACSIM_PATTERN
  return registry;
}

void PatternRegistry::add(FusionPattern pattern) {
  check_roles(pattern);
  for (const FusionPattern& other : patterns_) {
    const bool duplicate = other.name == pattern.name;
    if (!duplicate && !same_ops(other, pattern)) continue;
    throw Error({ErrorCode::bad_value, "pattern " + pattern.name,
                 duplicate ? fmt::format("a second pattern named {}", other.name)
                           : fmt::format("the same ops as pattern {}", other.name),
                 "one pattern per name and per sequence of ops",
                 fmt::format("patterns {} and {}", other.name, pattern.name)});
  }
  patterns_.push_back(std::move(pattern));
}

const FusionPattern* PatternRegistry::find(std::string_view name) const {
  for (const FusionPattern& pattern : patterns_) {
    if (pattern.name == name) return &pattern;
  }
  return nullptr;
}

PatternRegistry PatternRegistry::only(std::span<const std::string> names) const {
  if (names.empty()) return *this;
  for (const std::string& name : names) {
    if (find(name) == nullptr) {
      throw Error({ErrorCode::bad_value, "fusion", name, "the name of a pattern", ""});
    }
  }
  PatternRegistry out;
  for (const FusionPattern& pattern : patterns_) {
    const bool named = std::find(names.begin(), names.end(), pattern.name) != names.end();
    if (named || pattern.ops.size() == 1) out.patterns_.push_back(pattern);
  }
  return out;
}

}  // namespace facsim::fused
