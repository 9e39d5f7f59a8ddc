// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/diagnosis.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fused/value.h"
#include "sim/core/error.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/knob_output.h"
#include "tools/facsim/layer_profiles.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::Cause;
using CauseJson = nlohmann::ordered_json;

constexpr const char* kProbableCause = "probable cause";
constexpr int64_t kQuickImages = 8;
constexpr int64_t kQuickWork = 4'000'000'000;  // about a second
constexpr size_t kQuickLayers = 16;            // that are lowered under every setting
constexpr int64_t kSettings = 200;             // a profile has about as many of its own

CauseJson knobs_json(const std::vector<backends::Knob>& knobs,
                     const std::vector<std::string>& places) {
  CauseJson out = CauseJson::array();
  for (size_t i = 0; i < knobs.size(); ++i) {
    CauseJson one = {{"pointer", knobs[i].pointer},
                     {"from", CauseJson::parse(knobs[i].from)},
                     {"to", CauseJson::parse(knobs[i].to)}};
    if (i < places.size() && !places[i].empty()) one["place"] = places[i];
    out.push_back(std::move(one));
  }
  return out;
}

/// Golden arrays with activations laid out as inside.
backends::NamedTensors as_nhwc(const backends::IntGraph& graph, backends::NamedTensors arrays) {
  if (graph.layout != Layout::nchw) return arrays;
  for (auto& [name, array] : arrays) {
    const bool known = std::any_of(graph.tensors.begin(), graph.tensors.end(),
                                   [&, &wanted = name](const backends::IntTensor& t) {
                                     return t.name == wanted && t.shape.rank() == 4;
                                   });
    if (known && array.shape().rank() == 4) array = fused::nhwc_from_nchw(array);
  }
  return arrays;
}

int64_t work_of(const sim::Graph& graph, const sim::Graph::Node& node) {
  std::vector<Shape> shapes;
  for (const int t : node.inputs) shapes.push_back(graph.tensors[static_cast<size_t>(t)].shape);
  return node.op->macs(shapes) + graph.tensors[static_cast<size_t>(node.output)].shape.numel();
}

/// The arrays of some tensors and images of those that were compared.
backends::NamedTensors part_of(const Golden& golden, const NetworkComparison& comparison,
                               const std::vector<std::string>& only, int64_t first,
                               int64_t images) {
  backends::NamedTensors part;
  for (const auto& [name, tensor] : golden.tensors) {
    const bool compared =
        std::any_of(comparison.report.tensors.begin(), comparison.report.tensors.end(),
                    [&, &wanted = name](const auto& t) { return t.name == wanted; });
    const bool wanted = only.empty() || std::find(only.begin(), only.end(), name) != only.end();
    if (compared && wanted) part.emplace_back(name, tensor.slice(first, images));
  }
  return part;
}

/// The layers of which one thing is found.
std::string who_text(const std::vector<const backends::LayerFinding*>& findings,
                     const backends::Diagnosis& diagnosis) {
  if (findings.size() == 1) return findings[0]->node;
  const auto is_found = [&](const backends::DiagnosedLayer& layer) {
    return layer.mismatches == 0 ||
           std::any_of(findings.begin(), findings.end(),
                       [&](const auto* finding) { return finding->node == layer.node; });
  };
  if (std::all_of(diagnosis.layers.begin(), diagnosis.layers.end(), is_found)) {
    return fmt::format("all {} layers that differ", findings.size());
  }
  constexpr size_t kNamed = 3, kCells = 32;
  std::string names;
  for (size_t i = 0; i < std::min(kNamed, findings.size()); ++i) {
    names += (i == 0 ? "" : ", ") + shortened(printable(findings[i]->node), kCells);
  }
  return fmt::format(
      "{} layers ({}{})", findings.size(), names,
      findings.size() > kNamed ? fmt::format(" and {} more", findings.size() - kNamed) : "");
}

/// "120/131, introduces 4".
std::string counts_text(const Cause& cause) {
  return fmt::format(
      "{}/{}{}", with_commas(cause.explained), with_commas(cause.of),
      cause.introduced == 0 ? "" : fmt::format(", introduces {}", with_commas(cause.introduced)));
}

/// What is to be said where so few values were looked at that a setting may fit by chance.
std::string few_text(const ProbableCause& cause) {
  constexpr int64_t kFew = 8;
  const int64_t tried = cause.diagnosis.mismatches_tried;
  if (tried >= kFew) return "";
  if (cause.of_mismatches <= tried) {
    return fmt::format("only {} differ{}: too few to decide, more inputs may",
                       counted(tried, "value"), tried == 1 ? "s" : "");
  }
  return fmt::format("only {} of {} that differ {} looked at: facsim diagnose decides",
                     with_commas(tried), counted(cause.of_mismatches, "value"),
                     tried == 1 ? "was" : "were");
}

}  // namespace

