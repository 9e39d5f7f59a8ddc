// SPDX-License-Identifier: Apache-2.0
#include "fused/named_quantizer.h"

#include <algorithm>

namespace facsim::fused {

void NamedQuantizer::add(const std::string& name, quant::FakeQuantizer& quantizer) {
  const auto learned = quantizer.learned();
  for (const auto& entry : learned) {
    learned_.push_back({name + "." + std::string(entry.name), entry.value, entry.grad});
  }
  for (const auto& entry : quantizer.state()) {
    const bool is_learned = std::any_of(learned.begin(), learned.end(),
                                        [&](const auto& l) { return l.name == entry.name; });
    if (!is_learned) state_.push_back({name + "." + entry.name, entry.value});
  }
}

std::vector<Parameter*> NamedQuantizer::parameters() {
  std::vector<Parameter*> out;
  for (Parameter& p : learned_) out.push_back(&p);
  return out;
}

std::vector<Buffer*> NamedQuantizer::buffers() {
  std::vector<Buffer*> out;
  for (Buffer& b : state_) out.push_back(&b);
  return out;
}

}  // namespace facsim::fused
