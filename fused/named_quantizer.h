// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "fused/module.h"
#include "quant/fake_quantize/fake_quantizer.h"

namespace facsim::fused {

/// The learned tensors and the state of quantizers as a module's parameters and buffers, under
/// "NAME.scale" and so on. They share their elements with the quantizers.
class NamedQuantizer {
 public:
  void add(const std::string& name, quant::FakeQuantizer& quantizer);
  std::vector<Parameter*> parameters();
  std::vector<Buffer*> buffers();

 private:
  std::vector<Parameter> learned_;
  std::vector<Buffer> state_;
};

}  // namespace facsim::fused
