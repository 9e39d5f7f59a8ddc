// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/element.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "sim/core/error.h"

namespace facsim::backends {

namespace {

/// The next step from `i` on that changes the value, or the end.
size_t next_change(const std::vector<ElementStep>& steps, size_t i) {
  while (i < steps.size() && !steps[i].changed) ++i;
  return i;
}

/// The first word behind a "side: " prefix: "shr" of "lhs: shr 31 half_up".
std::string_view step_word(std::string_view step) {
  const size_t colon = step.find(": ");
  if (colon != std::string_view::npos) step.remove_prefix(colon + 2);
  return step.substr(0, step.find(' '));
}

const ProfileSetting* find_setting(const std::vector<ProfileSetting>& settings,
                                   std::string_view pointer) {
  const auto found = std::find_if(settings.begin(), settings.end(),
                                  [&](const auto& s) { return s.pointer == pointer; });
  return found == settings.end() ? nullptr : &*found;
}

/// The pointers under which an op's rules may be set, nearest first: its variant, itself, the file.
std::vector<std::string> prefixes_of(std::string_view rules) {
  const size_t space = rules.find(' ');
  const std::string op = "/ops/" + std::string(rules.substr(0, space));
  std::vector<std::string> prefixes;
  if (space != std::string_view::npos) {
    prefixes.push_back(op + "/variants/" + std::string(rules.substr(space + 1)));
  }
  prefixes.push_back(op);
  prefixes.emplace_back();
  return prefixes;
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

std::string_view rule_of_step(std::string_view step) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kRules{{
      {"", "/accumulator"},
      {"shl", "/requantize/left_shift"},
      {"shr", "/requantize/rounding"},
      {"div", "/requantize/rounding"},
      {"round", "/requantize/rounding"},
      {"mul", "/requantize/multiplier"},
      {"to_f32", "/requantize/domain"},
      {"to_f64", "/requantize/domain"},
      {"fmul", "/requantize/domain"},
      {"fdiv", "/requantize/domain"},
      {"resize", "/output/overflow"},
      {"add", "/zero_point_add"},
      {"sub", "/zero_point_add"},
      {"fadd", "/zero_point_add"},
      {"fsub", "/zero_point_add"},
      {"clamp", "/activation_order"},
  }};
  const std::string_view word = step_word(step);
  if (word == "fclamp") return "/requantize/float/clamp";
  for (const auto& [name, pointer] : kRules) {
    if (name == word) return pointer;
  }
  return "/requantize";
}

std::optional<ProfileSetting> setting_behind(const std::vector<ProfileSetting>& settings,
                                             std::string_view rules, std::string_view pointer) {
  const bool is_sum = pointer.starts_with("/accumulator");
  for (const std::string& prefix : prefixes_of(rules)) {
    const std::array<std::string, 2> replacing{prefix + "/algorithm", prefix + "/requantize/steps"};
    for (const std::string& other : replacing) {
      const ProfileSetting* found = is_sum ? nullptr : find_setting(settings, other);
      if (found != nullptr && found->value != "null") return *found;
    }
    if (const ProfileSetting* exact = find_setting(settings, prefix + std::string(pointer))) {
      return *exact;
    }
    // An object is listed by its members: the first that a file set, else the first.
    const std::string start = prefix + std::string(pointer) + "/";
    const ProfileSetting* member = nullptr;
    for (const ProfileSetting& setting : settings) {
      if (!setting.pointer.starts_with(start)) continue;
      if (member == nullptr || (member->place.empty() && !setting.place.empty())) {
        member = &setting;
      }
    }
    if (member != nullptr) return *member;
  }
  return std::nullopt;
}

std::string rules_of_node(const IntGraph& graph, const IntNode& node, const Profile& profile) {
  const auto info = [&](size_t i) -> const IntTensor& {
    return graph.tensors[static_cast<size_t>(node.inputs[i])];
  };
  const bool is_layer = node.inputs.size() >= 2 && info(1).data && info(1).qparams;
  std::string op = node.op;
  if (op == "conv2d" && is_layer && node.attributes.groups > 1 && info(1).shape.rank() == 4 &&
      info(1).shape[3] == 1) {
    op = "depthwise_conv2d";
  }
  if (node.inputs.empty() || !info(0).qparams) return profile.ops.contains(op) ? op : "";
  std::optional<DType> bias;
  std::optional<sim::IntType> weight;
  if (is_layer) {
    weight = info(1).qparams->type;
    if (node.inputs.size() > 2 && info(2).data) bias = info(2).data->dtype();
  }
  try {
    const OpRules* rules = &profile.rules_for(op, info(0).qparams->type, bias, weight);
    for (const auto& [name, own] : profile.ops) {
      if (&own == rules) return name;
    }
  } catch (const Error&) {
    return "";
  }
  return "";
}

}  // namespace facsim::backends
