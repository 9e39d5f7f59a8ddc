// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/profile/diff_output.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using Json = nlohmann::ordered_json;
using backends::DifferingVector;
using backends::OpDifference;
using backends::SettingDifference;
using Verdict = OpDifference::Verdict;

Json parsed_or_null(const std::string& json) {
  return json.empty() ? Json(nullptr) : Json::parse(json);
}

Json to_json(const DifferingVector::Side& side) {
  Json json = Json::object();
  if (side.accumulator) json["accumulator"] = *side.accumulator;
  if (side.multiplier) json["multiplier"] = *side.multiplier;
  if (side.shift) json["shift"] = *side.shift;
  json["steps"] = side.steps;
  const Json output = Json::parse(side.output, nullptr, false);
  json["output"] = output.is_discarded() ? Json(nullptr) : output;  // no number: nan, inf
  return json;
}

std::string place_or_default(const std::string& value, const std::string& place) {
  if (value.empty()) return "";
  return " (" + (place.empty() ? "default" : printable(place)) + ")";
}

std::string value_or_absent(const std::string& value) {
  return value.empty() ? "absent" : printable(value);
}

bool is_difference(const OpDifference& op) {
  return op.verdict == Verdict::separated || op.verdict == Verdict::only_in_a ||
         op.verdict == Verdict::only_in_b;
}

/// How many ops are equal, differ or neither, the last by name.
std::string summary_text(const std::vector<OpDifference>& ops) {
  size_t equal = 0, differing = 0;
  std::vector<std::string> undecided;
  for (const OpDifference& op : ops) {
    equal += op.verdict == Verdict::equal ? 1 : 0;
    differing += is_difference(op) ? 1 : 0;
    if (op.verdict != Verdict::equal && !is_difference(op)) undecided.push_back(printable(op.op));
  }
  std::string text = fmt::format("{} of {} ops proved equal, {} not the same, {} not decided",
                                 equal, ops.size(), differing, undecided.size());
  if (!undecided.empty()) text += fmt::format(": {}", fmt::join(undecided, ", "));
  return text + "\n";
}

