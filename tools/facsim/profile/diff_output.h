// SPDX-License-Identifier: Apache-2.0
// How facsim profile diff shows what it found: text, and JSON as
// configs/schema/profile-diff.schema.json describes it.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "backends/parity/profile_diff.h"
#include "backends/parity/profile_diff_network.h"
#include "backends/profile/profile_differences.h"

namespace facsim::cli {

nlohmann::ordered_json to_json(const backends::SettingDifference& difference);
nlohmann::ordered_json to_json(const backends::OpDifference& op);
nlohmann::ordered_json to_json(const backends::LayerDifference& layer);

void print_settings(const std::vector<backends::SettingDifference>& differences, bool color);
/// Each op's verdict, with the smallest vector that differs, and how many are equal, differ or are
/// not decided.
void print_ops(const std::vector<backends::OpDifference>& ops, bool color);
void print_layers(const std::vector<backends::LayerDifference>& layers);

}  // namespace facsim::cli
