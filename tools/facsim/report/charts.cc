// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/report/charts.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "backends/text/xml.h"

namespace facsim::cli {

namespace {

constexpr double kChartWidth = 420, kChartHeight = 230;
constexpr double kLeft = 46, kRight = 12, kTop = 14, kBottom = 40;

std::string open_svg(std::string_view title, double height) {
  return fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"><title>{}</title>\n", kChartWidth,
      height, escape_html(title), escape_html(title));
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escape_html(text));
}

std::string line(std::string_view css, double x1, double y1, double x2, double y2) {
  return fmt::format(
      "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", css, x1, y1,
      x2, y2);
}

/// A round step that divides `range` into about five.
double tick_step(double range) {
  const double raw = range / 4, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double step : {1.0, 2.0, 5.0}) {
    if (raw <= step * power) return step * power;
  }
  return 10 * power;
}

struct Range {
  double low = 0, high = 1;
};

Range range_of(const LineChart& chart) {
  Range range{HUGE_VAL, -HUGE_VAL};
  const auto include = [&](double y) {
    if (!std::isfinite(y)) return;
    range.low = std::min(range.low, y * chart.y_scale);
    range.high = std::max(range.high, y * chart.y_scale);
  };
  for (const LineSeries& series : chart.series) {
    for (const double y : series.y) include(y);
  }
  if (chart.bar) include(*chart.bar);
  if (range.low > range.high) return {};
  const double margin = std::max((range.high - range.low) * 0.06, range.high * 1e-3 + 1e-9);
  return {std::max(0.0, range.low - margin), range.high + margin};
}

/// Maps x = 1..count and y to the plot area.
struct Plot {
  double count;
  Range y;
  double px(double x) const {
    return count <= 1 ? (kLeft + kChartWidth - kRight) / 2
                      : kLeft + (x - 1) / (count - 1) * (kChartWidth - kLeft - kRight);
  }
  double py(double value) const {
    return kChartHeight - kBottom -
           (value - y.low) / (y.high - y.low) * (kChartHeight - kTop - kBottom);
  }
};

std::string x_tick(const LineChart& chart, size_t x) {
  return x <= chart.x_ticks.size() ? chart.x_ticks[x - 1] : std::to_string(x);
}

std::string draw_series(const LineSeries& series, size_t index, const Plot& plot,
                        const LineChart& chart) {
  std::string path, points;
  bool gap = true;
  for (size_t i = 0; i < series.y.size(); ++i) {
    if (!std::isfinite(series.y[i])) {
      gap = true;
      continue;
    }
    const double x = plot.px(static_cast<double>(i + 1)), value = series.y[i] * chart.y_scale;
    path += fmt::format("{}{:.1f} {:.1f}", gap ? "M" : "L", x, plot.py(value));
    points += fmt::format(
        "<circle class=\"series-{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{}, {} {}: "
        "{:.4g}{}</title></circle>\n",
        index, x, plot.py(value), escape_html(series.name), escape_html(chart.x_label),
        escape_html(x_tick(chart, i + 1)), value, escape_html(chart.y_unit));
    gap = false;
  }
  return fmt::format("<path class=\"line series-{}\" d=\"{}\"/>\n{}", index, path, points);
}

std::string legend(const std::vector<LineSeries>& series) {
  std::string html = "<p class=\"legend\">";
  for (size_t i = 0; i < series.size(); ++i) {
    html +=
        fmt::format("<span><i class=\"series-{}\"></i>{}</span> ", i, escape_html(series[i].name));
  }
  return html + "</p>\n";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string spaced(text);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20; };
  std::replace_if(spaced.begin(), spaced.end(), is_control, ' ');
  return backends::escape_xml(spaced);
}

std::string line_chart(const LineChart& chart) {
  size_t count = 0;
  for (const LineSeries& series : chart.series) count = std::max(count, series.y.size());
  const Plot plot{static_cast<double>(count), range_of(chart)};

  std::string svg = open_svg(chart.title, kChartHeight);
  const double step = tick_step(plot.y.high - plot.y.low);
  for (double y = std::ceil(plot.y.low / step) * step; y <= plot.y.high; y += step) {
    svg += line("grid", kLeft, plot.py(y), kChartWidth - kRight, plot.py(y));
    svg += text_at(kLeft - 6, plot.py(y) + 4, "end", fmt::format("{:.4g}{}", y, chart.y_unit));
  }
  const size_t x_step = std::max<size_t>(1, (count + 9) / 10);
  for (size_t x = 1; x <= count; x += x_step) {
    svg += text_at(plot.px(static_cast<double>(x)), kChartHeight - kBottom + 16, "middle",
                   x_tick(chart, x));
  }
  if (chart.bar) {
    const double y = plot.py(*chart.bar * chart.y_scale);
    svg += line("divider", kLeft, y, kChartWidth - kRight, y);
    svg += text_at(kChartWidth - kRight, y - 4, "end", fmt::format("{:.4g}", *chart.bar));
  }
  svg += text_at((kLeft + kChartWidth - kRight) / 2, kChartHeight - 6, "middle", chart.x_label);
  if (chart.divider > 0 && chart.divider < count) {
    const double x = (plot.px(static_cast<double>(chart.divider)) +
                      plot.px(static_cast<double>(chart.divider + 1))) /
                     2;
    svg += line("divider", x, kTop, x, kChartHeight - kBottom);
    svg += text_at(x - 6, kTop + 8, "end", chart.before_divider);
    svg += text_at(x + 6, kTop + 8, "start", chart.after_divider);
  }
  for (size_t i = 0; i < chart.series.size(); ++i) {
    svg += draw_series(chart.series[i], i, plot, chart);
  }
  return svg + "</svg>\n" + legend(chart.series);
}