std::string sentence_of(const std::vector<backends::Knob>& knobs) {
  std::string text;
  for (const backends::Knob& knob : knobs) text += (text.empty() ? "" : ", and ") + knob.sentence;
  return text;
}

CauseJson cause_json(const Cause& cause) {
  CauseJson also = CauseJson::array();
  for (const Cause::Same& same : cause.also) {
    also.push_back({{"settings", knobs_json(same.knobs, {})},
                    {"set", set_options(same.knobs)},
                    {"proved_equal", same.proved}});
  }
  return {{"sentence", sentence_of(cause.knobs)},
          {"settings", knobs_json(cause.knobs, cause.places)},
          {"set", set_options(cause.knobs)},
          {"explained", cause.explained},
          {"of", cause.of},
          {"introduced", cause.introduced},
          {"ops", cause.ops},
          {"also", std::move(also)}};
}

std::vector<std::string> finding_lines(const backends::Diagnosis& diagnosis) {
  std::vector<std::vector<const backends::LayerFinding*>> groups;
  for (const backends::LayerFinding& finding : diagnosis.findings) {
    const auto group = std::find_if(groups.begin(), groups.end(),
                                    [&](const auto& one) { return one[0]->what == finding.what; });
    if (group == groups.end()) {
      groups.push_back({&finding});
    } else {
      (*group).push_back(&finding);
    }
  }
  std::vector<std::string> lines;
  for (const auto& group : groups) {
    int64_t explained = 0, of = 0;
    for (const backends::LayerFinding* finding : group) {
      explained += finding->explained;
      of += finding->of;
    }
    const std::string who = who_text(group, diagnosis);
    lines.push_back(
        printable(fmt::format("{}{}{}: explains {}/{}", who, who.empty() ? "" : ": ",
                              group[0]->what, with_commas(explained), with_commas(of))));
  }
  return lines;
}

CauseJson findings_json(const std::vector<backends::LayerFinding>& findings) {
  CauseJson out = CauseJson::array();
  for (const backends::LayerFinding& finding : findings) {
    out.push_back({{"node", finding.node},
                   {"what", finding.what},
                   {"explained", finding.explained},
                   {"of", finding.of}});
  }
  return out;
}

std::vector<std::string> set_by_lines(const Cause& cause) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < cause.knobs.size(); ++i) {
    const std::string& place = cause.places[i];
    lines.push_back(place.empty() ? cause.knobs[i].pointer + ", a default of the format"
                                  : printable(place));
  }
  return lines;
}

backends::Diagnosis diagnose_network(const DeployedNetwork& network,
                                     const std::vector<Tensor>& inputs,
                                     const backends::NamedTensors& golden,
                                     backends::DiagnoseOptions limits, const Globals& globals) {
  limits.search = globals.search();
  limits.profile = network.profile_name(globals);
  limits.overrides = globals.overrides;
  limits.isa = globals.isa;
  LayerProfiles others(globals.search());
  backends::Diagnoser diagnoser(
      network.graph(), std::move(limits),
      [&](std::string_view name) -> const backends::Profile& { return others.find(name); });
  return diagnoser.run(inputs, as_nhwc(network.graph(), golden));
}

std::optional<ProbableCause> probable_cause(const DeployedNetwork& network,
                                            const std::vector<Tensor>& inputs, const Golden& golden,
                                            const NetworkComparison& comparison,
                                            const Globals& globals) {
  if (comparison.divergences.empty() || !comparison.layouts.empty()) return std::nullopt;
  const Divergence& divergence = comparison.divergences.front();
  const int64_t first = divergence.index.empty() ? 0 : divergence.index[0];
  const sim::Graph& graph = network.executable();
  int64_t work = 0, work_of_layer = 0;
  std::vector<std::string> layer;  // its tensors
  for (const sim::Graph::Node& node : graph.nodes) {
    work += work_of(graph, node);
    if (node.name != divergence.node) continue;
    work_of_layer = work_of(graph, node);
    layer = {graph.tensors[static_cast<size_t>(node.output)].name};
    for (const int t : node.inputs) layer.push_back(graph.tensors[static_cast<size_t>(t)].name);
  }
  ProbableCause found;
  const bool whole = work * kSettings <= kQuickWork && graph.nodes.size() <= kQuickLayers;
  if (!whole) found.layer = divergence.node;
  const int64_t each = std::max<int64_t>(1, whole ? work : work_of_layer + work / kSettings);
  const int64_t affordable = std::max<int64_t>(1, kQuickWork / kSettings / each);
  found.images = std::min({kQuickImages, affordable, inputs[0].shape()[0] - first});
  std::vector<Tensor> images;
  for (const Tensor& input : inputs) images.push_back(input.slice(first, found.images));
  backends::DiagnoseOptions limits;
  limits.images = found.images;
  limits.pairs = backends::KnobPairs::never;
  limits.work_limit = kQuickWork;
  limits.proof_evaluations = int64_t{1} << 20;
  limits.progress = [](int64_t, int64_t) { throw_if_interrupted(); };
  try {
    found.diagnosis =
        diagnose_network(network, images,
                         part_of(golden, comparison, whole ? std::vector<std::string>{} : layer,
                                 first, found.images),
                         std::move(limits), globals);
  } catch (const Error&) {
    return std::nullopt;  // the comparison stands by itself
  }
  if (found.diagnosis.mismatches == 0) return std::nullopt;
  found.of_mismatches = comparison.report.mismatches();
  return found;
}

