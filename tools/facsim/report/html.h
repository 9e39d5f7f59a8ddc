// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/facsim/report/report_data.h"

namespace facsim::cli {

/// The page about a training run and its deployment (html_page).
std::string report_html(const ReportData& data);

}  // namespace facsim::cli
