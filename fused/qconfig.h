// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "backends/profile/profile.h"
#include "quant/fake_quantize/fake_quantizer.h"

namespace facsim::fused {

/// How a QAT module quantizes (PyTorch's QConfig): makers of its quantizers, and the rules of the
/// integer forward.
struct QConfig {
  /// Null: only the fake_quantize forward works.
  std::shared_ptr<const backends::Profile> profile;
  using Maker = std::function<std::unique_ptr<quant::FakeQuantizer>(int64_t channels)>;
  Maker weight;      ///< channels: of axis 0
  Maker activation;  ///< empty: the output stays float32 (fake_quantize only)
};

/// The quantizers a profile asks for in layers with the rules `op` (conv2d, depthwise_conv2d,
/// linear, add, quantize). Error unsupported if the profile has no such op.
QConfig make_qconfig(std::shared_ptr<const backends::Profile> profile, std::string_view op);

}  // namespace facsim::fused
