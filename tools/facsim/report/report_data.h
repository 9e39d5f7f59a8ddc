// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/facsim/qat/history.h"
#include "tools/facsim/report/occupancy.h"

namespace facsim::cli {

/// One tensor: the QAT modules' eval forward against runs of the deployed file.
struct LayerParity {
  std::string name;
  Shape shape;  ///< of all images
  int64_t compared = 0;
  int64_t mismatches = 0;
  int64_t max_lsb = 0;             ///< largest difference in codes
  int64_t control_mismatches = 0;  ///< under the profile with one rule changed
};

/// Everything the page shows.
struct ReportData {
  History history;
  std::string profile_title;
  double deployed_accuracy = 0;
  std::vector<LayerParity> parity;
  std::string control_setting;  ///< what --set changed for the control, empty: no control was run
  std::vector<LayerOccupancy> occupancy;
  int64_t occupancy_images = 0;
  double seconds = 0;

  int64_t compared() const;
  int64_t mismatches() const;
  int64_t control_mismatches() const;
};

}  // namespace facsim::cli
