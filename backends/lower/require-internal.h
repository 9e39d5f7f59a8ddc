// SPDX-License-Identifier: Apache-2.0
// What a lowering demands of its rules and operands before it computes anything from them.
#pragma once

#include <string_view>
#include <vector>

#include "backends/lower/lower.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

/// Error unsupported for rules that no step program is (domains threshold and lut, codes that are
/// not affine): their ops need a named algorithm.
void require_program(const OpRules& rules);

/// Error unsupported if `type` is not among `accepted`.
void require_type(std::string_view what, sim::IntType type,
                  const std::vector<sim::IntType>& accepted);
/// Checks an activation's parameters against the rules: per tensor, type, zero point, power of two.
void require_activation(std::string_view what, const quant::QParams& qparams, const OpRules& rules);
/// The same for an output, which has the rules' output types.
void require_output(const quant::QParams& qparams, const OpRules& rules);
/// Error bad_value for a layer's attribute that is infinite or no number; place "OP NAME".
void require_finite(std::string_view op, std::string_view name, double value);
/// An error of what an attribute led to, its place after the attribute's: "leaky_relu alpha 1e+30".
Error with_place(const Error& error, std::string_view place);

/// Error bad_value unless `code` is a code of `type`.
void check_code(std::string_view place, int64_t code, sim::IntType type);

/// Error bad_value: a multiplier outside the profile's bits, a shift outside -62..124, a scale that
/// is not a finite number > 0, or lists whose lengths disagree.
void check_given(const OpRules& rules, const GivenMultiplier& given);

}  // namespace facsim::backends::detail
