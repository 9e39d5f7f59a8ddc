// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/element_output.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/parity/compare.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::ElementAccumulator;
using backends::ElementChain;
using backends::ElementStep;
using backends::Parting;
using backends::ProfileSetting;
using Json = nlohmann::ordered_json;

constexpr size_t kStepWidth = 42;

std::string accumulator_width(const sim::Accumulator& rule) {
  return fmt::format("{} bits, {}", rule.bits, sim::to_string(rule.overflow));
}

Json setting_json(const std::optional<ProfileSetting>& setting) {
  if (!setting) return nullptr;
  return {{"pointer", setting->pointer}, {"value", setting->value}, {"place", setting->place}};
}

Json accumulator_json(const ExplainedElement& side) {
  const ElementAccumulator& accumulator = *side.chain.accumulator;
  Json json = {{"value", accumulator.value},
               {"bias", accumulator.bias},
               {"exact", fmt::format("{}", accumulator.exact)},
               {"products", accumulator.taps},
               {"bits_used", accumulator.bits_used},
               {"bits", accumulator.rule.bits},
               {"overflow", sim::to_string(accumulator.rule.overflow)},
               {"left_width", accumulator.left_width}};
  json["largest"] = Json::array();
  for (size_t i = 0; i < accumulator.largest.size(); ++i) {
    const backends::ElementTap& tap = accumulator.largest[i];
    json["largest"].push_back({{"input", tap.input},
                               {"weight", tap.weight},
                               {"product", tap.product},
                               {"input_index", side.tap_inputs[i]},
                               {"weight_index", side.tap_weights[i]}});
  }
  return json;
}

Json sources_json(const ExplainedElement& side) {
  Json json = Json::array();
  for (size_t i = 0; i < side.chain.sources.size(); ++i) {
    json.push_back({{"tensor", side.source_tensors[i]},
                    {"index", side.source_indices[i]},
                    {"value", side.chain.sources[i].value}});
  }
  return json;
}

std::string taps_text(const ExplainedElement& side) {
  const ElementAccumulator& accumulator = *side.chain.accumulator;
  if (accumulator.largest.empty()) return {};
  using Align = TextTable::Align;
  TextTable table({{"  input"},
                   {"code", Align::right},
                   {"weight"},
                   {"code", Align::right},
                   {"product", Align::right}});
  for (size_t i = 0; i < accumulator.largest.size(); ++i) {
    const backends::ElementTap& tap = accumulator.largest[i];
    table.add_row({side.tap_inputs[i].empty() ? std::string("  padding")
                                              : "  " + index_text(side.tap_inputs[i]),
                   fmt::format("{}", tap.input), index_text(side.tap_weights[i]),
                   fmt::format("{}", tap.weight), with_commas(tap.product)});
  }
  return fmt::format("  largest {} of {} products\n{}", accumulator.largest.size(),
                     with_commas(accumulator.taps), table.text());
}

/// The elements that are read, as many as a small window has.
std::string sources_text(const ExplainedElement& side) {
  constexpr size_t kShown = 16;
  const std::vector<backends::ElementSource>& sources = side.chain.sources;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, sources.size()); ++i) {
    text += labelled_line(i == 0 ? "reads" : "",
                          fmt::format("{}{} = {}", shortened(printable(side.source_tensors[i]), 48),
                                      index_text(side.source_indices[i]), sources[i].value));
  }
  if (sources.size() > kShown) {
    text += labelled_line("", counted(static_cast<int64_t>(sources.size() - kShown), "element") +
                                  " more (--format json has all)");
  }
  return text;
}

