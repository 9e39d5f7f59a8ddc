// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/match_names.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>

#include "backends/json/positioned_json-internal.h"
#include "backends/text/did_you_mean.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

constexpr size_t kMaxNames = 65536;
constexpr std::string_view kSeparators = "/._-:";

/// Without ":<digits>" at the end.
std::string_view without_output_number(std::string_view name) {
  const size_t digits = name.find_last_not_of("0123456789");
  const bool numbered = digits != std::string_view::npos && digits > 0 && name[digits] == ':' &&
                        digits + 1 < name.size();
  return numbered ? name.substr(0, digits) : name;
}

/// One step of trimmed_name; the name itself where nothing is left to take away.
std::string_view trimmed_once(std::string_view name) {
  constexpr std::array<std::string_view, 9> kEndings{
      "/Relu", "/Relu6", "/BiasAdd", "_quantized", "_quant", "/quant", ".quant", "_int8", "_uint8"};
  constexpr std::array<std::string_view, 4> kBeginnings{"quantized_", "quant_", "quant/", "/"};
  if (const std::string_view rest = without_output_number(name); rest != name) return rest;
  for (const std::string_view ending : kEndings) {
    if (name.size() > ending.size() && name.ends_with(ending)) {
      return name.substr(0, name.size() - ending.size());
    }
  }
  for (const std::string_view beginning : kBeginnings) {
    if (name.size() > beginning.size() && name.starts_with(beginning)) {
      return name.substr(beginning.size());
    }
  }
  return name;
}

/// What all names of a side begin or end with, up to a separator.
struct SharedParts {
  size_t beginning = 0, ending = 0;

  std::string_view strip(std::string_view name) const {
    if (beginning + ending >= name.size()) return name;
    return name.substr(beginning, name.size() - beginning - ending);
  }
};

SharedParts shared_parts(std::span<const NamedShape> side) {
  if (side.size() < 2) return {};
  const std::string& first = side.front().name;
  size_t beginning = first.size(), ending = first.size();
  for (const NamedShape& other : side) {
    const auto [a, b] =
        std::mismatch(first.begin(), first.end(), other.name.begin(), other.name.end());
    beginning = std::min(beginning, static_cast<size_t>(a - first.begin()));
    const auto [c, d] =
        std::mismatch(first.rbegin(), first.rend(), other.name.rbegin(), other.name.rend());
    ending = std::min(ending, static_cast<size_t>(c - first.rbegin()));
  }
  while (beginning > 0 && kSeparators.find(first[beginning - 1]) == std::string_view::npos) {
    --beginning;
  }
  while (ending > 0 && kSeparators.find(first[first.size() - ending]) == std::string_view::npos) {
    --ending;
  }
  return {beginning, ending};
}

/// Matching in the making: which tensors of each side are taken.
class Matcher {
 public:
  Matcher(std::span<const NamedShape> ours, std::span<const NamedShape> theirs)
      : ours_(ours), theirs_(theirs), partner_(ours.size()), taken_(theirs.size()) {}

  void give(const std::map<std::string, std::string>& given, std::string_view place) {
    std::set<std::string> used;
    for (const auto& [mine, other] : given) {
      const size_t i = required(ours_, mine, place);
      const size_t j = required(theirs_, other, place);
      if (!used.insert(other).second) {
        throw Error({ErrorCode::duplicate_key, std::string(place),
                     "\"" + other + "\" is given to two tensors", "one name for one tensor", ""});
      }
      take(i, j, NameMatch::How::given);
    }
  }

  void same_names() {
    std::map<std::string_view, size_t> by_name;
    for (size_t j = 0; j < theirs_.size(); ++j) by_name.emplace(theirs_[j].name, j);
    for (size_t i = 0; i < ours_.size(); ++i) {
      const auto found = by_name.find(ours_[i].name);
      if (partner_[i] || found == by_name.end() || taken_[found->second]) continue;
      take(i, found->second, NameMatch::How::same);
    }
  }

