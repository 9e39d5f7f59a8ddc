// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/nvdla_lut.h"

#include <algorithm>
#include <bit>
#include <span>

#include <fmt/format.h>

#include "sim/core/check.h"
#include "sim/core/error.h"
#include "sim/core/types.h"
#include "sim/core/wide.h"
#include "sim/overflow/overflow.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {
namespace {

constexpr int kLutFractionBits = 35;

/// Where x lies in one table.
struct LutPlace {
  int64_t index = 0;
  int64_t fraction = 0;  ///< in 2^-35
  bool underflow = false, overflow = false;

  bool hit() const { return !underflow && !overflow; }
};

LutPlace limited(LutPlace place, int64_t entries) {
  place.overflow = place.index >= entries - 1;
  if (place.overflow) place.index = entries - 1;
  return place;
}

LutPlace linear_place(int64_t x, int64_t start, int select, int64_t entries) {
  LutPlace place;
  place.underflow = x <= start;
  const int64_t distance = place.underflow ? 0 : x - start;
  place.index = std::min<int64_t>(distance >> select, 511);
  place.fraction = (distance & ((int64_t{1} << select) - 1)) << (kLutFractionBits - select);
  return limited(place, entries);
}

LutPlace exponential_place(int64_t x, int64_t start, int offset, int64_t entries) {
  LutPlace place;
  const int64_t distance = std::max<int64_t>(x - start, 0);
  const int log2 = distance == 0 ? 0 : std::bit_width(static_cast<uint64_t>(distance)) - 1;
  place.underflow = x <= start || log2 < offset;
  place.index = place.underflow ? 0 : log2 - offset;
  place.fraction = (distance & ((int64_t{1} << log2) - 1)) << (kLutFractionBits - log2);
  return limited(place, entries);
}

int64_t to_int32(int128 v) {
  bool changed = false;
  return static_cast<int64_t>(bring_into(Overflow::saturate, v, kInt32, changed));
}

int64_t continued(int64_t end_value, int64_t distance, const NvdlaLut::Slope& slope) {
  const int128 product = int128{distance} * slope.scale;
  const int128 shifted = slope.shift < 0
                             ? product << -slope.shift
                             : round_shift(Rounding::half_away_from_zero, product, slope.shift);
  return to_int32(int128{end_value} + to_int32(shifted));
}

void check_lut_index(const char* field, int value, int lowest, int highest) {
  if (value >= lowest && value <= highest) return;
  throw Error({ErrorCode::bad_value, fmt::format("nvdla_lut {}", field), fmt::format("{}", value),
               fmt::format("{}..{}", lowest, highest), ""});
}

}  // namespace

int64_t NvdlaLut::operator()(int64_t x) const {
  // The bits that a distance of int32 values has: no shift below is negative.
  FACSIM_CHECK(kInt32.min() <= x && x <= kInt32.max());
  for (const Axis* axis : {&le_axis, &lo_axis}) {
    FACSIM_CHECK(kInt32.min() <= axis->start && axis->start <= kInt32.max());
  }
  check_lut_index("le_index_offset", le_index_offset, -64, 62);
  check_lut_index("le_index_select", le_index_select, 0, kLutFractionBits);
  check_lut_index("lo_index_select", lo_index_select, 0, kLutFractionBits);
  const LutPlace in_le = le_exponential
                             ? exponential_place(x, le_axis.start, le_index_offset, std::ssize(le))
                             : linear_place(x, le_axis.start, le_index_select, std::ssize(le));
  const LutPlace in_lo = linear_place(x, lo_axis.start, lo_index_select, std::ssize(lo));
  Table table = hybrid;
  if (in_le.underflow && in_lo.underflow) {
    table = underflow;
  } else if (in_le.overflow && in_lo.overflow) {
    table = overflow;
  } else if (in_le.hit() != in_lo.hit()) {
    table = in_le.hit() ? Table::le : Table::lo;
  }
  const bool coarse = table == Table::le;
  const LutPlace& place = coarse ? in_le : in_lo;
  const Axis& axis = coarse ? le_axis : lo_axis;
  const std::span<const int64_t> y = coarse ? std::span<const int64_t>(le) : lo;
  if (place.underflow) {
    const bool shifted_start = coarse && le_exponential && le_index_offset >= 0;
    const int64_t end = axis.start + (shifted_start ? int64_t{1} << le_index_offset : 0);
    return continued(y.front(), x - end, axis.underflow);
  }
  if (place.overflow) return continued(y.back(), x - axis.end, axis.overflow);
  const auto index = static_cast<size_t>(place.index);
  const int64_t one = int64_t{1} << kLutFractionBits;
  const int128 sum =
      int128{y[index]} * (one - place.fraction) + int128{y[index + 1]} * place.fraction;
  return to_int32(round_shift(Rounding::half_away_from_zero, sum, kLutFractionBits));
}

}  // namespace facsim::sim