/// Pairs of step numbers, -1 where a side has none: the longest common run of equal step texts, the
/// steps between put side by side.
std::vector<std::pair<int, int>> aligned(const std::vector<ElementStep>& a,
                                         const std::vector<ElementStep>& b) {
  const size_t n = a.size(), m = b.size();
  std::vector<std::vector<int>> common(n + 1, std::vector<int>(m + 1, 0));
  for (size_t i = n; i-- > 0;) {
    for (size_t j = m; j-- > 0;) {
      common[i][j] = a[i].step == b[j].step ? common[i + 1][j + 1] + 1
                                            : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::vector<std::pair<int, int>> rows;
  std::vector<int> only_a, only_b;
  const auto flush = [&] {
    for (size_t k = 0; k < std::max(only_a.size(), only_b.size()); ++k) {
      rows.emplace_back(k < only_a.size() ? only_a[k] : -1, k < only_b.size() ? only_b[k] : -1);
    }
    only_a.clear();
    only_b.clear();
  };
  size_t i = 0, j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && a[i].step == b[j].step) {
      flush();
      rows.emplace_back(static_cast<int>(i++), static_cast<int>(j++));
    } else if (j == m || (i < n && common[i + 1][j] >= common[i][j + 1])) {
      only_a.push_back(static_cast<int>(i++));
    } else {
      only_b.push_back(static_cast<int>(j++));
    }
  }
  flush();
  return rows;
}

const std::optional<ProfileSetting>& setting_at(const ExplainedElement& side, Parting::Where where,
                                                size_t step) {
  static const std::optional<ProfileSetting> kNone;
  if (where == Parting::Where::accumulator) return side.accumulator_setting;
  return step < side.step_settings.size() ? side.step_settings[step] : kNone;
}

std::string place_of(const ExplainedElement& side, Parting::Where where, size_t step) {
  const auto& setting = setting_at(side, where, step);
  return setting ? "set by " + setting_text(*setting) : "no setting of its own";
}

std::string step_at(const ElementChain& chain, Parting::Where where, size_t step) {
  if (where == Parting::Where::accumulator) {
    return fmt::format("accumulator {}", chain.explanation.accumulator.value_or(0));
  }
  if (step >= chain.steps.size()) return fmt::format("the end, {}", chain.result());
  return fmt::format("{} -> {}", step_text(chain.steps[step]), chain.steps[step].value);
}

}  // namespace

ElementExplainer::ElementExplainer(const DeployedNetwork& network, const Globals& globals)
    : network_(network), globals_(globals), others_(globals.search()) {}

const std::vector<ProfileSetting>& ElementExplainer::settings(const std::string& profile) {
  auto found = settings_.find(profile);
  if (found == settings_.end()) {
    // Overrides are of the network's profile; nodes that name another keep that one as it is.
    const bool is_own = profile == network_.profile_name(globals_);
    found = settings_
                .emplace(profile, backends::profile_settings(
                                      profile, globals_.search(),
                                      is_own ? globals_.overrides
                                             : std::vector<backends::ProfileOverride>{}))
                .first;
  }
  return found->second;
}

std::vector<int64_t> ElementExplainer::tap_index(int tensor, int64_t flat_index,
                                                 int64_t image) const {
  if (flat_index < 0) return {};
  const backends::IntTensor& info = network_.graph().tensors[static_cast<size_t>(tensor)];
  std::vector<int64_t> index = backends::unflatten(flat_index, info.shape);
  if (info.data) return index;
  index[0] += image;
  return network_.file_index(std::move(index));
}

ExplainedElement ElementExplainer::explain(size_t node, const std::vector<const Tensor*>& inputs,
                                           int64_t flat_index, int64_t image, size_t taps) {
  const backends::IntNode& rules = network_.graph().nodes[node];
  const bool is_own = rules.profile.empty() || rules.profile == network_.profile().name;
  const backends::Profile& profile = is_own ? network_.profile() : others_.find(rules.profile);
  ExplainedElement out;
  out.chain = backends::element_chain(network_.graph(), network_.executable(), node, inputs,
                                      flat_index, taps);
  out.chain.index[0] += image;
  out.index = network_.file_index(out.chain.index);
  if (out.chain.accumulator) {
    for (const backends::ElementTap& tap : out.chain.accumulator->largest) {
      out.tap_inputs.push_back(tap_index(rules.inputs[0], tap.input_index, image));
      out.tap_weights.push_back(tap_index(rules.inputs[1], tap.weight_index, 0));
    }
  }
  for (const backends::ElementSource& source : out.chain.sources) {
    out.source_tensors.push_back(network_.graph().tensors[static_cast<size_t>(source.tensor)].name);
    out.source_indices.push_back(tap_index(source.tensor, source.flat_index, image));
  }
  out.profile = profile.name;
  out.fingerprint = profile.fingerprint;
  const std::string key = backends::rules_of_node(network_.graph(), rules, profile);
  const auto& all = settings(is_own ? network_.profile_name(globals_) : rules.profile);
  out.accumulator_setting = backends::setting_behind(all, key, backends::rule_of_step(""));
  const std::vector<ElementStep>& steps = out.chain.steps;
  for (size_t i = 0; i < steps.size(); ++i) {
    out.step_settings.push_back(
        backends::setting_behind(all, key, backends::rule_of_step(steps, i)));
  }
  return out;
}

