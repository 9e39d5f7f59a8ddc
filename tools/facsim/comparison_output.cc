// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/comparison_output.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/text/xml.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::ComparisonReport;
using backends::TensorComparison;
using Json = nlohmann::ordered_json;

std::string percent(double rate) { return rate == 0 ? "0 %" : fmt::format("{:.3g} %", 100 * rate); }

std::string_view unit(const TensorComparison& t) {
  return t.dtype == DType::float32 ? "ULP" : "LSB";
}

std::string difference_key(int64_t difference) {
  const int64_t beyond = TensorComparison::kHistogramLimit + 1;
  if (difference >= beyond) return fmt::format(">{}", beyond - 1);
  if (difference <= -beyond) return fmt::format("<-{}", beyond - 1);
  return fmt::format("{:+}", difference);
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
  Json histogram = Json::object();
  for (const auto& [difference, elements] : t.histogram) {
    histogram[difference_key(difference)] = elements;
  }
  json["histogram"] = std::move(histogram);
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

void print_mismatches(const TensorComparison& t) {
  std::string text = fmt::format("\n{}\n  got - expected ({}):", printable(t.name), unit(t));
  for (const auto& [difference, elements] : t.histogram) {
    if (difference != 0) {
      text += fmt::format("  {}: {}", difference_key(difference), with_commas(elements));
    }
  }
  text += '\n';
  for (const backends::Mismatch& m : t.first) {
    text += fmt::format("  {}  got {}  expected {}\n", index_text(m.index), m.got, m.expected);
  }
  print(text);
}

/// One line of the block about a first mismatch.
std::string block_line(std::string_view label, std::string_view text) {
  return fmt::format("  {:<18} {}\n", label, text);
}

/// Who set the rules that end the chain: of the steps that round, else of the last.
std::string rules_text(const ExplainedElement& element) {
  std::string text;
  std::vector<std::string> said;
  const auto say = [&](const std::optional<backends::ProfileSetting>& setting) {
    if (!setting) return;
    const std::string line = setting_text(*setting);
    if (std::find(said.begin(), said.end(), line) != said.end()) return;
    text += block_line(said.empty() ? "set by" : "", line);
    said.push_back(line);
  };
  if (element.chain.accumulator) say(element.accumulator_setting);
  for (size_t i = 0; i < element.chain.steps.size(); ++i) {
    if (element.chain.steps[i].changed) say(element.step_settings[i]);
  }
  return text;
}

}  // namespace

std::string mismatch_text(const Divergence& d, const TensorComparison& t) {
  const backends::ElementChain& chain = d.element.chain;
  std::string text = printable(
      fmt::format("MISMATCH  layer {} ({})  {} of {} ({})  max |d| = {} {}   first at {}{}", d.node,
                  d.op, with_commas(t.mismatches), with_commas(t.compared), percent(t.rate()),
                  t.max_difference, unit(t), d.tensor, index_text(d.index)));
  text += '\n';
  if (chain.accumulator) {
    text += block_line("acc", accumulator_text(*chain.accumulator));
  } else if (chain.explanation.accumulator) {
    text += block_line("acc", with_commas(*chain.explanation.accumulator));
  }
  if (d.seen && chain.accumulator) {
    text += block_line(
        "", fmt::format(
                "range seen {}..{} in {} images, {} of {} bits", with_commas(d.seen->min),
                with_commas(d.seen->max), d.seen_images,
                std::max(backends::signed_bits(d.seen->min), backends::signed_bits(d.seen->max)),
                chain.accumulator->rule.bits));
  }
  if (chain.scales) {
    text += block_line(fmt::format("scale[c={}]", chain.channel), scales_text(*chain.scales));
  }
  if (chain.exact) {
    text += block_line("exact", fmt::format("{:.9g} + zero point {}, tie distance {:.3g} LSB",
                                            *chain.exact, chain.zero_point, *chain.tie_distance));
  }
  if (d.expected) text += block_line("expected", fmt::format("{}", *d.expected));
  std::string steps;
  for (const backends::ElementStep& step : chain.steps) {
    if (step.changed)
      steps += fmt::format("{}{} -> {}", steps.empty() ? "" : ";  ", step_text(step), step.value);
  }
  text += block_line("this profile", fmt::format("{}   {}", chain.result(), steps));
  if (d.expected) {
    text += block_line("which means", to_string(backends::reach(chain, *d.expected)));
  }
  return text + rules_text(d.element);
}

namespace {

void print_layouts(const NetworkComparison& comparison) {
  if (comparison.layouts.empty()) return;
  print("\n" + layout_text(comparison.layouts, "ours", "the other side"));
}

}  // namespace

void print_report(const NetworkComparison& comparison, bool accepted, bool color,
                  bool every_chain) {
  const ComparisonReport& report = comparison.report;
  const std::vector<Divergence>& divergences = comparison.divergences;
  using Align = TextTable::Align;
  TextTable table({{"tensor"},
                   {"dtype"},
                   {"shape"},
                   {"compared", Align::right},
                   {"mismatches", Align::right},
                   {"rate", Align::right},
                   {"max |d|", Align::right},
                   {"class flips", Align::right}});
  for (const TensorComparison& t : report.tensors) {
    table.add_row({printable(t.name), std::string(to_string(t.dtype)), to_string(t.shape),
                   with_commas(t.compared), with_commas(t.mismatches), percent(t.rate()),
                   fmt::format("{} {}", t.max_difference, unit(t)),
                   t.argmax.images > 0
                       ? fmt::format("{} of {}", t.argmax.flips, with_commas(t.argmax.images))
                       : ""});
  }
  print(table.text());
  for (const TensorComparison& t : report.tensors) {
    if (t.mismatches == 0) continue;
    print_mismatches(t);
  }
  print_layouts(comparison);
  for (const Divergence& d : divergences) {
    if (&d != &divergences.front() && !every_chain) break;
    const auto t = std::find_if(report.tensors.begin(), report.tensors.end(),
                                [&](const TensorComparison& c) { return c.name == d.tensor; });
    print("\n" + mismatch_text(d, *t));
  }
  if (!report.structure.empty()) print("\n");
  for (const auto& difference : report.structure) {
    const bool told = std::any_of(comparison.layouts.begin(), comparison.layouts.end(),
                                  [&](const auto& f) { return f.name == difference.name; });
    if (!told) print(fmt::format("{}\n", printable(to_string(difference))));
  }
  const std::string verdict = report.equal() ? "EQUAL" : "DIFFERENT";
  print(
      fmt::format("\n{}  {} of {} values differ{}{}{}\n",
                  colored(verdict, report.equal() ? Color::green : Color::red, color),
                  with_commas(report.mismatches()), with_commas(report.compared()),
                  report.structure.empty()
                      ? ""
                      : fmt::format(", {} tensors cannot be compared", report.structure.size()),
                  divergences.empty() ? "" : "; first in " + printable(divergences.front().tensor),
                  accepted && !report.equal() ? " (accepted by --fail-on)" : ""));
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
    cases += testcase_xml(t.name, failure);
  }
  for (const auto& difference : report.structure) {
    const bool never = tolerance.kind == backends::Tolerance::Kind::never;
    failures += never ? 0 : 1;
    cases += testcase_xml(difference.name, never ? "" : to_string(difference));
  }
  const std::string counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\"",
                                         report.tensors.size() + report.structure.size(), failures);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"facsim compare\" {0}>\n"
      "  <testsuite name=\"facsim compare\" {0}>\n{1}  </testsuite>\n</testsuites>\n",
      counts, cases);
}

}  // namespace facsim::cli
