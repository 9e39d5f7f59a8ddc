// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "fused/train/trainer.h"

namespace facsim::fused::train {

/// Where a run stands after an epoch: enough to continue to the same bits.
struct Checkpoint {
  Stage stage = Stage::float_;
  int epoch = 0;  ///< finished epochs of the stage
  double float_accuracy = 0;
  std::vector<EpochRecord> history;
  backends::NamedTensors model;
  backends::NamedTensors optimizer;
};

/// The settings that a resumed run must share, one "name=value" a line.
std::string settings_of(const Job& job);

/// One .npz, replaced atomically. Real numbers that are not tensors are stored as the int64 with
/// the double's bits.
void write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint,
                      const std::string& settings);
/// Error bad_value if it was made with other settings (names them) or is damaged.
Checkpoint read_checkpoint(const std::filesystem::path& file, const std::string& settings);

}  // namespace facsim::fused::train
