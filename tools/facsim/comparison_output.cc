// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/comparison_output.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::ComparisonReport;
using backends::TensorComparison;
using Json = nlohmann::ordered_json;

std::string percent(double rate) { return rate == 0 ? "0 %" : fmt::format("{:.3g} %", 100 * rate); }

std::string index_text(const std::vector<int64_t>& index) {
  return fmt::format("[{}]", fmt::join(index, ","));
}

std::string_view unit(const TensorComparison& t) {
  return t.dtype == DType::float32 ? "ULP" : "LSB";
}

std::string difference_key(int64_t difference) {
  const int64_t beyond = TensorComparison::kHistogramLimit + 1;
  if (difference >= beyond) return fmt::format(">{}", beyond - 1);
  if (difference <= -beyond) return fmt::format("<-{}", beyond - 1);
  return fmt::format("{:+}", difference);
}

std::string step_value(const sim::TracedStep& step) {
  if (step.is_real) return fmt::format("{}", step.real);
  return fmt::format("{}", step.integer);
}

Json explanation_json(const Divergence& divergence) {
  Json steps = Json::array();
  for (const sim::TracedStep& step : divergence.explanation.steps) {
    steps.push_back({{"step", step.step}, {"value", step_value(step)}});
  }
  Json json = {{"tensor", divergence.tensor}, {"node", divergence.node}, {"op", divergence.op}};
  if (divergence.explanation.accumulator) {
    json["accumulator"] = *divergence.explanation.accumulator;
  }
  json["steps"] = std::move(steps);
  json["result"] = divergence.explanation.result;
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

void print_mismatches(const TensorComparison& t, const Divergence* divergence) {
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
  if (divergence != nullptr) {
    text += fmt::format("  how {} ({}) computed the first one:\n", printable(divergence->node),
                        divergence->op);
    if (divergence->explanation.accumulator) {
      text += fmt::format("    {:<42} {}\n", "accumulator", *divergence->explanation.accumulator);
    }
    for (const sim::TracedStep& step : divergence->explanation.steps) {
      text += fmt::format("    {:<42} {}\n", step.step, step_value(step));
    }
  }
  print(text);
}

}  // namespace

void print_report(const NetworkComparison& comparison, bool accepted, bool color) {
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
    const auto found = std::find_if(divergences.begin(), divergences.end(),
                                    [&](const Divergence& d) { return d.tensor == t.name; });
    print_mismatches(t, found == divergences.end() ? nullptr : &*found);
  }
  if (!report.structure.empty()) print("\n");
  for (const auto& difference : report.structure) {
    print(fmt::format("{}\n", printable(to_string(difference))));
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

}  // namespace facsim::cli
