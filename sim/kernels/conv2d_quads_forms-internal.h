// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace facsim::sim {

/// Pixels in each of up to four groups that one call of the quads kernel computes: 0 ends the list.
using QuadsForm = std::array<int8_t, 4>;

/// The forms that are compiled. Whole rows of 14 pixels, what rows leave over, and two or more
/// short rows at once; with the one-group forms at the end, every sequence of groups can be cut.
inline constexpr QuadsForm kQuadsForms[] = {
    {4, 4, 4, 2}, {4, 4, 4, 1}, {4, 3, 4, 3}, {4, 2, 4, 2}, {4, 1, 4, 1}, {3, 3, 3, 3},
    {2, 2, 2, 2}, {1, 1, 1, 1}, {4, 4, 4, 0}, {4, 4, 3, 0}, {4, 4, 2, 0}, {4, 4, 1, 0},
    {3, 3, 0, 0}, {4, 4, 0, 0}, {4, 3, 0, 0}, {4, 2, 0, 0}, {4, 1, 0, 0}, {4, 0, 0, 0},
    {3, 0, 0, 0}, {2, 0, 0, 0}, {1, 0, 0, 0}};
inline constexpr int kQuadsFormCount = static_cast<int>(sizeof kQuadsForms / sizeof kQuadsForms[0]);

}  // namespace facsim::sim
