// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace facsim::cli {

/// Text made safe inside HTML and SVG; control characters, line ends among them, become spaces.
std::string escape_html(std::string_view text);

/// Charts as inline SVG. They take their colours from the page's CSS classes (series-0, series-1,
/// …) and scale with its width.

struct LineSeries {
  std::string name;
  std::vector<double> y;  ///< at x = 1, 2, …; NaN leaves a gap
};
struct LineChart {
  std::string title;
  std::vector<LineSeries> series;
  std::string x_label;
  double y_scale = 1;  ///< shown = y * y_scale
  std::string y_unit;
  size_t divider = 0;  ///< a vertical line after this x; 0: none
  std::string before_divider, after_divider;
  std::vector<std::string> x_ticks{};  ///< texts at x = 1, 2, …; empty: the numbers
  std::optional<double> bar{};         ///< a horizontal line at y = bar
};
std::string line_chart(const LineChart& chart);

struct Bar {
  std::string label;
  double value = 0;
  std::string text;  ///< shown at the bar
};
struct BarChart {
  std::string title;
  std::vector<Bar> bars;
  std::string x_label;
};
/// Vertical bars on a logarithmic axis from 1: counts that span magnitudes.
std::string log_bar_chart(const BarChart& chart);

/// Cells whose colour grows with their value: 0 is the empty track, 1 the full colour.
struct Cell {
  double value = 0;  ///< 0..1
  std::string text;  ///< shown when pointed at
};
struct HeatRow {
  std::string label;
  std::vector<Cell> cells;
};
/// One line of cells under each label, all lines as wide as the chart.
std::string heat_map(std::string_view title, const std::vector<HeatRow>& rows);
/// Cells in reading order, up to `per_line` on a line.
std::string cell_strip(std::string_view title, const std::vector<Cell>& cells, size_t per_line);

/// A horizontal gauge: a filled part, a mark beyond it, both of a maximum.
struct Gauge {
  std::string label;
  double filled = 0, mark = 0, maximum = 1;
  std::string text;
};
std::string gauges(std::string_view title, const std::vector<Gauge>& rows);

}  // namespace facsim::cli
