// SPDX-License-Identifier: Apache-2.0
// What the ops with a state share (svdf, lstm): weights as they are checked, codes as they are
// summed.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "sim/core/tensor.h"

namespace facsim::sim::detail {

/// Error shape_mismatch unless [rows >= 1, columns >= 1]; bad_value for another dtype.
void check_matrix(std::string_view kind, std::string_view role, const Tensor& matrix,
                  std::initializer_list<IntType> types);
/// The same for [count]; an empty tensor passes.
void check_vector(std::string_view kind, std::string_view role, const Tensor& vector, int64_t count,
                  std::initializer_list<IntType> types);
std::vector<int32_t> widened(const Tensor& codes);
/// codes[begin, begin + count) - zero_point.
std::vector<int32_t> centred_codes(const Tensor& codes, int64_t begin, int64_t count,
                                   int64_t zero_point);

}  // namespace facsim::sim::detail
