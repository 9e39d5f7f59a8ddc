// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace facsim::backends {

/// Edits that turn `a` into `b`: insert, delete or replace one byte, or swap two neighbours, no
/// part edited twice (optimal string alignment, the restricted Damerau-Levenshtein distance).
size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, compared without case; empty when none is near enough (at most
/// a third of the longer word, at least one edit allowed, or one is the beginning of the other).
/// Ties go to the first. Words longer than 64 bytes have no suggestion.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// `did you mean "half_even"?`, or empty: for ErrorInfo::hint.
std::string did_you_mean_hint(std::string_view word, std::span<const std::string> candidates);

}  // namespace facsim::backends
