// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backends/parity/compare.h"
#include "backends/profile/profile.h"
#include "sim/core/error.h"
#include "sim/kernels/isa.h"

namespace facsim::backends {

/// One recorded case of a platform under a profile. `passed` means: computed and every element
/// equal; a case that is not computed is `unsupported`, never passed; `invalid` is a case whose
/// description is broken or contradicts its arrays.
struct VectorResult {
  enum class Status { passed, failed, unsupported, invalid };
  std::string name, family, op, profile;
  Status status = Status::unsupported;
  std::string message;            ///< why it failed, is unsupported or invalid
  std::vector<ErrorInfo> errors;  ///< of an invalid case: each with its place in the manifest
  std::optional<Mismatch> first;  ///< the first differing element in the case's own layout
  int64_t compared = 0;
  int64_t mismatches = 0;
  double seconds = 0;
};
std::string_view to_string(VectorResult::Status status);

struct VectorReport {
  std::string suite;  ///< the folder's name
  std::vector<VectorResult> cases;
  std::vector<std::string> notes;  ///< what may explain a result; for people
  int64_t count(VectorResult::Status status) const;
};

struct VectorOptions {
  ProfileSearch search;
  /// Empty: each case under the profile it names. Otherwise a name or path: the cases that name
  /// this profile, or, if no case does, all cases under it.
  std::string profile;
  std::vector<ProfileOverride> overrides;
  sim::Isa isa = sim::Isa::best;
  int threads = 1;  ///< 0: one per core
  std::function<void(int64_t done, int64_t total)> progress;
};

/// Runs a suite of recorded operator cases: FOLDER/manifest.json ("format": "facsim-vectors-1") and
/// the .npz files beside it. A broken suite (manifest, arrays that differ from their description)
/// is an Error; what single cases do, and what is wrong with their attributes, is in the report. A
/// value that only a profile other than the case's own refuses makes the case unsupported.
VectorReport check_vectors(const std::filesystem::path& folder, const VectorOptions& options);

/// The report as JUnit XML: a test suite per family, unsupported cases as skipped.
std::string to_junit(const VectorReport& report);

}  // namespace facsim::backends
