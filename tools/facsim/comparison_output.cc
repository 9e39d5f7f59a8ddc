// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/comparison_output.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/text/xml.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::ComparisonReport;
using backends::TensorComparison;
using Json = nlohmann::ordered_json;

constexpr size_t kNameCells = 32;  // of a name inside a sentence

std::string percent(double rate) { return rate == 0 ? "0 %" : fmt::format("{:.3g} %", 100 * rate); }

std::string_view unit(const TensorComparison& t) {
  return t.dtype == DType::float32 ? "ULP" : "LSB";
}

Json explanation_json(const Divergence& divergence) {
  Json json = element_json(divergence.element);
  json["op"] = divergence.op;
  if (divergence.expected) {
    json["expected"] = *divergence.expected;
    json["why"] = to_string(backends::reach(divergence.element.chain, *divergence.expected));
  }
  if (divergence.seen) {
    json["seen"] = {{"min", divergence.seen->min},
                    {"max", divergence.seen->max},
                    {"images", divergence.seen_images}};
  }
  return json;
}

Json layouts_json(const std::vector<LayoutFinding>& findings) {
  Json json = Json::array();
  for (const LayoutFinding& finding : findings) {
    Json one = {{"name", finding.name},
                {"theirs", to_string(finding.theirs)},
                {"compared", finding.compared},
                {"mismatches_transposed", finding.mismatches}};
    if (finding.as_they_are) one["mismatches"] = *finding.as_they_are;
    json.push_back(std::move(one));
  }
  return json;
}

Json tensor_json(const TensorComparison& t) {
  Json json = {{"name", t.name},
               {"dtype", to_string(t.dtype)},
               {"shape", t.shape.extents()},
               {"compared", t.compared},
               {"mismatches", t.mismatches},
               {"rate", t.rate()},
               {"max_difference", t.max_difference},
               {"unit", unit(t)}};
  json["histogram"] = Json::array();
  for (const auto& [difference, elements] : t.histogram) {
    json["histogram"].push_back({{"difference", difference}, {"elements", elements}});
  }
  json["first"] = Json::array();
  for (const backends::Mismatch& m : t.first) {
    json["first"].push_back({{"index", m.index},
                             {"got", m.got},
                             {"expected", m.expected},
                             {"difference", m.difference}});
  }
  if (t.argmax.images > 0) {
    json["argmax"] = {{"images", t.argmax.images}, {"flips", t.argmax.flips}};
  }
  return json;
}

}  // namespace

Json report_json(const NetworkComparison& comparison, bool accepted) {
  const ComparisonReport& report = comparison.report;
  const std::vector<Divergence>& divergences = comparison.divergences;
  Json json = {{"equal", report.equal()},
               {"accepted", accepted},
               {"compared", report.compared()},
               {"mismatches", report.mismatches()},
               {"max_difference", report.max_difference()}};
  if (!comparison.stopped.empty()) json["stopped"] = comparison.stopped;
  if (!comparison.layouts.empty()) json["layouts"] = layouts_json(comparison.layouts);
  if (!comparison.notes.empty()) json["names"] = comparison.notes;
  json["structure"] = Json::array();
  for (const auto& difference : report.structure)
    json["structure"].push_back(to_string(difference));
  json["tensors"] = Json::array();
  for (const TensorComparison& t : report.tensors) json["tensors"].push_back(tensor_json(t));
  if (!divergences.empty()) {
    json["first_divergence"] = divergences.front().tensor;
    json["explanations"] = Json::array();
    for (const Divergence& d : divergences) json["explanations"].push_back(explanation_json(d));
  }
  return json;
}

