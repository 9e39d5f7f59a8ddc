// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <utility>

#include "backends/parity/element.h"
#include "backends/profile/algorithms-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

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

/// "shl 20", not "shl left_shift".
bool ends_in_number(std::string_view step) {
  return !step.empty() && step.back() >= '0' && step.back() <= '9';
}

/// A setting that is not null.
const ProfileSetting* given(const std::vector<ProfileSetting>& settings, std::string_view pointer) {
  const ProfileSetting* found = find_setting(settings, pointer);
  return found == nullptr || found->value == "null" ? nullptr : found;
}

/// An object is listed by its members: the first that a file set, else the first.
const ProfileSetting* member_of(const std::vector<ProfileSetting>& settings,
                                std::string_view start) {
  const ProfileSetting* member = nullptr;
  for (const ProfileSetting& setting : settings) {
    if (!setting.pointer.starts_with(start)) continue;
    if (member == nullptr || (member->place.empty() && !setting.place.empty())) member = &setting;
  }
  return member;
}

std::string unquoted(const std::string& value) {
  return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2) : value;
}

/// The algorithm's parameter that is called as the last word of `pointer`, if it has one.
const ProfileSetting* parameter(const std::vector<ProfileSetting>& settings,
                                const std::vector<std::string>& prefixes,
                                const ProfileSetting& algorithm, std::string_view pointer) {
  const detail::Algorithm* known = detail::find_algorithm(unquoted(algorithm.value));
  const std::string name(pointer.substr(pointer.rfind('/') + 1));
  const bool has = known != nullptr && std::find(known->params.begin(), known->params.end(),
                                                 name) != known->params.end();
  for (size_t i = 0; has && i < prefixes.size(); ++i) {
    if (const ProfileSetting* own = given(settings, prefixes[i] + "/params/" + name)) return own;
  }
  return nullptr;
}

/// Whether the programs inside an algorithm are the op's own requantize: of its output, or of what
/// it puts into a fixed-point function.
bool takes_requantize(const ProfileSetting& algorithm) {
  constexpr std::array<std::string_view, 3> kScaling{"tflite.gemmlowp_q4", "tflite.softmax_int8",
                                                     "tflite.softmax_int16"};
  const std::string name = unquoted(algorithm.value);
  const detail::Algorithm* known = detail::find_algorithm(name);
  return (known != nullptr && known->requantizes) ||
         std::find(kScaling.begin(), kScaling.end(), name) != kScaling.end();
}

}  // namespace

std::string_view rule_of_step(std::string_view step) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 17> kRules{{
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
      {"fclamp", "/requantize/float/clamp"},
      {"resize", "/output/overflow"},
      {"add", "/zero_point_add"},
      {"sub", "/zero_point_add"},
      {"fadd", "/zero_point_add"},
      {"fsub", "/zero_point_add"},
      {"clamp", "/activation_order"},
  }};
  const std::string_view word = step_word(step);
  const bool is_operand = step.starts_with("lhs: ") || step.starts_with("rhs: ");
  if (is_operand && (word == "sub" || word == "add")) return "";
  if (word == "shl" && !ends_in_number(step)) return "/requantize/left_shift/position";
  for (const auto& [name, pointer] : kRules) {
    if (name == word) return pointer;
  }
  return "/algorithm";
}

std::string_view rule_of_step(const std::vector<ElementStep>& steps, size_t i) {
  if (!steps[i].is_program) return "/algorithm";
  const auto is_resize = [](const ElementStep& step) { return step_word(step.step) == "resize"; };
  const auto after = steps.begin() + static_cast<ptrdiff_t>(i) + 1;
  const bool is_last = std::none_of(after, steps.end(), is_resize);
  const bool is_register = i > 0 && is_resize(steps[i]) && !is_last && steps[i - 1].is_program;
  return rule_of_step(steps[is_register ? i - 1 : i].step);
}

std::optional<ProfileSetting> setting_behind(const std::vector<ProfileSetting>& settings,
                                             std::string_view rules, std::string_view pointer) {
  if (pointer.empty()) return std::nullopt;
  const std::vector<std::string> prefixes = prefixes_of(rules);
  const bool is_sum = pointer.starts_with("/accumulator");
  for (const std::string& prefix : prefixes) {
    const ProfileSetting* algorithm = is_sum ? nullptr : given(settings, prefix + "/algorithm");
    if (algorithm != nullptr) {
      if (const ProfileSetting* own = parameter(settings, prefixes, *algorithm, pointer))
        return *own;
      if (pointer == "/algorithm" || !takes_requantize(*algorithm)) return *algorithm;
    }
    if (pointer == "/algorithm") continue;
    const ProfileSetting* steps = is_sum ? nullptr : given(settings, prefix + "/requantize/steps");
    if (steps != nullptr) return *steps;
    if (const ProfileSetting* exact = find_setting(settings, prefix + std::string(pointer))) {
      return *exact;
    }
    if (const ProfileSetting* member = member_of(settings, prefix + std::string(pointer) + "/")) {
      return *member;
    }
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
