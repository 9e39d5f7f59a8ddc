// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/facsim/compare_network.h"
#include "tools/facsim/diagnosis.h"

namespace facsim::cli {

/// Everything the page about a comparison shows.
struct ComparisonPage {
  std::string title, details;
  bool accepted = false;  ///< by --fail-on
  std::string fail_on;
  std::vector<std::string> runs_differ;                      ///< other inputs, network or profile
  std::vector<CauseLine> cause;                              ///< probable_cause_lines
  std::vector<std::pair<std::string, std::string>> sources;  ///< what was read: label, text
  std::vector<backends::ProfileSetting> settings;  ///< the profile's rules, with who set them
};

/// The sections of the page, to put several comparisons on one.
std::string comparison_sections(const ComparisonPage& page, const NetworkComparison& comparison);
/// The page (html_page): rates per layer, differences, channels, ties, accumulators, the chain of
/// the first mismatch, where the profile's rules come from.
std::string comparison_html(const ComparisonPage& page, const NetworkComparison& comparison);

}  // namespace facsim::cli
