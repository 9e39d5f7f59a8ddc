// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/report/html.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tools/facsim/output.h"
#include "tools/facsim/report/charts.h"
#include "tools/facsim/report/page.h"

namespace facsim::cli {

namespace {

using fused::train::EpochRecord;
using fused::train::Stage;

std::string percent_of(double part) { return fmt::format("{:.2f} %", 100 * part); }

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
         tile(percent_of(data.history.float_accuracy), "float accuracy") +
         tile(percent_of(data.history.qat_accuracy), "QAT accuracy, eval forward") +
         tile(percent_of(data.deployed_accuracy), "deployed accuracy") +
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
    if (layer.overflows > 0) text += ", " + counted(layer.overflows, "overflow");
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
  const std::string details =
      fmt::format("{}{} test images, profile fingerprint {}, {:.0f} s",
                  data.profile_title.empty() ? "" : data.profile_title + " · ",
                  with_commas(h.test_images), h.profile_fingerprint, data.seconds);
  return html_page(
      h.network + " on " + h.profile, details,
      overview(data) + curves(data) + parity(data) + histogram(data) + occupancy(data));
}

}  // namespace facsim::cli
