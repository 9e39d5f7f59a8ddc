// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace facsim::sim {

/// NVDLA's lookup table unit behind the SDP's Y stage: a coarse table LE of 65 entries, indexed
/// exponentially or linearly, and a fine table LO of 257 entries, indexed linearly.
///
/// Index of x in a table, with d = x - start (x <= start underflows, d counts as 0):
///   linear: i = d >> select, saturated to 511; fraction = the bits cut off
///   exponential: i = floor(log2 d) - index_offset (negative: underflows); fraction = d / 2^floor(
///   log2 d) - 1
/// i >= entries - 1 overflows and stands for the last entry. A table without under- or overflow is
/// hit. Which table counts: where both underflow `underflow`, where both overflow `overflow`, where
/// both hit or miss in different ways `hybrid`, else the one that is hit.
///
/// Value between entries: (y[i] * (1 - f) + y[i+1] * f), f of 35 bits; beyond an end, of which
/// `slope` continues: y_end + (x - end) * scale / 2^shift; each rounded half_away_from_zero and
/// saturated to 32 bits. The lower end of an exponential table is start + 2^index_offset (start, if
/// that offset is negative), since its first entry lies there; upper ends are given.
/// Error bad_value for a select outside 0..35 or an index offset outside -64..62.
/// No profile uses it yet.
/// Sources: NVDLA vmod NV_NVDLA_SDP_HLS_lut_expn.v, _lut_line.v, _Y_int_idx.v; cmod sdp_y_inp.cpp.
struct NvdlaLut {
  enum class Table { le, lo };
  struct Slope {
    int64_t scale = 0;  ///< int16
    int shift = 0;      ///< -16..15, negative: to the left
  };
  struct Axis {
    int64_t start = 0, end = 0;  ///< int32
    Slope underflow, overflow;
  };
  bool le_exponential = true;
  int le_index_offset = 0;  ///< int8, -64..62
  int le_index_select = 0;  ///< linear LE: 0..31
  int lo_index_select = 0;  ///< 0..31
  Axis le_axis, lo_axis;
  Table underflow = Table::le, overflow = Table::le, hybrid = Table::le;  ///< priorities
  std::array<int64_t, 65> le{};                                           ///< int16
  std::array<int64_t, 257> lo{};                                          ///< int16

  /// The value for x, both int32.
  int64_t operator()(int64_t x) const;
};

}  // namespace facsim::sim
