// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/hardswish.h"

namespace facsim::fused::nnqat {

namespace {

backends::IntNode hardswish_node() {
  backends::IntNode node;
  node.op = "hard_swish";
  return node;
}

}  // namespace

Hardswish::Hardswish(const nn::Hardswish& module, const QConfig& qconfig)
    : QatActivation("nnqat.Hardswish", hardswish_node(), module.activation().lut(), qconfig,
                    OutputRange::observed) {}

std::unique_ptr<Hardswish> Hardswish::from_float(const nn::Hardswish& module,
                                                 const QConfig& qconfig) {
  return std::unique_ptr<Hardswish>(new Hardswish(module, qconfig));
}

}  // namespace facsim::fused::nnqat