std::vector<CauseLine> probable_cause_lines(const ProbableCause& cause, const std::string& again) {
  const backends::Diagnosis& diagnosis = cause.diagnosis;
  const std::string where =
      counted(cause.images, "image") +
      (cause.layer.empty() ? "" : ", layer " + shortened(printable(cause.layer), 48) + " alone");
  std::vector<CauseLine> lines;
  for (std::string& line : finding_lines(diagnosis)) {
    lines.push_back({lines.empty() ? kProbableCause : "", std::move(line), true});
  }
  const std::string few = few_text(cause);
  if (!lines.empty()) {
    lines.push_back({"", where});
    if (!few.empty()) lines.push_back({"", few});
    return lines;
  }
  constexpr size_t kOthers = 2;
  if (diagnosis.verdict() != backends::Diagnosis::Verdict::setting) {
    if (!diagnosis.complete) return {};
    lines.push_back({kProbableCause, fmt::format("none of {} settings explains it ({}): other "
                                                 "weights, biases, inputs or layers?",
                                                 with_commas(diagnosis.settings_tried), where)});
    if (!few.empty()) lines.push_back({"", few});
    for (size_t i = 0; i < std::min(diagnosis.causes.size(), kOthers); ++i) {
      const Cause& near = diagnosis.causes[i];
      lines.push_back(
          {i == 0 ? "nearest" : "", set_options(near.knobs) + "  explains " + counts_text(near)});
    }
    return lines;
  }
  const Cause& best = diagnosis.causes[0];
  const auto proved = std::count_if(best.also.begin(), best.also.end(),
                                    [](const Cause::Same& same) { return same.proved; });
  const auto rivals = static_cast<int64_t>(best.also.size()) - proved;
  lines.push_back(
      {kProbableCause,
       sentence_of(best.knobs) +
           (rivals == 0 ? "" : fmt::format(" (one of {} that explain equally)", rivals + 1)),
       true});
  lines.push_back({"", fmt::format("explains {} ({})", counts_text(best), where)});
  if (!few.empty()) lines.push_back({"", few});
  if (!best.also.empty()) {
    lines.push_back(
        {"",
         fmt::format("{} do the same here, {} of them on any input",
                     counted(static_cast<int64_t>(best.also.size()), "other setting"), proved)});
  }
  for (size_t i = 1; i < std::min(diagnosis.causes.size(), kOthers + 1); ++i) {
    const Cause& other = diagnosis.causes[i];
    lines.push_back(
        {i == 1 ? "also possible" : "", set_options(other.knobs) + "  " + counts_text(other)});
  }
  lines.push_back({"try", again + " " + set_options(best.knobs)});
  for (const std::string& place : set_by_lines(best)) lines.push_back({"set by", place});
  return lines;
}

std::string probable_cause_text(const ProbableCause& cause, const std::string& again, bool color) {
  std::string text;
  for (const CauseLine& line : probable_cause_lines(cause, again)) {
    text += labelled_line(line.label,
                          line.is_sentence ? colored(line.text, Color::bold, color) : line.text);
  }
  return text;
}

CauseJson probable_cause_json(const ProbableCause& cause) {
  CauseJson json = {{"images_tried", cause.images},
                    {"settings_tried", cause.diagnosis.settings_tried},
                    {"complete", cause.diagnosis.complete},
                    {"verdict", to_string(cause.diagnosis.verdict())}};
  if (!cause.layer.empty()) json["layer"] = cause.layer;
  json["findings"] = findings_json(cause.diagnosis.findings);
  json["causes"] = CauseJson::array();
  constexpr size_t kShown = 5;
  for (size_t i = 0; i < std::min(kShown, cause.diagnosis.causes.size()); ++i) {
    json["causes"].push_back(cause_json(cause.diagnosis.causes[i]));
  }
  return json;
}

}  // namespace facsim::cli
