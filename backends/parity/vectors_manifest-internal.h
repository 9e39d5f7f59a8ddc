// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "backends/json/positioned_json-internal.h"
#include "sim/core/tensor.h"

namespace facsim::backends::detail {

/// One case as the manifest describes it.
struct VectorCase {
  struct Array {
    std::string key;  ///< member of the .npz
    DType dtype;
    Shape shape;
  };
  std::string name, family, op, profile;
  std::string npz;    ///< file name in the suite's folder
  std::string model;  ///< path of the model inside the folder, or empty
  std::map<std::string, Array, std::less<>> arrays;  ///< by role
  std::string golden;                                ///< role of the expected output
  std::string pointer;                               ///< of the case in the manifest
};

struct VectorSuite {
  std::filesystem::path folder;
  json::Document manifest;
  std::vector<VectorCase> cases;
  /// Of a generated suite, else empty: the profile and its fingerprint when it was made.
  std::string generator_profile, generator_fingerprint;
};

/// Whether each case has its expected output: one that a device is still to run has none yet.
enum class VectorGoldens { recorded, awaited };

/// Reads and checks FOLDER/manifest.json. Keys that are not needed are ignored: later suites may
/// have more. Error with every finding.
VectorSuite read_vector_suite(const std::filesystem::path& folder,
                              VectorGoldens goldens = VectorGoldens::recorded);

}  // namespace facsim::backends::detail