std::string index_text(const std::vector<int64_t>& index) {
  return fmt::format("[{}]", fmt::join(index, ","));
}

std::string setting_place(const ProfileSetting& setting) {
  if (setting.place.empty()) return "a default";
  if (setting.place.starts_with("--set")) return "--set";
  // "/long/folder/name.json:35:17 /requantize/rounding" without the folder and the pointer.
  const size_t file_end = setting.place.find(".json:");
  const std::string place = setting.place.substr(0, setting.place.find(' ', file_end));
  const size_t slash = place.rfind('/', file_end);
  return printable(slash == std::string::npos ? place : place.substr(slash + 1));
}

std::string setting_text(const ProfileSetting& setting) {
  constexpr size_t kMaxValue = 80;
  std::string value = setting.value;
  if (value.size() > kMaxValue) value = value.substr(0, kMaxValue - 3) + "...";
  return printable(fmt::format("{} ({} = {})", setting_place(setting), setting.pointer, value));
}

std::string step_text(const ElementStep& step) {
  return step.arguments.empty() ? step.step : fmt::format("{} ({})", step.step, step.arguments);
}

std::string accumulator_text(const ElementAccumulator& a) {
  std::string text = with_commas(a.value);
  if (a.bias != 0) {
    text += fmt::format(" = {} + bias {}", with_commas(a.value - a.bias), with_commas(a.bias));
  }
  text += fmt::format(", {} of {}", a.bits_used, accumulator_width(a.rule));
  if (a.left_width) text += fmt::format(", LEFT ITS WIDTH: exact sum {}", a.exact);
  return text;
}

std::string scales_text(const backends::ElementScales& s) {
  return fmt::format("in {} * w {} / out {} = {:.10g}", s.input, s.weight, s.output, s.real);
}

Json element_json(const ExplainedElement& side) {
  const ElementChain& chain = side.chain;
  Json json = {{"tensor", chain.tensor},  {"node", chain.node},
               {"op", chain.op},          {"index", side.index},
               {"profile", side.profile}, {"profile_fingerprint", side.fingerprint}};
  if (chain.explanation.accumulator) json["accumulator"] = *chain.explanation.accumulator;
  if (chain.accumulator) {
    json["sum"] = accumulator_json(side);
    json["sum"]["set_by"] = setting_json(side.accumulator_setting);
  }
  if (!chain.sources.empty()) json["reads"] = sources_json(side);
  if (chain.scales) {
    json["scale"] = {{"channel", chain.channel},
                     {"input", chain.scales->input},
                     {"weight", chain.scales->weight},
                     {"output", chain.scales->output},
                     {"real", chain.scales->real}};
  }
  if (chain.exact) {
    json["exact"] = *chain.exact;
    json["tie_distance"] = *chain.tie_distance;
  }
  json["zero_point"] = chain.zero_point;
  json["steps"] = Json::array();
  for (size_t i = 0; i < chain.steps.size(); ++i) {
    json["steps"].push_back({{"step", chain.steps[i].step},
                             {"arguments", chain.steps[i].arguments},
                             {"value", chain.steps[i].value},
                             {"set_by", setting_json(side.step_settings[i])}});
  }
  json["events"] = {{"saturated", chain.events.saturated}, {"wrapped", chain.events.wrapped}};
  json["result"] = chain.result();
  return json;
}

