// SPDX-License-Identifier: Apache-2.0
// Rows that may tell settings apart: accumulators at ties, edges and overflows of their programs.
#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "backends/parity/identify-internal.h"
#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

/// Parameters of rows like those recorded, and of others that the same form can express.
class RowParameters {
 public:
  RowParameters(const IdentifyRows& recorded, bool keeps, VectorDice& dice)
      : recorded_(recorded), keeps_(keeps), dice_(dice) {
    const auto [low, high] = std::minmax_element(recorded.shift.begin(), recorded.shift.end());
    if (!recorded.shift.empty()) {
      lowest_shift_ = *low - 2;
      highest_shift_ = *high + 2;
    }
    for (const int64_t m : recorded.multiplier) {
      const auto held = static_cast<uint32_t>(std::clamp<int64_t>(m, 0, INT32_MAX));
      multiplier_width_ = std::max(multiplier_width_, static_cast<int>(std::bit_width(held)));
    }
  }

  /// One row with accumulator 0.
  IdentifyRows draw() {
    const auto like =
        static_cast<size_t>(dice_.between(0, static_cast<int64_t>(recorded_.size()) - 1));
    const size_t at[] = {like};
    IdentifyRows row = rows_at(recorded_, at);
    row.acc = {0};
    row.out.clear();
    if (keeps_) return row;
    if (!dice_.one_in(4)) draw_real_multiplier(row);
    draw_codes(row);
    return row;
  }

 private:
  /// A real multiplier: often one with exact ties, now and then so small that accumulators are
  /// large, or above 1.
  float draw_real() {
    switch (dice_.between(0, 9)) {
      case 0:
      case 1:
      case 2:
        return std::ldexp(static_cast<float>(dice_.pick({1, 3, 5, 7, 9})),
                          static_cast<int>(dice_.between(-12, -2)));
      case 3:
        return std::ldexp(1.0f, static_cast<int>(dice_.between(-12, 0)));
      case 4:
      case 5:
        return dice_.magnitude(-26, -15);
      case 6:
        return dice_.magnitude(-1, 6);
      default:
        return dice_.magnitude(-14, -1);
    }
  }

  void draw_real_multiplier(IdentifyRows& row) {
    const float real = draw_real();
    if (!row.scale.empty()) row.scale = {real};
    if (!row.input_scale.empty()) draw_scales(row, real);
    if (!row.multiplier.empty()) draw_multiplier(row, real);
  }

  /// Three scales whose product over the last is about `real`: exactly, where it has few bits.
  void draw_scales(IdentifyRows& row, float real) {
    if (dice_.one_in(3)) {
      row.input_scale = {std::ldexp(1.0f, static_cast<int>(dice_.between(-8, 0)))};
      row.weight_scale = {std::ldexp(1.0f, static_cast<int>(dice_.between(-8, 0)))};
    } else {
      row.input_scale = {dice_.magnitude(-10, -1)};
      row.weight_scale = {dice_.magnitude(-12, -3)};
    }
    row.output_scale = {row.input_scale.front() * row.weight_scale.front() / real};
  }

  void draw_multiplier(IdentifyRows& row, float real) {
    const int width = std::max(multiplier_width_, 1);
    const int64_t top = int64_t{1} << (width - 1);
    int64_t multiplier = dice_.between(top, 2 * top - 1);
    if (width >= 4 && dice_.one_in(2)) {
      multiplier = dice_.pick({top, top + top / 2, top + top / 4, 2 * top - 1});
    }
    const int whole = static_cast<int>(
        std::lround(std::log2(static_cast<double>(multiplier) / static_cast<double>(real))));
    const int64_t shift = recorded_.shift_is_left ? 31 - whole : whole;
    row.multiplier = {multiplier};
    row.shift = {std::clamp(shift, lowest_shift_, highest_shift_)};
  }