namespace {

/// "+2", and ">255" of the entry that holds everything beyond.
std::string difference_text(int64_t difference) {
  const int64_t beyond = TensorComparison::kHistogramLimit + 1;
  if (difference >= beyond) return fmt::format(">{}", beyond - 1);
  if (difference <= -beyond) return fmt::format("<-{}", beyond - 1);
  return fmt::format("{:+}", difference);
}

/// The smallest differences with their counts, in ascending order, and how many others there are.
std::string histogram_text(const TensorComparison& t) {
  constexpr size_t kShown = 8;
  std::vector<std::pair<int64_t, int64_t>> entries;
  for (const auto& entry : t.histogram) {
    if (entry.first != 0) entries.push_back(entry);
  }
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::abs(a.first) < std::abs(b.first);
  });
  const size_t shown = std::min(kShown, entries.size());
  int64_t elements_of_others = 0;
  for (size_t i = shown; i < entries.size(); ++i) elements_of_others += entries[i].second;
  const auto others = static_cast<int64_t>(entries.size() - shown);
  entries.resize(shown);
  std::sort(entries.begin(), entries.end());
  std::string text;
  for (const auto& [difference, elements] : entries) {
    text += fmt::format("  {}: {}", difference_text(difference), with_commas(elements));
  }
  if (others > 0) {
    text += fmt::format("  … {}: {}", counted(others, "other"), with_commas(elements_of_others));
  }
  return text;
}

/// Counts of differences and the first of them.
std::string mismatches_text(const TensorComparison& t) {
  std::string text = fmt::format("  got - expected ({}):{}\n", unit(t), histogram_text(t));
  for (const backends::Mismatch& m : t.first) {
    text += fmt::format("  {}  got {}  expected {}\n", index_text(m.index), m.got, m.expected);
  }
  return text;
}

/// Who set the rules that end the chain: of the steps that round, else of the last.
std::string rules_text(const ExplainedElement& element) {
  std::string text;
  std::vector<std::string> said;
  const auto say = [&](const std::optional<backends::ProfileSetting>& setting) {
    if (!setting) return;
    const std::string line = setting_text(*setting);
    if (std::find(said.begin(), said.end(), line) != said.end()) return;
    text += labelled_line(said.empty() ? "set by" : "", line);
    said.push_back(line);
  };
  if (element.chain.accumulator) say(element.accumulator_setting);
  for (size_t i = 0; i < element.chain.steps.size(); ++i) {
    if (element.chain.steps[i].changed) say(element.step_settings[i]);
  }
  return text;
}

/// The steps that change the value, as many on a line as it holds.
std::string steps_text(const backends::ElementChain& chain) {
  std::vector<std::string> lines;
  for (const backends::ElementStep& step : chain.steps) {
    if (!step.changed) continue;
    const std::string one = fmt::format("{} -> {}", step_text(step), step.value);
    constexpr size_t kRoom = kTerminalCells - 24;  // label and separator
    if (!lines.empty() && lines.back().size() + one.size() <= kRoom) {
      lines.back() += ";  " + one;
    } else {
      lines.push_back(one);
    }
  }
  std::string text;
  for (const std::string& line : lines) text += labelled_line("", line);
  return text;
}

}  // namespace

std::string mismatch_text(const Divergence& d, const TensorComparison& t) {
  const backends::ElementChain& chain = d.element.chain;
  std::string text =
      fmt::format("MISMATCH  layer {} ({})  {} of {} ({})  max |d| = {} {}\n",
                  shortened(printable(d.node), kNameCells), d.op, with_commas(t.mismatches),
                  with_commas(t.compared), percent(t.rate()), t.max_difference, unit(t));
  text += labelled_line("first at",
                        shortened(printable(d.tensor), 2 * kNameCells) + index_text(d.index));
  if (chain.accumulator) {
    text += labelled_line("acc", accumulator_text(*chain.accumulator));
  } else if (chain.explanation.accumulator) {
    text += labelled_line("acc", with_commas(*chain.explanation.accumulator));
  }
  if (d.seen && chain.accumulator) {
    text += labelled_line(
        "", fmt::format(
                "range seen {}..{} in {}, {} of {} bits", with_commas(d.seen->min),
                with_commas(d.seen->max), counted(d.seen_images, "image"),
                std::max(backends::signed_bits(d.seen->min), backends::signed_bits(d.seen->max)),
                chain.accumulator->rule.bits));
  }
  if (chain.scales) {
    text += labelled_line(fmt::format("scale[c={}]", chain.channel), scales_text(*chain.scales));
  }
  if (chain.exact) {
    text +=
        labelled_line("exact", fmt::format("{:.9g} + zero point {}, tie distance {:.3g} LSB",
                                           *chain.exact, chain.zero_point, *chain.tie_distance));
  }
  if (d.expected) text += labelled_line("expected", fmt::format("{}", *d.expected));
  text += labelled_line("this profile", fmt::format("{}", chain.result()));
  text += steps_text(chain);
  if (d.expected) {
    text += labelled_line("which means", to_string(backends::reach(chain, *d.expected)));
  }
  return text + rules_text(d.element);
}

