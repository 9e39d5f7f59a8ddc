// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/leaky_relu.h"

namespace facsim::fused::nnqat {

namespace {

backends::IntNode leaky_relu_node(float alpha) {
  backends::IntNode node;
  node.op = "leaky_relu";
  node.attributes.alpha = alpha;
  return node;
}

}  // namespace

LeakyReLU::LeakyReLU(const nn::LeakyReLU& module, const QConfig& qconfig)
    : QatActivation("nnqat.LeakyReLU", leaky_relu_node(module.negative_slope()),
                    module.activation().lut(), qconfig, OutputRange::observed) {}

std::unique_ptr<LeakyReLU> LeakyReLU::from_float(const nn::LeakyReLU& module,
                                                 const QConfig& qconfig) {
  return std::unique_ptr<LeakyReLU>(new LeakyReLU(module, qconfig));
}

}  // namespace facsim::fused::nnqat
