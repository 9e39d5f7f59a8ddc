// SPDX-License-Identifier: Apache-2.0
#include "backends/text/did_you_mean.h"

#include <algorithm>
#include <vector>

namespace facsim::backends {

namespace {

constexpr size_t kLongestWord = 64;

std::string lower_case(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> two_above(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(two_above, above);
    std::swap(above, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], two_above[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  if (word.empty() || word.size() > kLongestWord) return {};
  const std::string wanted = lower_case(word);
  std::string best;
  size_t best_distance = kLongestWord + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || candidate.size() > kLongestWord) continue;
    const std::string other = lower_case(candidate);
    const size_t longer = std::max(wanted.size(), other.size());
    const size_t shorter = std::min(wanted.size(), other.size());
    const bool is_beginning = shorter >= 3 && wanted.compare(0, shorter, other, 0, shorter) == 0;
    const size_t distance = edit_distance(wanted, other);
    const bool near = distance <= std::max<size_t>(1, longer / 3) && distance < longer;
    if ((near || is_beginning) && distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean_hint(std::string_view word, std::span<const std::string> candidates) {
  const std::string best = did_you_mean(word, candidates);
  return best.empty() ? "" : "did you mean \"" + best + "\"?";
}

}  // namespace facsim::backends
