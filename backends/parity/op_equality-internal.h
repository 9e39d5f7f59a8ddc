// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "sim/ops/op.h"

namespace facsim::backends::detail {

/// Everything an op computes by, as bytes, for ops whose parameters are visible: two ops of one
/// node with equal texts give equal results on every input. Weights are left out: they are the
/// node's. Nothing for other kinds of ops, about which equal texts would say nothing.
std::optional<std::string> op_text(const sim::Op& op);

}  // namespace facsim::backends::detail
