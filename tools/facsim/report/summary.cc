// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/report/summary.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/facsim/output.h"

namespace facsim::cli {

int64_t ReportData::compared() const {
  int64_t sum = 0;
  for (const LayerParity& layer : parity) sum += layer.compared;
  return sum;
}

int64_t ReportData::mismatches() const {
  int64_t sum = 0;
  for (const LayerParity& layer : parity) sum += layer.mismatches;
  return sum;
}

int64_t ReportData::control_mismatches() const {
  int64_t sum = 0;
  for (const LayerParity& layer : parity) sum += layer.control_mismatches;
  return sum;
}

nlohmann::ordered_json summary_json(const ReportData& data) {
  const Contrast& contrast = data.history.contrast;
  return {{"profile", data.history.profile},
          {"float_accuracy", data.history.float_accuracy},
          {"qat_accuracy", data.history.qat_accuracy},
          {"deployed_accuracy", data.deployed_accuracy},
          {"compared", data.compared()},
          {"mismatches", data.mismatches()},
          {"control_mismatches", data.control_mismatches()},
          {"fake_quantize_mismatches", contrast.mismatches()},
          {"fake_quantize_compared", contrast.compared()},
          {"fake_quantize_flips", contrast.flips},
          {"seconds", data.seconds}};
}

std::string summary_table(const ReportData& data) {
  const Contrast& contrast = data.history.contrast;
  const auto percent = [](double part) { return fmt::format("{:.2f} %", 100 * part); };
  TextTable table({{"figure", TextTable::Align::left}, {"value", TextTable::Align::right}});
  table.add_row({"profile", data.history.profile});
  table.add_row({"float accuracy", percent(data.history.float_accuracy)});
  table.add_row({"QAT accuracy (eval forward, fast kernels)", percent(data.history.qat_accuracy)});
  table.add_row(
      {"deployed accuracy (from the file, scalar norm)", percent(data.deployed_accuracy)});
  table.add_row({"values compared", with_commas(data.compared())});
  table.add_row({"mismatches", with_commas(data.mismatches())});
  if (!data.control_setting.empty()) {
    table.add_row({"mismatches of the control, " + data.control_setting,
                   with_commas(data.control_mismatches())});
  }
  table.add_row({"fake-quantize codes that differ",
                 fmt::format("{} of {}", with_commas(contrast.mismatches()),
                             with_commas(contrast.compared()))});
  table.add_row({"fake-quantize class flips", fmt::format("{} of {}", with_commas(contrast.flips),
                                                          with_commas(contrast.images))});
  table.add_row({"seconds", fmt::format("{:.0f}", data.seconds)});
  return table.text();
}

}  // namespace facsim::cli