std::string log_bar_chart(const BarChart& chart) {
  double highest = 10;
  for (const Bar& bar : chart.bars) highest = std::max(highest, bar.value);
  const double decades = std::ceil(std::log10(highest));
  const double plot_height = kChartHeight - kTop - kBottom;
  // A count of 1 must still be seen: the axis starts half a decade below it.
  const auto height = [&](double value) {
    return value < 1 ? 0 : (std::log10(value) + 0.5) / (decades + 0.5) * plot_height;
  };

  std::string svg = open_svg(chart.title, kChartHeight);
  const int decade_step = decades > 6 ? 2 : 1;
  for (int d = 0; d <= static_cast<int>(decades); d += decade_step) {
    const double y = kChartHeight - kBottom - height(std::pow(10, d));
    svg += line("grid", kLeft, y, kChartWidth - kRight, y);
    svg += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">10<tspan dy=\"-4\" "
        "font-size=\"9\">{}</tspan></text>\n",
        kLeft - 6, y + 4, d);
  }
  const double slot =
      (kChartWidth - kLeft - kRight) / static_cast<double>(std::max<size_t>(1, chart.bars.size()));
  for (size_t i = 0; i < chart.bars.size(); ++i) {
    const Bar& bar = chart.bars[i];
    const double x = kLeft + slot * static_cast<double>(i), h = height(bar.value);
    svg += fmt::format(
        "<rect class=\"series-0\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
        "height=\"{:.1f}\"><title>{}: {}</title></rect>\n",
        x + slot * 0.12, kChartHeight - kBottom - h, slot * 0.76, h, escape_html(bar.label),
        escape_html(bar.text));
    svg += text_at(x + slot / 2, kChartHeight - kBottom + 16, "middle", bar.label);
  }
  svg += text_at((kLeft + kChartWidth - kRight) / 2, kChartHeight - 6, "middle", chart.x_label);
  return svg + "</svg>\n";
}

namespace {

std::string cell_at(const Cell& cell, double x, double y, double width, double height) {
  const std::string place = fmt::format(
      "x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\"", x, y, width, height);
  std::string svg = fmt::format("<rect class=\"track\" {}/>\n", place);
  if (cell.value > 0) {
    // The smallest value must still be seen.
    svg += fmt::format("<rect class=\"heat\" {} fill-opacity=\"{:.2f}\"/>\n", place,
                       0.15 + 0.85 * std::min(cell.value, 1.0));
  }
  return fmt::format("<g><title>{}</title>\n{}</g>\n", escape_html(cell.text), svg);
}

}  // namespace

std::string heat_map(std::string_view title, const std::vector<HeatRow>& rows) {
  constexpr double kRow = 38, kCell = 16, kGap = 1;
  std::string svg = open_svg(title, kRow * static_cast<double>(rows.size()) + 4);
  for (size_t r = 0; r < rows.size(); ++r) {
    const double y = kRow * static_cast<double>(r);
    svg += text_at(0, y + 13, "start", rows[r].label);
    const double slot =
        kChartWidth / static_cast<double>(std::max<size_t>(1, rows[r].cells.size()));
    const double gap = slot > 4 * kGap ? kGap : 0;
    for (size_t c = 0; c < rows[r].cells.size(); ++c) {
      svg += cell_at(rows[r].cells[c], slot * static_cast<double>(c), y + 18, slot - gap, kCell);
    }
  }
  return svg + "</svg>\n";
}

std::string cell_strip(std::string_view title, const std::vector<Cell>& cells, size_t per_line) {
  constexpr double kCell = 26, kGap = 2;
  const size_t columns = std::max<size_t>(1, std::min(per_line, cells.size()));
  const size_t lines = (cells.size() + columns - 1) / columns;
  const double slot = kChartWidth / static_cast<double>(columns);
  std::string svg = open_svg(title, (kCell + kGap) * static_cast<double>(lines));
  for (size_t i = 0; i < cells.size(); ++i) {
    svg += cell_at(cells[i], slot * static_cast<double>(i % columns),
                   (kCell + kGap) * static_cast<double>(i / columns), slot - kGap, kCell);
  }
  return svg + "</svg>\n";
}

std::string gauges(std::string_view title, const std::vector<Gauge>& rows) {
  constexpr double kRow = 40, kBar = 12, kEdge = 4;
  const double width = kChartWidth - 2 * kEdge;
  std::string svg = open_svg(title, kRow * static_cast<double>(rows.size()) + 6);
  for (size_t i = 0; i < rows.size(); ++i) {
    const Gauge& row = rows[i];
    const double y = kRow * static_cast<double>(i);
    const auto part = [&](double value) {
      return std::clamp(value / std::max(row.maximum, 1e-9), 0.0, 1.0) * width;
    };
    svg += text_at(kEdge, y + 13, "start", row.label);
    svg += text_at(kEdge + width, y + 13, "end", row.text);
    svg += fmt::format(
        "<rect class=\"track\" x=\"{0:.1f}\" y=\"{1:.1f}\" width=\"{2:.1f}\" height=\"{3}\"/>\n"
        "<rect class=\"series-0\" x=\"{0:.1f}\" y=\"{1:.1f}\" width=\"{4:.1f}\" height=\"{3}\"/>\n",
        kEdge, y + 19, width, kBar, part(row.filled));
    const double x = kEdge + part(row.mark);
    svg += line("mark", x, y + 16, x, y + 22 + kBar);
  }
  return svg + "</svg>\n";
}

}  // namespace facsim::cli