namespace {

bool is_laid_out_otherwise(const NetworkComparison& comparison, const std::string& name) {
  return std::any_of(comparison.layouts.begin(), comparison.layouts.end(),
                     [&](const LayoutFinding& finding) { return finding.name == name; });
}

/// The elements of a tensor in another layout say nothing.
bool shows_mismatches(const NetworkComparison& comparison, const TensorComparison& t) {
  return t.mismatches > 0 && !is_laid_out_otherwise(comparison, t.name);
}

const TensorComparison* first_different(const NetworkComparison& comparison) {
  const auto& tensors = comparison.report.tensors;
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& t) { return shows_mismatches(comparison, t); });
  return found == tensors.end() ? nullptr : &*found;
}

std::string layouts_text(const NetworkComparison& comparison) {
  return layout_text(comparison.layouts, "ours", "the other side");
}

const Divergence* divergence_of(const NetworkComparison& comparison, const TensorComparison& t) {
  const auto& all = comparison.divergences;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& d) { return d.tensor == t.name; });
  return found == all.end() ? nullptr : &*found;
}

std::string summary_text(const NetworkComparison& comparison, const ReportView& view) {
  const ComparisonReport& report = comparison.report;
  const bool equal = report.equal() && comparison.stopped.empty();
  std::string text =
      colored(equal ? "EQUAL" : "DIFFERENT", equal ? Color::green : Color::red, view.color);
  if (!comparison.stopped.empty()) {
    return text + fmt::format(
                      "  {}\nnothing else was compared; --fail-on never compares it all "
                      "the same\n",
                      printable(comparison.stopped));
  }
  if (layouts_explain(comparison)) {
    text += "  " + layouts_text(comparison);
    return text + (view.accepted ? "(accepted by --fail-on)\n" : "");
  }
  text += fmt::format("  {} of {} values differ", with_commas(report.mismatches()),
                      with_commas(report.compared()));
  if (!report.structure.empty()) {
    text += fmt::format(", {} cannot be compared",
                        counted(static_cast<int64_t>(report.structure.size()), "tensor"));
  }
  const TensorComparison* first = first_different(comparison);
  if (first != nullptr && (report.tensors.size() > 1 || !comparison.layers.empty())) {
    text += "; first in " + shortened(printable(comparison.layers.of(first->name)), kNameCells);
  }
  return text + (view.accepted && !equal ? " (accepted by --fail-on)\n" : "\n");
}

/// The first tensor that differs, or every one that is asked for: how its first element came, the
/// counts, the first mismatches.
std::string details_text(const NetworkComparison& comparison, const ReportView& view) {
  std::string text;
  const TensorComparison* first = first_different(comparison);
  for (const TensorComparison& t : comparison.report.tensors) {
    if (!shows_mismatches(comparison, t)) continue;
    const Divergence* divergence = divergence_of(comparison, t);
    const bool is_first = &t == first;
    const bool explains = divergence != nullptr && (is_first || view.every_chain);
    if (!explains && !is_first && !view.every_tensor) continue;
    text += "\n" +
            (explains ? mismatch_text(*divergence, t)
                      : shortened(printable(comparison.layers.of(t.name)), kTerminalCells) + "\n");
    if (is_first || view.every_tensor) text += mismatches_text(t);
    if (is_first) text += view.cause;
  }
  return text;
}

