// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "backends/parity/same_results-internal.h"

namespace facsim::backends::detail {

/// What elementwise ops give for every code of their input, or every pair of codes of two inputs of
/// one shape, by running them: one tensor for each op. Empty where an op is not known to be
/// elementwise, an input's codes are not known, or there are more than 2^22 elements or `budget`.
/// Errors: where an op refuses a code.
std::vector<Tensor> results_on_all_codes(const std::vector<const sim::Op*>& ops,
                                         const std::vector<InputKind>& inputs, ProofBudget& budget);

}  // namespace facsim::backends::detail
