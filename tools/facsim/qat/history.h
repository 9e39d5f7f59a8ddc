// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include <nlohmann/json_fwd.hpp>

#include "fused/train/trainer.h"
#include "tools/facsim/qat/contrast.h"

namespace facsim::cli {

/// All that `facsim qat` found out, for people's and programs' reading: history.json.
struct History {
  std::string profile, profile_fingerprint, network;
  fused::train::Recipe recipe;
  std::vector<fused::train::EpochRecord> epochs;
  int64_t test_images = 0;
  double float_accuracy = 0;
  double qat_accuracy = 0;  ///< of the eval forward, which equals the device
  Contrast contrast;
  double seconds = 0;
};

nlohmann::ordered_json to_json(const History& history);
/// Reads what `to_json` wrote; Error bad_json / missing_key / bad_value with the file's name.
History read_history(const std::filesystem::path& file);

}  // namespace facsim::cli
