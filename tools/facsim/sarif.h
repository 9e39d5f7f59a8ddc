// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "backends/profile/profile.h"
#include "sim/core/error.h"

namespace facsim::cli {

/// One finding with its place, "FILE:LINE:COLUMN /pointer" as everywhere in facsim; a place without
/// a position names no region, one without a file no location.
struct SarifFinding {
  std::string rule;
  bool is_error = false;
  std::string place, message;
};
SarifFinding sarif_finding(const backends::LintFinding& finding);
/// An error of reading: rule "load-bad-value", "load-unknown-key", …
SarifFinding sarif_finding(const ErrorInfo& info);

/// A SARIF 2.1.0 log (OASIS) of one run of facsim: every rule that occurs with its metadata, every
/// finding with file, line, column (in characters) and JSON pointer. Files below `root` are URIs
/// relative to it (%SRCROOT%), others are absolute.
nlohmann::ordered_json sarif_log(const std::vector<SarifFinding>& findings,
                                 const std::filesystem::path& root);

}  // namespace facsim::cli
