// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/interpolated_table.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {
namespace {

constexpr int kTableFractionBits = 7;

struct TableInterval {
  int64_t base, slope, fraction;
};

TableInterval interval_of(std::span<const int64_t> entries, int64_t code) {
  FACSIM_CHECK(static_cast<int64_t>(entries.size()) == kInterpolatedEntries);
  const int64_t position = code - INT16_MIN;
  const auto index = static_cast<size_t>(position >> kTableFractionBits);
  return {entries[index], entries[index + 1] - entries[index],
          position & ((1 << kTableFractionBits) - 1)};
}

double away(double v) { return round_real(Rounding::half_away_from_zero, v); }

int64_t cut_to_int16(double v) {
  return static_cast<int64_t>(std::clamp<double>(v, INT16_MIN, INT16_MAX));
}

}  // namespace

int64_t tosa_table_lookup(std::span<const int64_t> entries, int64_t code) {
  const TableInterval at = interval_of(entries, code);
  return at.base * (1 << kTableFractionBits) + at.slope * at.fraction;
}

int64_t ethos_u_table_lookup(std::span<const int64_t> entries, int64_t code) {
  const TableInterval at = interval_of(entries, code);
  return at.base + static_cast<int64_t>(
                       round_shift(Rounding::half_up, at.slope * at.fraction, kTableFractionBits));
}

std::vector<int64_t> ethos_u_table_entries(const std::function<double(double)>& f, RealRange input,
                                           RealRange output) {
  constexpr int kSteps = 512;
  const double step = (input.max - input.min) / kSteps;
  const double codes_per_unit = 65536 / (output.max - output.min);
  std::vector<int64_t> entries;
  for (int i = 0; i < kSteps; ++i) {
    const double x = input.min + i * step;
    const double sample = away(f(x) * codes_per_unit);
    const double next = f(input.min + (i + 1) * step) * codes_per_unit;
    const double interpolated = away((next + sample) / 2);
    const double middle = away(f(x + step / 2) * codes_per_unit);
    entries.push_back(cut_to_int16(sample - away((interpolated - middle) / 2)));
  }
  entries.push_back(cut_to_int16(away(f(input.max) * codes_per_unit)));
  return entries;
}

}  // namespace facsim::sim