/// One line for each tensor that differs, or for all where none does.
std::string tensors_text(const NetworkComparison& comparison) {
  using Align = TextTable::Align;
  const ComparisonReport& report = comparison.report;
  TextTable table({{comparison.layers.empty() ? "tensor" : "layer", Align::name},
                   {"dtype"},
                   {"shape"},
                   {"differ", Align::right},
                   {"rate", Align::right},
                   {"max |d|", Align::right},
                   {"class flips", Align::right}});
  const bool any = report.mismatches() > 0;
  int64_t equal = 0, shown = 0;
  for (const TensorComparison& t : report.tensors) {
    if (is_laid_out_otherwise(comparison, t.name)) continue;
    if (any && t.mismatches == 0) {
      ++equal;
      continue;
    }
    ++shown;
    table.add_row({printable(comparison.layers.of(t.name)), std::string(to_string(t.dtype)),
                   to_string(t.shape), with_commas(t.mismatches), percent(t.rate()),
                   fmt::format("{} {}", t.max_difference, unit(t)),
                   t.argmax.images > 0
                       ? fmt::format("{} of {}", t.argmax.flips, with_commas(t.argmax.images))
                       : ""});
  }
  if (shown + equal == 0) return "";
  std::string text = "\n" + (shown > 0 ? table.text() : "");
  if (equal > 0) text += fmt::format("no value differs in {}\n", counted(equal, "other tensor"));
  return text;
}

std::string structure_text(const NetworkComparison& comparison) {
  std::string text;
  for (const auto& difference : comparison.report.structure) {
    if (!is_laid_out_otherwise(comparison, difference.name))
      text += printable(to_string(difference)) + "\n";
  }
  return text.empty() ? text : "\n" + text;
}

}  // namespace

bool layouts_explain(const NetworkComparison& comparison) {
  const auto& structure = comparison.report.structure;
  return !comparison.layouts.empty() && first_different(comparison) == nullptr &&
         std::all_of(structure.begin(), structure.end(), [&](const auto& difference) {
           return is_laid_out_otherwise(comparison, difference.name);
         });
}

void print_report(const NetworkComparison& comparison, const ReportView& view) {
  print(summary_text(comparison, view));
  if (!comparison.stopped.empty()) return;
  if (!comparison.layouts.empty() && !layouts_explain(comparison)) {
    print("\n" + layouts_text(comparison));
  }
  print(details_text(comparison, view) + tensors_text(comparison) + structure_text(comparison));
}

namespace {

std::string testcase_xml(const std::string& name, const std::string& failure) {
  std::string xml = fmt::format("    <testcase name=\"{}\" classname=\"facsim.compare\"",
                                backends::escape_xml(name));
  if (failure.empty()) return xml + "/>\n";
  return xml + fmt::format(">\n      <failure message=\"{}\"/>\n    </testcase>\n",
                           backends::escape_xml(failure));
}

}  // namespace

std::string report_junit(const NetworkComparison& comparison,
                         const backends::Tolerance& tolerance) {
  const ComparisonReport& report = comparison.report;
  std::string cases;
  size_t failures = 0;
  for (const TensorComparison& t : report.tensors) {
    ComparisonReport one;
    one.tensors.push_back(t);
    std::string failure;
    // A tensor without classes has nothing to say about classes.
    const bool concerned =
        tolerance.kind != backends::Tolerance::Kind::argmax || t.argmax.images > 0;
    if (concerned && !backends::accepts(tolerance, one)) {
      failure = fmt::format("{} of {} values differ, max |d| = {} {}", t.mismatches, t.compared,
                            t.max_difference, unit(t));
      if (!t.first.empty()) {
        failure += fmt::format("; first at {}: got {}, expected {}", index_text(t.first[0].index),
                               t.first[0].got, t.first[0].expected);
      }
    }
    failures += failure.empty() ? 0 : 1;
    cases += testcase_xml(comparison.layers.of(t.name), failure);
  }
  for (const auto& difference : report.structure) {
    const bool never = tolerance.kind == backends::Tolerance::Kind::never;
    failures += never ? 0 : 1;
    cases += testcase_xml(difference.name, never ? "" : to_string(difference));
  }
  size_t others = report.structure.size();
  if (!comparison.stopped.empty()) {
    ++others;
    ++failures;
    cases += testcase_xml("inputs", comparison.stopped);
  }
  const std::string counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\"",
                                         report.tensors.size() + others, failures);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"facsim compare\" {0}>\n"
      "  <testsuite name=\"facsim compare\" {0}>\n{1}  </testsuite>\n</testsuites>\n",
      counts, cases);
}

}  // namespace facsim::cli