std::string element_text(const ExplainedElement& side) {
  const ElementChain& chain = side.chain;
  std::string text = sources_text(side);
  if (chain.accumulator) {
    text += taps_text(side);
    std::string sum = accumulator_text(*chain.accumulator);
    if (side.accumulator_setting) sum += "   " + setting_text(*side.accumulator_setting);
    text += labelled_line("acc", sum);
  } else if (chain.explanation.accumulator) {
    text += labelled_line("acc", with_commas(*chain.explanation.accumulator));
  }
  if (chain.scales) {
    text += labelled_line(fmt::format("scale[c={}]", chain.channel), scales_text(*chain.scales));
  }
  if (chain.exact) {
    text += labelled_line("exact", fmt::format("{:.9g} steps of the output, tie distance {:.3g}",
                                               *chain.exact, *chain.tie_distance));
  }
  size_t step_width = kStepWidth, value_width = 14;
  for (const ElementStep& step : chain.steps) {
    step_width = std::max(step_width, step_text(step).size());
    value_width = std::max(value_width, step.value.size());
  }
  for (size_t i = 0; i < chain.steps.size(); ++i) {
    std::string row = fmt::format("  {:<{}} {:>{}}", step_text(chain.steps[i]), step_width,
                                  chain.steps[i].value, value_width);
    if (side.step_settings[i]) row += "   " + setting_text(*side.step_settings[i]);
    text += row + "\n";
  }
  return text;
}

std::string two_chains_text(const ExplainedElement& ours, const ExplainedElement& theirs) {
  const ElementChain &a = ours.chain, &b = theirs.chain;
  const Parting part = backends::parting(a, b);
  using Align = TextTable::Align;
  TextTable table({{"  A: " + printable(ours.profile)},
                   {"", Align::right},
                   {"B: " + printable(theirs.profile)},
                   {"", Align::right},
                   {""}});
  const auto acc = [](const ElementChain& chain) {
    return chain.explanation.accumulator ? fmt::format("{}", *chain.explanation.accumulator)
                                         : std::string();
  };
  if (!acc(a).empty() || !acc(b).empty()) {
    table.add_row({"  accumulator", acc(a), "accumulator", acc(b),
                   part.where == Parting::Where::accumulator ? "<- parts here" : ""});
  }
  for (const auto& [i, j] : aligned(a.steps, b.steps)) {
    const bool here = part.where == Parting::Where::step &&
                      (i == static_cast<int>(part.ours) || j == static_cast<int>(part.theirs));
    const ElementStep none;
    const ElementStep& left = i < 0 ? none : a.steps[static_cast<size_t>(i)];
    const ElementStep& right = j < 0 ? none : b.steps[static_cast<size_t>(j)];
    table.add_row({"  " + step_text(left), left.value, step_text(right), right.value,
                   here ? "<- parts here" : ""});
  }
  table.add_row(
      {"  result", fmt::format("{}", a.result()), "result", fmt::format("{}", b.result()), ""});
  return table.text();
}

std::string parting_text(const ExplainedElement& ours, const ExplainedElement& theirs) {
  const Parting part = backends::parting(ours.chain, theirs.chain);
  if (part.where == Parting::Where::nowhere) {
    return labelled_line("parts at", "nowhere: every intermediate is equal");
  }
  return labelled_line("parts at", "A  " + step_at(ours.chain, part.where, part.ours) + "   " +
                                       place_of(ours, part.where, part.ours)) +
         labelled_line("", "B  " + step_at(theirs.chain, part.where, part.theirs) + "   " +
                               place_of(theirs, part.where, part.theirs));
}

Json parting_json(const ExplainedElement& ours, const ExplainedElement& theirs) {
  const Parting part = backends::parting(ours.chain, theirs.chain);
  if (part.where == Parting::Where::nowhere) return nullptr;
  const bool sums = part.where == Parting::Where::accumulator;
  const auto side = [&](const ExplainedElement& element, size_t step) {
    return Json{{"step", sums ? Json("accumulator") : Json(step)},
                {"text", step_at(element.chain, part.where, step)},
                {"set_by", setting_json(setting_at(element, part.where, step))}};
  };
  return {{"ours", side(ours, part.ours)}, {"theirs", side(theirs, part.theirs)}};
}

}  // namespace facsim::cli
