// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "backends/lower/node-internal.h"
#include "backends/lower/requantize-internal.h"

namespace facsim::backends::detail {

#define FACSIM_ALGORITHM_LOWERING(source, function, algorithm) \
  std::shared_ptr<const sim::Op> lower_##function(const NodeView& node);
#include "backends/lower/algorithm_lowerings.def"
#undef FACSIM_ALGORITHM_LOWERING

/// The lowering that the rules of the node's op name as their algorithm; null if there is none of
/// its own in algorithm_lowerings.def. Never throws: an op without rules has none.
Lowering find_algorithm_lowering(const NodeView& node);

/// Rules of the node's own op for the type of its first input.
const OpRules& node_rules(const NodeView& node);

/// Checks input 0 and the output against the rules of the node's op.
void require_unary(const NodeView& node);

/// A table of f over every code of the input's type, cut to the output's range of codes.
std::shared_ptr<const sim::Op> table_of_codes(const quant::QParams& input,
                                              const quant::QParams& output,
                                              const std::function<int64_t(int64_t)>& f);

/// n with scale = 2^-n. Error unsupported for any other scale or a zero point.
int fix_position(std::string_view what, const quant::QParams& qparams);

}  // namespace facsim::backends::detail
