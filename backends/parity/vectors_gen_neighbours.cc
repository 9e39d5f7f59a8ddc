// SPDX-License-Identifier: Apache-2.0
// What the other profiles make of a case.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "backends/parity/vectors_gen_suite-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

/// The case under another profile; nothing if it refuses it.
std::optional<Tensor> compute_under(const GeneratedCase& made, const Profile& profile) {
  try {
    if (made.graph.nodes.empty()) {
      return compute_rows(made, *profile.choose(requantize_op(profile)).rules);
    }
    return compute_layer(layer_of(made), profile);
  } catch (const Error&) {
    return std::nullopt;
  }
}

int64_t differing_values(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return std::max(a.numel(), b.numel());
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    count += a.dtype() == DType::float32 ? a.data<float>()[i] != b.data<float>()[i]
                                         : a.int_at(i) != b.int_at(i);
  }
  return count;
}

}  // namespace

std::string_view requantize_op(const Profile& profile) {
  return profile.ops.contains("conv2d") ? "conv2d" : "linear";
}

void add_verdict(Neighbour& neighbour, const GeneratedCase& made, const Profile& profile) {
  using Verdict = Neighbour::Verdict;
  const std::optional<Tensor> theirs = compute_under(made, profile);
  if (!theirs) return;
  neighbour.compared += theirs->numel();
  const int64_t differing = differing_values(made.golden, *theirs);
  if (differing > 0 && neighbour.differing == 0) neighbour.case_name = made.name;
  neighbour.differing += differing;
  neighbour.verdict = neighbour.differing > 0 ? Verdict::separated : Verdict::not_separated;
}

std::string rules_text(std::string_view name_or_path, const ProfileSearch& search,
                       const std::set<std::string>& ops) {
  nlohmann::json rules = nlohmann::json::parse(resolved_profile_json(name_or_path, search));
  for (const char* key : {"$schema", "name", "title", "evidence", "training", "fusion"}) {
    rules.erase(key);
  }
  nlohmann::json own = nlohmann::json::object();
  if (const auto all = rules.find("ops"); all != rules.end() && all->is_object()) {
    for (const std::string& op : ops) {
      if (all->contains(op)) own[op] = all->at(op);
    }
  }
  rules["ops"] = std::move(own);
  return rules.dump();
}

}  // namespace facsim::backends::detail