  void draw_codes(IdentifyRows& row) {
    const sim::IntType type = row.output;
    if (!row.zero_point.empty()) {
      const int64_t zero = std::clamp<int64_t>(0, type.min(), type.max());
      const int64_t narrow_low = std::max<int64_t>(type.min(), -32768);
      const int64_t narrow_high = std::min<int64_t>(type.max(), 65535);
      row.zero_point = {dice_.pick({row.zero_point.front(), row.zero_point.front(), zero,
                                    dice_.between(narrow_low, narrow_high)})};
    }
    const bool whole_range = !dice_.one_in(6);
    if (!row.clamp_min.empty() && whole_range) row.clamp_min = {type.min()};
    if (!row.clamp_max.empty() && whole_range) row.clamp_max = {type.max()};
  }

  const IdentifyRows& recorded_;
  bool keeps_;
  VectorDice& dice_;
  int64_t lowest_shift_ = 0, highest_shift_ = 62;
  int multiplier_width_ = 0;
};

VectorStrategy draw_strategy(VectorDice& dice) {
  switch (dice.between(0, 5)) {
    case 0:
      return VectorStrategy::edges;
    case 1:
      return VectorStrategy::overflow;
    default:
      return VectorStrategy::ties;
  }
}

/// The given limits; without, accumulators that a platform of 32 bits has, or, where some recorded
/// are wider, of 40.
std::pair<int64_t, int64_t> accumulator_range(const IdentifyRows& recorded,
                                              const IdentifyLimits& limits) {
  if (limits.acc) return *limits.acc;
  const auto [low, high] = std::minmax_element(recorded.acc.begin(), recorded.acc.end());
  if (*low >= INT32_MIN && *high <= INT32_MAX) return {INT32_MIN, INT32_MAX};
  return {-(int64_t{1} << 40), int64_t{1} << 40};
}

}  // namespace

IdentifyRows directed_rows(const IdentifyRows& recorded, std::span<const IdentifyRule* const> rules,
                           const IdentifyLimits& limits, size_t count, VectorDice& dice) {
  constexpr size_t kPerProgram = 40;
  constexpr int kPrograms = 3;
  const auto [low, high] = accumulator_range(recorded, limits);
  RowParameters parameters(recorded, limits.keeps_parameters, dice);
  IdentifyRows rows = rows_at(recorded, {});
  for (size_t tries = 0; rows.size() < count && tries < count; ++tries) {
    IdentifyRows row = parameters.draw();
    for (int i = 0; i < kPrograms; ++i) {
      const IdentifyRule& rule =
          *rules[static_cast<size_t>(dice.between(0, static_cast<int64_t>(rules.size()) - 1))];
      std::vector<int64_t> steered;
      try {
        const sim::Requantizer program = row_requantizer(rule.rules, row);
        steered = steered_accumulators(program, 0, draw_strategy(dice), low, high, dice);
      } catch (const Error&) {
        continue;  // the rule refuses these parameters
      }
      for (size_t k = 0; k < std::min(kPerProgram, steered.size()); ++k) {
        row.acc = {steered[steered.size() <= kPerProgram
                               ? k
                               : static_cast<size_t>(
                                     dice.between(0, static_cast<int64_t>(steered.size()) - 1))]};
        append_rows(rows, row);
      }
    }
  }
  return rows;
}

std::optional<IdentifyRows> every_row(const IdentifyRows& recorded, const IdentifyLimits& limits,
                                      size_t most) {
  if (!limits.acc || !limits.keeps_parameters) return std::nullopt;
  const auto [low, high] = *limits.acc;
  const std::vector<size_t> distinct = distinct_parameters(recorded);
  const auto beyond_first = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  if (beyond_first >= most / distinct.size()) return std::nullopt;
  std::vector<size_t> at;
  std::vector<int64_t> acc;
  for (const size_t row : distinct) {
    for (int64_t value = low;; ++value) {
      at.push_back(row);
      acc.push_back(value);
      if (value == high) break;
    }
  }
  IdentifyRows rows = rows_at(recorded, at);
  rows.acc = std::move(acc);
  rows.out.clear();
  return rows;
}

}  // namespace facsim::backends::detail
