// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tools/facsim/report/report_data.h"

namespace facsim::cli {

/// The figures of a report: profile, float_accuracy, qat_accuracy, deployed_accuracy, compared,
/// mismatches, control_mismatches, fake_quantize_mismatches, fake_quantize_compared,
/// fake_quantize_flips, seconds.
nlohmann::ordered_json summary_json(const ReportData& data);
/// The same for people.
std::string summary_table(const ReportData& data);

}  // namespace facsim::cli
