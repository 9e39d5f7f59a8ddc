// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "backends/profile/field-internal.h"

/// The parts of the field tree, one file each.
namespace facsim::backends::detail {

Field tensors_field();      ///< /tensors
Field accumulator_field();  ///< /accumulator
Field padding_field();      ///< /padding
Field requantize_field();   ///< /requantize
/// The numeric rules: what /ops/<op> and its variants may repeat.
std::vector<Field> rule_fields();
Field ops_field();  ///< /ops

}  // namespace facsim::backends::detail