  /// Unique equal keys of free tensors.
  void by_key(const std::function<std::string(std::string_view)>& our_key,
              const std::function<std::string(std::string_view)>& their_key) {
    std::map<std::string, std::vector<size_t>> mine, others;
    for (size_t i = 0; i < ours_.size(); ++i) {
      if (!partner_[i]) mine[our_key(ours_[i].name)].push_back(i);
    }
    for (size_t j = 0; j < theirs_.size(); ++j) {
      if (!taken_[j]) others[their_key(theirs_[j].name)].push_back(j);
    }
    for (const auto& [key, at] : mine) {
      const auto found = others.find(key);
      if (at.size() != 1 || found == others.end() || found->second.size() != 1) continue;
      const NamedShape &a = ours_[at[0]], &b = theirs_[found->second[0]];
      if (a.dtype != b.dtype || a.shape.numel() != b.shape.numel()) continue;
      take(at[0], found->second[0], NameMatch::How::trimmed);
    }
  }

  NameMatching result() const {
    NameMatching out;
    std::map<std::pair<DType, std::vector<int64_t>>,
             std::pair<std::vector<size_t>, std::vector<size_t>>>
        left;
    for (size_t i = 0; i < ours_.size(); ++i) {
      if (partner_[i]) {
        out.pairs.push_back({ours_[i].name, theirs_[partner_[i]->first].name, partner_[i]->second});
      } else {
        out.ours_only.push_back(ours_[i].name);
        left[{ours_[i].dtype, ours_[i].shape.extents()}].first.push_back(i);
      }
    }
    for (size_t j = 0; j < theirs_.size(); ++j) {
      if (taken_[j]) continue;
      out.theirs_only.push_back(theirs_[j].name);
      left[{theirs_[j].dtype, theirs_[j].shape.extents()}].second.push_back(j);
    }
    for (const auto& [kind, sides] : left) {
      if (sides.first.size() != sides.second.size()) continue;
      for (size_t k = 0; k < sides.first.size(); ++k) {
        out.suggestions.push_back(
            {ours_[sides.first[k]].name, theirs_[sides.second[k]].name, NameMatch::How::same});
      }
    }
    return out;
  }

 private:
  void take(size_t i, size_t j, NameMatch::How how) {
    partner_[i] = {j, how};
    taken_[j] = true;
  }

  static size_t required(std::span<const NamedShape> side, const std::string& name,
                         std::string_view place) {
    std::vector<std::string> names;
    for (size_t i = 0; i < side.size(); ++i) {
      if (side[i].name == name) return i;
      names.push_back(side[i].name);
    }
    throw Error({ErrorCode::missing_key, std::string(place), "no tensor \"" + name + "\"", "",
                 did_you_mean_hint(name, names)});
  }

  std::span<const NamedShape> ours_, theirs_;
  std::vector<std::optional<std::pair<size_t, NameMatch::How>>> partner_;
  std::vector<bool> taken_;
};

}  // namespace

std::string_view trimmed_name(std::string_view name) {
  for (std::string_view next = trimmed_once(name); next != name; next = trimmed_once(name)) {
    name = next;
  }
  return name;
}

NameMatching match_names(std::span<const NamedShape> ours, std::span<const NamedShape> theirs,
                         const std::map<std::string, std::string>& given,
                         std::string_view map_place) {
  Matcher matcher(ours, theirs);
  matcher.give(given, map_place);
  matcher.same_names();
  const auto trimmed = [](std::string_view name) { return std::string(trimmed_name(name)); };
  matcher.by_key(trimmed, trimmed);
  const auto stripped = [&](const SharedParts& parts) {
    return [&trimmed, parts](std::string_view name) { return trimmed(parts.strip(name)); };
  };
  const auto our_parts = stripped(shared_parts(ours)), their_parts = stripped(shared_parts(theirs));
  matcher.by_key(trimmed, their_parts);
  matcher.by_key(our_parts, trimmed);
  matcher.by_key(our_parts, their_parts);
  return matcher.result();
}

std::map<std::string, std::string> read_name_map(const std::string& file) {
  const json::Document document = json::read_json(file, {});
  if (!document.value.is_object() || document.value.size() > kMaxNames) {
    throw Error({ErrorCode::bad_value, document.place(""), "not an object of names",
                 "{\"our tensor\": \"their tensor\", …}", ""});
  }
  std::map<std::string, std::string> names;
  std::vector<ErrorInfo> errors;
  for (const auto& [ours, theirs] : document.value.items()) {
    if (theirs.is_string()) {
      names[ours] = theirs.get<std::string>();
    } else {
      errors.push_back({ErrorCode::bad_value, document.place(json::child("", ours)), theirs.dump(),
                        "the name of a tensor in quotes", ""});
    }
  }
  if (!errors.empty()) throw Error(std::move(errors));
  return names;
}

}  // namespace facsim::backends
