// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "backends/parity/diagnose.h"
#include "backends/parity/setting_effects-internal.h"

namespace facsim::backends::detail {

/// What explains differences and is no setting: layers as if they had no bias, no fused activation,
/// or their padding at the other sides. Each layer is tried by itself, and all layers at once. Only
/// what explains every differing value (of a layer whose output golden holds: of that output), and
/// introduces none, is a finding.
std::vector<LayerFinding> layer_findings(const IntGraph& graph, const Profile& profile,
                                         SettingEffects& effects);

/// Layers with weights whose differing values are in at most half of the channels, where most
/// values differ: the parameters of these channels are others, for no setting is of one channel.
std::vector<LayerFinding> channel_findings(const IntGraph& graph, const sim::Graph& executable,
                                           const SettingEffects& effects);

}  // namespace facsim::backends::detail