/// "accumulator 5; mul multiplier -> 10; …": steps that leave the value as it is are left out.
std::string chain_text(const DifferingVector::Side& side) {
  std::vector<std::string> parts;
  std::string value;
  if (side.accumulator) {
    value = std::to_string(*side.accumulator);
    parts.push_back("accumulator " + value);
  }
  for (const std::string& step : side.steps) {
    const std::string now = step.substr(std::min(step.rfind("-> ") + 3, step.size()));
    if (now == value) continue;
    value = now;
    parts.push_back(step);
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string multiplier_text(const DifferingVector::Side& side) {
  if (!side.multiplier && !side.shift) return "";
  std::string text = " (";
  if (side.multiplier) text += fmt::format("multiplier = {}", *side.multiplier);
  if (side.shift) text += fmt::format("{}shift = {}", side.multiplier ? ", " : "", *side.shift);
  return text + ")";
}

void print_smallest(const DifferingVector& smallest) {
  if (smallest.scales) {
    const DifferingVector::Scales& scales = *smallest.scales;
    std::string ratio = fmt::format("{}", scales.input);
    if (scales.weight != 1) ratio += fmt::format(" * {}", scales.weight);
    if (scales.output != 1) ratio += fmt::format(" / {}", scales.output);
    print(fmt::format("    smallest: accumulator {}, scale {}, zero point {}{}, {}\n",
                      *smallest.a.accumulator, ratio, scales.zero_point,
                      scales.activation == "none" ? "" : ", " + scales.activation,
                      sim::to_string(scales.type)));
  } else {
    print(fmt::format("    smallest: {} at [{}]\n", printable(smallest.layer),
                      fmt::join(smallest.index, ",")));
  }
  for (const auto& [name, side] : {std::pair{'A', &smallest.a}, {'B', &smallest.b}}) {
    const std::string chain = chain_text(*side);
    print(fmt::format("    {}  {}{}{}\n", name, side->output,
                      chain.empty() ? "" : "   " + printable(chain), multiplier_text(*side)));
  }
}

std::string verdict_text(const OpDifference& op) {
  switch (op.verdict) {
    case Verdict::equal:
      return "proved equal: " + op.proof;
    case Verdict::separated:
      return fmt::format("differs in {} of {} outputs tried", with_commas(op.differing),
                         with_commas(op.compared));
    case Verdict::not_separated:
      return fmt::format("not separated by {} outputs, not proved equal", with_commas(op.compared));
    case Verdict::only_in_a:
      return op.reason.empty() ? "unsupported on B"
                               : "only A has this variant; not compared: " + op.reason;
    case Verdict::only_in_b:
      return op.reason.empty() ? "unsupported on A"
                               : "only B has this variant; not compared: " + op.reason;
    case Verdict::incomparable:
      return "not compared: " + (op.reason.empty() ? "nothing that both compute" : op.reason);
  }
  return "";
}

std::string percent_of(int64_t part, int64_t whole) {
  return whole == 0 ? ""
                    : fmt::format("{:.4g} %",
                                  100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

/// What the differing outputs have in common.
std::string ties_text(const backends::LayerDifference& layer) {
  if (layer.explained == 0) return "";
  if (layer.near_tie == layer.explained) return "only on ties";
  if (layer.near_tie == 0) return "none on a tie";
  return fmt::format("{} on ties", percent_of(layer.near_tie, layer.explained));
}

}  // namespace

Json to_json(const SettingDifference& difference) {
  return {{"pointer", difference.pointer},     {"a", parsed_or_null(difference.a)},
          {"b", parsed_or_null(difference.b)}, {"a_set_by", difference.a_place},
          {"b_set_by", difference.b_place},    {"meaning", difference.meaning}};
}

Json to_json(const OpDifference& op) {
  Json json = {{"op", op.op}, {"verdict", to_string(op.verdict)}};
  if (!op.proof.empty()) json["proof"] = op.proof;
  if (!op.reason.empty()) json["reason"] = op.reason;
  json["compared"] = op.compared;
  json["differing"] = op.differing;
  if (!op.smallest) return json;
  const DifferingVector& smallest = *op.smallest;
  Json vector = Json::object();
  if (smallest.scales) {
    vector["input_scale"] = smallest.scales->input;
    vector["weight_scale"] = smallest.scales->weight;
    vector["output_scale"] = smallest.scales->output;
    vector["zero_point"] = smallest.scales->zero_point;
    vector["activation"] = smallest.scales->activation;
    vector["output_type"] = sim::to_string(smallest.scales->type);
  } else {
    vector["layer"] = smallest.layer;
    vector["index"] = smallest.index;
  }
  vector["a"] = to_json(smallest.a);
  vector["b"] = to_json(smallest.b);
  json["smallest"] = std::move(vector);
  return json;
}

void print_settings(const std::vector<SettingDifference>& differences, bool color) {
  for (const SettingDifference& difference : differences) {
    print(fmt::format(
        "{}\n  A  {}{}\n  B  {}{}\n", colored(printable(difference.pointer), Color::bold, color),
        value_or_absent(difference.a), place_or_default(difference.a, difference.a_place),
        value_or_absent(difference.b), place_or_default(difference.b, difference.b_place)));
    if (!difference.meaning.empty()) print("  means  " + printable(difference.meaning) + "\n");
  }
  print(fmt::format("{} setting{} differ{}\n", differences.size(),
                    differences.size() == 1 ? "" : "s", differences.size() == 1 ? "s" : ""));
}

void print_ops(const std::vector<OpDifference>& ops, bool color) {
  for (const OpDifference& op : ops) {
    const Color verdict = is_difference(op)              ? Color::red
                          : op.verdict == Verdict::equal ? Color::green
                                                         : Color::yellow;
    print(fmt::format("{}  {}\n", printable(op.op),
                      colored(printable(verdict_text(op)), verdict, color)));
    if (op.smallest) print_smallest(*op.smallest);
  }
  print(summary_text(ops));
}

Json to_json(const backends::LayerDifference& layer) {
  Json json = {{"node", layer.node},
               {"op", layer.op},
               {"tensor", layer.tensor},
               {"compared", layer.compared}};
  if (!layer.unsupported.empty()) {
    json["unsupported"] = layer.unsupported;
    return json;
  }
  json["own"] = layer.own;
  json["own_largest"] = layer.own_largest;
  json["explained"] = layer.explained;
  json["near_tie"] = layer.near_tie;
  json["whole"] = layer.whole ? Json(*layer.whole) : Json(nullptr);
  return json;
}

void print_layers(const std::vector<backends::LayerDifference>& layers) {
  using Align = TextTable::Align;
  TextTable table({{"layer"},
                   {"op"},
                   {"own", Align::right},
                   {"share", Align::right},
                   {"max", Align::right},
                   {"whole run", Align::right},
                   {"of", Align::right},
                   {""}});
  bool complete = true;
  for (const backends::LayerDifference& layer : layers) {
    if (!layer.unsupported.empty()) {
      complete = false;
      table.add_row({printable(layer.node), layer.op, "", "", "", "", with_commas(layer.compared),
                     "unsupported on B: " + printable(layer.unsupported)});
      continue;
    }
    table.add_row({printable(layer.node), layer.op, with_commas(layer.own),
                   percent_of(layer.own, layer.compared), fmt::format("{}", layer.own_largest),
                   layer.whole ? with_commas(*layer.whole) : "", with_commas(layer.compared),
                   ties_text(layer)});
  }
  print(table.text());
  print("own: outputs that differ when both get A's inputs\n");
  if (!complete) print("B does not run the whole network\n");
}

}  // namespace facsim::cli
