// SPDX-License-Identifier: Apache-2.0
// configs/PARITY.md: which op of which profile was compared with which real code. tools/parity.sh
// collects what the tests compare into configs/parity.json and writes the page from it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/profile.h"

namespace facsim::test {

/// One recording of real code, or one live run beside it, compared under a profile.
struct ParityEvidence {
  std::string profile;
  std::string op;         ///< the profile's op word
  std::string recording;  ///< "operator cases conv_s8", "requantization rows", "live layers", …
  std::string code;       ///< whose output, with its version
  int64_t cases = 0;      ///< that were computed
  int64_t compared = 0;   ///< values
  int64_t mismatches = 0;
};

/// What `facsim vectors check --format json` reports, by profile, op and family. Cases that are not
/// computed count nowhere.
std::vector<ParityEvidence> evidence_of_vectors(const nlohmann::json& report);
/// What tests print: lines "PARITY {json}", and the tallies of the peer tests.
std::vector<ParityEvidence> evidence_of_log(std::string_view log);
/// Rows of the same profile, op, recording and code become one; sorted.
std::vector<ParityEvidence> merged(std::vector<ParityEvidence> evidence);

nlohmann::ordered_json to_json(const std::vector<ParityEvidence>& evidence);
std::vector<ParityEvidence> evidence_from_json(const nlohmann::json& json);

/// The page of all shipped profiles.
std::string parity_page(const std::vector<ParityEvidence>& evidence,
                        const backends::ProfileSearch& search);

/// Claims that the evidence does not support, in words: a profile called executed of which no op
/// was compared, evidence of a profile or op that does not exist, mismatches.
std::vector<std::string> parity_problems(const std::vector<ParityEvidence>& evidence,
                                         const backends::ProfileSearch& search);

}  // namespace facsim::test
