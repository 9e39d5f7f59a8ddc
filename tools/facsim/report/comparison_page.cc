// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/report/comparison_page.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "tools/facsim/comparison_output.h"
#include "tools/facsim/output.h"
#include "tools/facsim/report/charts.h"
#include "tools/facsim/report/page.h"

namespace facsim::cli {

namespace {

using backends::ComparisonReport;
using backends::TensorComparison;

constexpr size_t kCellsInLine = 24, kChannelsShown = 64, kHeatRows = 40;

std::string rate_text(double rate) {
  return rate == 0 ? "0 %" : fmt::format("{:.3g} %", 100 * rate);
}

/// A name that fits on a line: converters join the names of all that they fused.
std::string short_name(const std::string& name) { return shortened(name, 39); }

/// 0 for no mismatch, then a logarithmic scale from one in ten million to all.
double heat(double rate) {
  constexpr double kDecades = 7;
  return rate <= 0 ? 0 : std::clamp(1 + std::log10(rate) / kDecades, 0.02, 1.0);
}

std::string value_tile(std::string_view value, std::string_view label) {
  return fmt::format("<div class=\"tile\"><b>{}</b>{}</div>\n", escape_html(value),
                     escape_html(label));
}

std::string row(std::string_view label, std::string_view value) {
  return fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escape_html(label), escape_html(value));
}

std::string overview(const ComparisonPage& page, const NetworkComparison& comparison) {
  const ComparisonReport& report = comparison.report;
  const auto differing = std::count_if(report.tensors.begin(), report.tensors.end(),
                                       [](const TensorComparison& t) { return t.mismatches > 0; });
  int64_t images = 0, flips = 0;
  for (const TensorComparison& t : report.tensors) {
    images += t.argmax.images;
    flips += t.argmax.flips;
  }
  std::string html = fmt::format("<section>\n<p class=\"verdict {}\">{} of {} values differ</p>\n",
                                 report.equal() ? "good" : "bad", with_commas(report.mismatches()),
                                 with_commas(report.compared()));
  if (!report.equal() && page.accepted) {
    html +=
        fmt::format("<p>Accepted by <code>--fail-on {}</code>.</p>\n", escape_html(page.fail_on));
  }
  for (const std::string& text : page.runs_differ) {
    html += fmt::format("<p class=\"bad\">{}</p>\n", escape_html(text));
  }
  if (!comparison.layouts.empty()) {
    html += fmt::format("<p class=\"bad\">{}</p>\n",
                        escape_html(layout_text(comparison.layouts, "ours", "the other side")));
  }
  html += "<div class=\"tiles\">\n" +
          value_tile(fmt::format("{} of {}", differing, report.tensors.size()),
                     "tensors with a difference") +
          value_tile(with_commas(static_cast<int64_t>(report.max_difference())),
                     "largest difference in steps");
  if (!comparison.divergences.empty()) {
    html += value_tile(comparison.divergences.front().node, "first layer that differs");
  }
  if (images > 0) {
    html += value_tile(fmt::format("{} of {}", with_commas(flips), with_commas(images)),
                       "classes flip");
  }
  html += "</div>\n";
  for (const auto& difference : report.structure) {
    html += fmt::format("<p class=\"bad\">{}</p>\n", escape_html(to_string(difference)));
  }
  for (const std::string& text : comparison.notes) {
    html += fmt::format("<p class=\"dim\">{}</p>\n", escape_html(text));
  }
  return html + "</section>\n";
}

std::string layers(const NetworkComparison& comparison) {
  const ComparisonReport& report = comparison.report;
  std::vector<Cell> cells;
  for (const TensorComparison& t : report.tensors) {
    cells.push_back(
        {heat(t.rate()),
         fmt::format("{}: {} of {} differ ({})", comparison.layers.of(t.name),
                     with_commas(t.mismatches), with_commas(t.compared), rate_text(t.rate()))});
  }
  std::string html =
      "<section>\n<h2>Mismatch rate per layer</h2>\n" +
      cell_strip("Mismatch rate per layer, in graph order", cells, kCellsInLine) +
      "<p class=\"dim\">One cell per tensor in graph order; the colour is logarithmic in the "
      "rate.</p>\n<div class=\"scroll\"><table>\n<tr><th>layer</th><th>differ</th><th>rate</th>"
      "<th>max |d|</th><th>compared</th><th>type</th><th>shape</th></tr>\n";
  for (const TensorComparison& t : report.tensors) {
    html += fmt::format(
        "<tr><td title=\"{}\">{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        escape_html(t.name), escape_html(short_name(comparison.layers.of(t.name))),
        t.mismatches == 0 ? "good" : "bad", with_commas(t.mismatches), rate_text(t.rate()),
        t.max_difference, with_commas(t.compared), to_string(t.dtype), to_string(t.shape));
  }
  return html + "</table></div>\n</section>\n";
}

std::string differences(const ComparisonReport& report) {
  constexpr int64_t kShown = 4;
  std::map<int64_t, int64_t> shown;
  for (int64_t d = -kShown; d <= kShown; ++d) shown[d] = 0;
  for (const TensorComparison& t : report.tensors) {
    for (const auto& [difference, count] : t.histogram) {
      shown[std::clamp(difference, -kShown, kShown)] += count;
    }
  }
  BarChart chart{.title = "Values by difference, ours minus the other side's",
                 .bars = {},
                 .x_label = "difference in steps (LSB)"};
  for (const auto& [difference, count] : shown) {
    const std::string label = difference == -kShown  ? fmt::format("≤{}", difference)
                              : difference == kShown ? fmt::format("≥{}", difference)
                              : difference == 0      ? "0"
                                                     : fmt::format("{:+}", difference);
    chart.bars.push_back({label, static_cast<double>(count), with_commas(count) + " values"});
  }
  return "<div><h2>Differences</h2>\n" + log_bar_chart(chart) +
         "<p class=\"dim\">Logarithmic axis. A lone ±1 is a rounding; a wide spread is a wrong "
         "scale, sum or input.</p>\n</div>\n";
}

std::string channels(const NetworkComparison& comparison) {
  std::vector<HeatRow> rows;
  for (const TensorComparison& t : comparison.report.tensors) {
    if (t.mismatches == 0 || t.channel_mismatches.empty() || rows.size() == kHeatRows) continue;
    const size_t count = t.channel_mismatches.size();
    const size_t bins = std::min(count, kChannelsShown);
    const double per_channel = static_cast<double>(t.compared) / static_cast<double>(count);
    HeatRow heat_row{fmt::format("{}, {}", short_name(comparison.layers.of(t.name)),
                                 counted(static_cast<int64_t>(count), "channel")),
                     {}};
    for (size_t bin = 0; bin < bins; ++bin) {
      const size_t first = bin * count / bins, last = (bin + 1) * count / bins;
      int64_t mismatches = 0;
      for (size_t c = first; c < last; ++c) mismatches += t.channel_mismatches[c];
      const double rate =
          static_cast<double>(mismatches) / (per_channel * static_cast<double>(last - first));
      const std::string which = last - first == 1 ? fmt::format("channel {}", first)
                                                  : fmt::format("channels {}-{}", first, last - 1);
      heat_row.cells.push_back({heat(rate), fmt::format("{}: {} differ ({})", which,
                                                        with_commas(mismatches), rate_text(rate))});
    }
    rows.push_back(std::move(heat_row));
  }
  if (rows.empty()) return "";
  return "<section>\n<h2>Mismatches per channel</h2>\n" + heat_map("Mismatches per channel", rows) +
         "<p class=\"dim\">Logarithmic in the rate. One channel alone is a scale or a bias of that "
         "channel; all alike is a rule.</p>\n</section>\n";
}

std::string ties(const NetworkComparison& comparison) {
  constexpr std::array<std::pair<double, const char*>, 7> kBins{{{1e-6, "1e-6"},
                                                                 {1e-5, "1e-5"},
                                                                 {1e-4, "1e-4"},
                                                                 {1e-3, "1e-3"},
                                                                 {1e-2, "0.01"},
                                                                 {0.1, "0.1"},
                                                                 {1.0, "0.5"}}};
  std::array<int64_t, kBins.size()> counts{};
  std::map<backends::Reach, int64_t> reaches;
  int64_t all = 0;
  for (const TieSample& sample : comparison.ties) {
    for (const double distance : sample.distances) {
      size_t bin = 0;
      while (bin + 1 < kBins.size() && distance >= kBins[bin].first) ++bin;
      ++counts[bin];
      ++all;
    }
    for (const auto& [reach, count] : sample.reaches) reaches[reach] += count;
  }
  if (all == 0) return "";
  BarChart chart{.title = "Differing values by their distance to a rounding tie",
                 .bars = {},
                 .x_label = "distance of the exact value to a tie, below (LSB)"};
  for (size_t i = 0; i < kBins.size(); ++i) {
    chart.bars.push_back(
        {kBins[i].second, static_cast<double>(counts[i]), with_commas(counts[i]) + " values"});
  }
  std::string html = "<div><h2>Distance to a tie</h2>\n" + log_bar_chart(chart);
  for (const auto& [reach, count] : reaches) {
    html += fmt::format("<p class=\"dim\">{} of {}: {}.</p>\n", with_commas(count),
                        with_commas(all), escape_html(to_string(reach)));
  }
  return html + "</div>\n";
}

std::string accumulators(const NetworkComparison& comparison) {
  if (comparison.occupancy.empty()) return "";
  std::vector<Gauge> rows;
  for (const LayerOccupancy& layer : comparison.occupancy) {
    std::string text = fmt::format("{} of {} bits, worst case {}", layer.observed, layer.available,
                                   layer.worst_case);
    if (layer.overflows > 0) text += ", " + counted(layer.overflows, "overflow");
    rows.push_back({.label = short_name(layer.name),
                    .filled = static_cast<double>(layer.observed),
                    .mark = static_cast<double>(layer.worst_case),
                    .maximum = static_cast<double>(layer.available),
                    .text = text});
  }
  return "<section>\n<h2>Accumulator occupancy</h2>\n" + gauges("Accumulator occupancy", rows) +
         fmt::format(
             "<p class=\"dim\">Bar: bits of the largest accumulator of {}. Mark: bits that "
             "any input could need with these weights.</p>\n</section>\n",
             counted(comparison.occupancy_images, "image"));
}

std::string first_mismatch(const NetworkComparison& comparison) {
  if (comparison.divergences.empty()) return "";
  const Divergence& d = comparison.divergences.front();
  const backends::ElementChain& chain = d.element.chain;
  std::string html = fmt::format(
      "<section>\n<h2>The first mismatch, step by step</h2>\n<p><b>{}</b> ({}), {}{}</p>\n"
      "<div class=\"scroll\"><table class=\"wrap\">\n",
      escape_html(d.node), escape_html(d.op), escape_html(d.tensor), index_text(d.index));
  if (chain.accumulator) html += row("acc", accumulator_text(*chain.accumulator));
  if (d.seen && chain.accumulator) {
    html +=
        row("range seen", fmt::format("{}..{} in {}", with_commas(d.seen->min),
                                      with_commas(d.seen->max), counted(d.seen_images, "image")));
  }
  if (chain.scales) {
    html += row(fmt::format("scale, channel {}", chain.channel), scales_text(*chain.scales));
  }
  if (chain.exact) {
    html += row("exact value", fmt::format("{:.9g} + zero point {}, {:.3g} LSB from a tie",
                                           *chain.exact, chain.zero_point, *chain.tie_distance));
  }
  html += row("this profile", fmt::format("{}", chain.result()));
  if (d.expected) {
    html += row("expected", fmt::format("{}", *d.expected));
    html += row("which means", to_string(backends::reach(chain, *d.expected)));
  }
  html +=
      "</table></div>\n<div class=\"scroll\"><table "
      "class=\"steps\">\n<tr><th>step</th><th>value</th>"
      "<th class=\"text\">set by</th></tr>\n";
  for (size_t i = 0; i < chain.steps.size(); ++i) {
    const auto& setting = d.element.step_settings[i];
    html += fmt::format("<tr{}><td>{}</td><td>{}</td><td class=\"text\">{}</td></tr>\n",
                        chain.steps[i].changed ? "" : " class=\"dim\"",
                        escape_html(step_text(chain.steps[i])), escape_html(chain.steps[i].value),
                        setting ? escape_html(setting_text(*setting)) : "");
  }
  return html + "</table></div>\n</section>\n";
}

std::string cause(const ComparisonPage& page) {
  if (page.cause.empty()) return "";
  std::string html = "<section>\n<h2>Why</h2>\n<div class=\"scroll\"><table class=\"wrap\">\n";
  for (const CauseLine& line : page.cause) html += row(line.label, line.text);
  return html + "</table></div>\n</section>\n";
}

std::string provenance(const ComparisonPage& page) {
  std::string html =
      "<section>\n<h2>Where this comes from</h2>\n<div class=\"scroll\"><table "
      "class=\"wrap\">\n";
  for (const auto& [label, text] : page.sources) html += row(label, text);
  html += "</table></div>\n";
  if (!page.settings.empty()) {
    html +=
        "<details><summary>Rules of the profile and who set them</summary>\n"
        "<div class=\"scroll\"><table class=\"wrap\">\n";
    for (const backends::ProfileSetting& setting : page.settings) {
      html += row(setting.pointer, fmt::format("{}   {}", setting.value, setting_place(setting)));
    }
    html += "</table></div>\n</details>\n";
  }
  return html + "</section>\n";
}

}  // namespace

std::string comparison_sections(const ComparisonPage& page, const NetworkComparison& comparison) {
  const ComparisonReport& report = comparison.report;
  return overview(page, comparison) + cause(page) + layers(comparison) +
         "<section>\n<div class=\"pair\">\n" + differences(report) + ties(comparison) +
         "</div>\n</section>\n" + first_mismatch(comparison) + channels(comparison) +
         accumulators(comparison) + provenance(page);
}

std::string comparison_html(const ComparisonPage& page, const NetworkComparison& comparison) {
  return html_page(page.title, page.details, comparison_sections(page, comparison));
}

}  // namespace facsim::cli
