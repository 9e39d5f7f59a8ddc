// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/facsim/suite/suite_run.h"

namespace facsim::cli {

/// What `suite init` makes a suite of.
struct NewSuite {
  std::filesystem::path folder;  ///< new or empty
  std::string name;              ///< empty: the folder's
  ModelFile model;
  bool reference_network = false;    ///< name the file instead of copying it
  std::vector<std::string> inputs;   ///< a case each
  std::vector<std::string> goldens;  ///< as many, or none: what the network computes now
  int64_t images = 0;                ///< of each case, from the first; 0: all
  bool outputs_only = false;         ///< goldens that are computed: outputs instead of every layer
};

/// Writes the suite and returns what its first run says (goldens of a device may differ). The
/// folder appears when it is complete. Error io, bad_value, shape_mismatch, missing_key;
/// UsageError.
SuiteRun init_suite(const NewSuite& wanted, const Globals& globals);

struct Approval {
  std::string name;                   ///< of the case
  backends::SuiteGolden before, now;  ///< equal fingerprints: only network or profile changed
};

/// Takes what the network computes now as the golden of each case of `names` (empty: of each that
/// has something to approve). A case is approved if it fails and its received.npz is what the
/// network gives now, or if it passes with another network or profile than its golden names. All
/// cases take effect together, by one rename. Error bad_value where there is nothing to approve.
std::vector<Approval> approve_suite(const std::filesystem::path& folder,
                                    const std::vector<std::string>& names,
                                    const std::string& reason, const Globals& globals);

}  // namespace facsim::cli
