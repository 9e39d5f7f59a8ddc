// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/vitis_activation.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/wide.h"
#include "sim/overflow/overflow.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {
namespace {

/// v * 2^-position in units of 2^-output_position, half_up, saturated.
int64_t to_output_unit(int128 v, int position, int output_position, IntType output) {
  const int shift = position - output_position;
  const int128 rounded = shift > 0 ? round_shift(Rounding::half_up, v, shift) : v << -shift;
  bool changed = false;
  return static_cast<int64_t>(bring_into(Overflow::saturate, rounded, output, changed));
}

/// floor(code * 2^(entry_position - input_position)).
int64_t table_index(int64_t code, int input_position, int entry_position) {
  const int shift = input_position - entry_position;
  if (shift <= 0) return code << -shift;
  return static_cast<int64_t>(round_shift(Rounding::floor, code, shift));
}

constexpr int64_t kHalfTable = 1024;
constexpr int64_t kTableOne = 32768;

/// The table's value in 1 / 32768 for the function's range, and its ends.
int64_t looked_up(int64_t index, int64_t below, int64_t (*entry)(int64_t)) {
  if (index >= kHalfTable) return kTableOne - 1;
  if (index < -kHalfTable) return below;
  return entry(kHalfTable + index);
}

}  // namespace

int64_t vitis_sigmoid_entry(int64_t i) {
  const double x = static_cast<double>(i - kHalfTable) / 128;
  return static_cast<int64_t>(round_real(Rounding::half_away_from_zero,
                                         static_cast<double>(kTableOne) / (1 + std::exp(-x))));
}

int64_t vitis_tanh_entry(int64_t i) {
  const double x = static_cast<double>(i - kHalfTable) / 256;
  return static_cast<int64_t>(
      round_real(Rounding::half_away_from_zero, static_cast<double>(kTableOne) * std::tanh(x)));
}

int64_t VitisActivation::operator()(int64_t code) const {
  FACSIM_CHECK(input_position >= -16 && input_position <= 31);
  FACSIM_CHECK(output_position >= -16 && output_position <= 31);
  switch (function) {
    case Function::leaky_relu: {
      const bool negative = code < 0;
      return to_output_unit(negative ? code * 26 : code, input_position + (negative ? 8 : 0),
                            output_position, output);
    }
    case Function::sigmoid:
      return to_output_unit(looked_up(table_index(code, input_position, 7), 0, vitis_sigmoid_entry),
                            15, output_position, output);
    case Function::tanh:
      return to_output_unit(
          looked_up(table_index(code, input_position, 8), -kTableOne, vitis_tanh_entry), 15,
          output_position, output);
    case Function::hard_swish: {
      const int position = std::max(input_position, 0);
      const int64_t x = code << (position - input_position);
      const int64_t one = int64_t{1} << position;
      const int64_t relu6 = std::clamp<int64_t>(x + 3 * one, 0, 6 * one);
      const int64_t gate =
          to_output_unit(static_cast<int128>(relu6) * 2731, position + 14, 7, kInt8);
      return to_output_unit(static_cast<int128>(x) * gate, position + 7, output_position, output);
    }
  }
  FACSIM_CHECK(false);
  return 0;
}

}  // namespace facsim::sim
