// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/report/html.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tools/facsim/output.h"
#include "tools/facsim/report/charts.h"

namespace facsim::cli {

namespace {

using fused::train::EpochRecord;
using fused::train::Stage;

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2330; --dim: #5a6474; --page: #f6f7f9; --card: #ffffff;
  --edge: #dfe3e9; --c0: #2563eb; --c1: #d9730d; --good: #12805c; --bad: #c22b2b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #9aa4b5; --page: #12151b;
  --card: #1b2029; --edge: #303846; --c0: #6ea0ff; --c1: #f0a35c; --good: #4fc59a; --bad: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 62rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
p { margin: .3rem 0 .6rem; } .dim { color: var(--dim); font-size: .92rem; }
section { background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
  padding: 1rem; margin-top: 1rem; }
.verdict { font-size: 1.25rem; font-weight: 650; }
.good { color: var(--good); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; }
.tile { border: 1px solid var(--edge); border-radius: 8px; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.45rem; font-weight: 650; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .55rem; border-bottom: 1px solid var(--edge);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; max-width: 34rem; height: auto; display: block; }
svg text { fill: var(--dim); font-size: 12px; font-family: inherit; }
.grid { stroke: var(--edge); } .divider { stroke: var(--dim); stroke-dasharray: 4 4; }
.track { fill: var(--edge); } .mark { stroke: var(--c1); stroke-width: 2.5; }
.line { fill: none !important; stroke-width: 2; }
.series-0 { fill: var(--c0); stroke: var(--c0); background: var(--c0); }
.series-1 { fill: var(--c1); stroke: var(--c1); background: var(--c1); }
.legend { font-size: .88rem; } .legend span { margin-right: 1rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px;
  margin-right: .35rem; vertical-align: -1px; }
)css";

std::string percent(double part) { return fmt::format("{:.2f} %", 100 * part); }

std::string share(int64_t part, int64_t whole) {
  if (part == 0 || whole == 0) return "0 %";
  return fmt::format("{:.3g} %", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string tile(std::string_view value, std::string_view label) {
  return fmt::format("<div class=\"tile\"><b>{}</b>{}</div>\n", escape_html(value),
                     escape_html(label));
}

std::string verdict(const ReportData& data) {
  if (data.mismatches() == 0 && data.compared() > 0) {
    return fmt::format(
        "<p class=\"verdict good\">0 mismatches of {} compared values</p>\n"
        "<p>Every activation of every layer and every logit that the QAT modules computed equals, "
        "bit "
        "for bit, what the deployed file gives in another process on the scalar norm.</p>\n",
        with_commas(data.compared()));
  }
  return fmt::format("<p class=\"verdict bad\">{} mismatches of {} compared values</p>\n",
                     with_commas(data.mismatches()), with_commas(data.compared()));
}

std::string control(const ReportData& data) {
  if (data.control_setting.empty()) return "";
  return fmt::format(
      "<p class=\"dim\">Control: with <code>{}</code> the same comparison finds {} "
      "mismatches.</p>\n",
      escape_html(data.control_setting), with_commas(data.control_mismatches()));
}

std::string overview(const ReportData& data) {
  const Contrast& contrast = data.history.contrast;
  return "<section>\n" + verdict(data) + control(data) + "<div class=\"tiles\">\n" +
         tile(percent(data.history.float_accuracy), "float accuracy") +
         tile(percent(data.history.qat_accuracy), "QAT accuracy, eval forward") +
         tile(percent(data.deployed_accuracy), "deployed accuracy") +
         tile(share(contrast.mismatches(), contrast.compared()),
              "of the codes differ under fake quantization") +
         tile(fmt::format("{} of {}", with_commas(contrast.flips), with_commas(contrast.images)),
              "classes flip under fake quantization") +
         "</div>\n</section>\n";
}

LineChart curve(const std::vector<EpochRecord>& epochs, std::string title) {
  const auto is_float = [](const EpochRecord& e) { return e.stage == Stage::float_; };
  LineChart chart{
      .title = std::move(title),
      .series = {},
      .x_label = "epoch",
      .y_unit = {},
      .divider = static_cast<size_t>(std::count_if(epochs.begin(), epochs.end(), is_float)),
      .before_divider = "float",
      .after_divider = "QAT"};
  return chart;
}

std::string curves(const ReportData& data) {
  const std::vector<EpochRecord>& epochs = data.history.epochs;
  if (epochs.empty()) return "";
  LineChart accuracy = curve(epochs, "Accuracy by epoch");
  accuracy.y_scale = 100;
  accuracy.y_unit = "%";
  accuracy.series = {{"test", {}}, {"train", {}}};
  LineChart loss = curve(epochs, "Training loss by epoch");
  loss.series = {{"loss", {}}};
  for (const EpochRecord& e : epochs) {
    accuracy.series[0].y.push_back(e.test_accuracy);
    accuracy.series[1].y.push_back(e.train_accuracy);
    loss.series[0].y.push_back(e.loss);
  }
  return "<section>\n<h2>Training</h2>\n<div class=\"pair\"><div>\n" + line_chart(accuracy) +
         "</div><div>\n" + line_chart(loss) +
         "</div></div>\n<p class=\"dim\">Test accuracy of QAT epochs is the integer "
         "simulator's.</p>\n</section>\n";
}

std::string parity(const ReportData& data) {
  std::string html =
      "<section>\n<h2>Parity per layer</h2>\n<p class=\"dim\">QAT eval forward against the "
      "deployed "
      "file; beside it the control and the same parameters under fake quantization.</p>\n"
      "<div class=\"scroll\"><table>\n<tr><th>tensor</th><th>shape</th><th>compared</th>"
      "<th>mismatches</th><th>max LSB</th><th>control</th><th>fake-quantize</th></tr>\n";
  for (const LayerParity& layer : data.parity) {
    const auto& layers = data.history.contrast.layers;
    const auto contrast = std::find_if(
        layers.begin(), layers.end(), [&](const LayerContrast& l) { return l.name == layer.name; });
    html += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td></tr>\n",
        escape_html(layer.name), to_string(layer.shape), with_commas(layer.compared),
        layer.mismatches == 0 ? "good" : "bad", with_commas(layer.mismatches), layer.max_lsb,
        data.control_setting.empty() ? "–" : share(layer.control_mismatches, layer.compared),
        contrast == layers.end() ? "–" : share(contrast->mismatches, contrast->compared));
  }
  return html + "</table></div>\n</section>\n";
}

std::string histogram(const ReportData& data) {
  constexpr int64_t kShown = 4;
  std::map<int64_t, int64_t> shown;
  for (int64_t d = -kShown; d <= kShown; ++d) shown[d] = 0;
  for (const auto& [difference, count] : data.history.contrast.histogram()) {
    shown[std::clamp(difference, -kShown, kShown)] += count;
  }
  BarChart chart{.title = "Differences of fake-quantized codes from the device's",
                 .bars = {},
                 .x_label = "difference in LSB (codes)"};
  for (const auto& [difference, count] : shown) {
    const std::string label = difference == -kShown  ? fmt::format("≤{}", difference)
                              : difference == kShown ? fmt::format("≥{}", difference)
                                                     : fmt::format("{:+}", difference);
    chart.bars.push_back(
        {difference == 0 ? "0" : label, static_cast<double>(count), with_commas(count) + " codes"});
  }
  const Contrast& contrast = data.history.contrast;
  return "<section>\n<h2>What fake quantization would have given</h2>\n" + log_bar_chart(chart) +
         fmt::format(
             "<p class=\"dim\">{} of {} codes differ ({}); {} of {} images get another class. "
             "Logarithmic axis.</p>\n</section>\n",
             with_commas(contrast.mismatches()), with_commas(contrast.compared()),
             share(contrast.mismatches(), contrast.compared()), with_commas(contrast.flips),
             with_commas(contrast.images));
}

std::string occupancy(const ReportData& data) {
  if (data.occupancy.empty()) return "";
  std::vector<Gauge> rows;
  for (const LayerOccupancy& layer : data.occupancy) {
    std::string text = fmt::format("{} of {} bits, worst case {}", layer.observed, layer.available,
                                   layer.worst_case);
    if (layer.overflows > 0) text += fmt::format(", {} overflows", with_commas(layer.overflows));
    rows.push_back({.label = layer.name + "  " + layer.op,
                    .filled = static_cast<double>(layer.observed),
                    .mark = static_cast<double>(layer.worst_case),
                    .maximum = static_cast<double>(layer.available),
                    .text = text});
  }
  return "<section>\n<h2>Accumulator occupancy</h2>\n" + gauges("Accumulator occupancy", rows) +
         fmt::format(
             "<p class=\"dim\">Bar: bits of the largest accumulator seen in {} test images. "
             "Mark: bits that any input could need with these weights.</p>\n</section>\n",
             with_commas(data.occupancy_images));
}

}  // namespace

std::string report_html(const ReportData& data) {
  const History& h = data.history;
  return fmt::format(
             "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<title>facsim: {0} on {1}</title>\n<style>{2}</style>\n</head>\n<body>\n"
             "<h1>{0} on {1}</h1>\n<p class=\"dim\">{3}{4} test images, profile fingerprint {5}, "
             "{6:.0f} s</p>\n",
             escape_html(h.network), escape_html(h.profile), kStyle,
             data.profile_title.empty() ? "" : escape_html(data.profile_title) + " · ",
             with_commas(h.test_images), escape_html(h.profile_fingerprint), data.seconds) +
         overview(data) + curves(data) + parity(data) + histogram(data) + occupancy(data) +
         "</body>\n</html>\n";
}

}  // namespace facsim::cli
