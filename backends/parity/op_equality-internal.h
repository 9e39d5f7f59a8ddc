// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "sim/ops/op.h"

namespace facsim::backends::detail {

/// Everything an op computes by, as text: two ops of one node with equal texts give equal results
/// on every input. Weights are left out: they are the node's. An accumulator's width, overflow,
/// order and parts are left out where the weights prove that no input can reach them
/// (Conv2dRange), so that settings which cannot matter make equal texts. Nothing for a class of op
/// that is not known here.
std::optional<std::string> op_text(const sim::Op& op);

}  // namespace facsim::backends::detail
