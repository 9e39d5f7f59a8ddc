// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/core/types.h"

namespace facsim::sim {

/// Tables of 513 int16 entries over int16 codes: entry (code + 32768) >> 7, interpolated by the low
/// 7 bits of the code. The last entry only closes the last interval.
inline constexpr int64_t kInterpolatedEntries = 513;

/// TOSA TABLE, int32: base * 128 + (next - base) * fraction.
/// Source: TOSA specification, TABLE; reference model TOSA TABLE int16.
int64_t tosa_table_lookup(std::span<const int64_t> entries, int64_t code);

/// Ethos-U, int16: base + ((next - base) * fraction + 64) >> 7.
/// Source: Vela lut.py (512 entries of base and slope); TFLite common.h generic_int16_table_lookup.
int64_t ethos_u_table_lookup(std::span<const int64_t> entries, int64_t code);

/// The 513 entries of a real function between input_min and input_max, real values of the codes
/// -32768 and 32767, for outputs of 32768 codes' scale: with s = 65536 / (output_max - output_min)
/// and h = (input_max - input_min) / 512, entry i is round(f(i h) s) less half of the error that
/// interpolation makes in the middle of the interval, each rounded half_away_from_zero and cut to
/// int16.
/// Source: Vela lut.py create_lut_16bit; TFLite LUTPopulate int16.
struct RealRange {
  double min, max;
};
std::vector<int64_t> ethos_u_table_entries(const std::function<double(double)>& f, RealRange input,
                                           RealRange output);

}  // namespace facsim::sim
