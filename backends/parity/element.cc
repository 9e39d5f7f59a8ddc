// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/element.h"

#include <cmath>

namespace facsim::backends {

namespace {

/// The next step from `i` on that changes the value, or the end.
size_t next_change(const std::vector<ElementStep>& steps, size_t i) {
  while (i < steps.size() && !steps[i].changed) ++i;
  return i;
}

}  // namespace

Parting parting(const ElementChain& ours, const ElementChain& theirs) {
  using Where = Parting::Where;
  if (ours.explanation.accumulator != theirs.explanation.accumulator) {
    return {Where::accumulator, 0, 0};
  }
  size_t i = 0, j = 0;
  while (true) {
    i = next_change(ours.steps, i);
    j = next_change(theirs.steps, j);
    const bool end = i == ours.steps.size(), other_end = j == theirs.steps.size();
    if (end && other_end) break;
    if (end || other_end || ours.steps[i].value != theirs.steps[j].value) {
      return {Where::step, i, j};
    }
    ++i;
    ++j;
  }
  return {};
}

Reach reach(const ElementChain& chain, int64_t expected) {
  if (expected == chain.result()) return Reach::equal;
  if (!chain.exact) return Reach::unknown;
  const auto distance = [&](int64_t code) {
    return std::abs(static_cast<double>(code - chain.zero_point) - *chain.exact);
  };
  if (distance(chain.result()) >= 1) {
    const bool overflowed = chain.accumulator && chain.accumulator->left_width;
    return overflowed ? Reach::overflow : Reach::clamp;
  }
  return distance(expected) < 1 ? Reach::rounding : Reach::beyond;
}

std::string_view to_string(Reach reach) {
  switch (reach) {
    case Reach::equal:
      return "the expected code is the result";
    case Reach::rounding:
      return "another rounding or multiplier of the same sum gives the expected code";
    case Reach::overflow:
      return "the accumulator left its width here";
    case Reach::clamp:
      return "the exact value lies outside the range of codes: the sides clamp or overflow "
             "differently";
    case Reach::beyond:
      return "no rounding of this sum gives the expected code: the sum, a scale, an input or a "
             "clamp differs";
    case Reach::unknown:
      return "this op has no single exact value to measure the expected code by";
  }
  return "?";
}

}  // namespace facsim::backends
