// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/sigmoid.h"

namespace facsim::fused::nnqat {

namespace {

backends::IntNode sigmoid_node() {
  backends::IntNode node;
  node.op = "sigmoid";
  return node;
}

}  // namespace

Sigmoid::Sigmoid(const nn::Sigmoid& module, const QConfig& qconfig)
    : QatActivation("nnqat.Sigmoid", sigmoid_node(), module.activation().lut(), qconfig,
                    OutputRange::unit) {}

std::unique_ptr<Sigmoid> Sigmoid::from_float(const nn::Sigmoid& module, const QConfig& qconfig) {
  return std::unique_ptr<Sigmoid>(new Sigmoid(module, qconfig));
}

}  // namespace facsim::fused::nnqat
