// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/facsim/report/report_data.h"

namespace facsim::cli {

/// One page that needs nothing besides itself: opens from a disk without network, light and dark,
/// down to a phone's width.
std::string report_html(const ReportData& data);

}  // namespace facsim::cli
