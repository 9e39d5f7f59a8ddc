// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/parity/ops_by_params-internal.h"
#include "backends/parity/same_results-internal.h"
#include "sim/requantize/range.h"

namespace facsim::backends::detail {

namespace {

std::optional<Codes> codes_of(const sim::Requantizer& program, sim::ValueRange input) {
  if (program.output_is_real() || program.bound_steps().empty()) return std::nullopt;
  const sim::ValueRange last =
      sim::infer_ranges(program.bound_steps(), program.channels(), input).back();
  if (!last.bounded || last.is_real) return std::nullopt;
  const sim::IntType type = program.output_type();
  const Codes codes{std::max<int64_t>(type.min(), static_cast<int64_t>(std::clamp<sim::int128>(
                                                      last.min, INT64_MIN, INT64_MAX))),
                    std::min<int64_t>(type.max(), static_cast<int64_t>(std::clamp<sim::int128>(
                                                      last.max, INT64_MIN, INT64_MAX)))};
  if (codes.min > codes.max) return std::nullopt;
  return codes;
}

sim::ValueRange any_integer() { return sim::ValueRange::integers(INT64_MIN, INT64_MAX); }

}  // namespace

std::optional<Codes> reachable_codes(const sim::Op& op) {
  if (const auto* conv = dynamic_cast<const sim::Conv2d*>(&op)) {
    return codes_of(conv->params().requantize, any_integer());
  }
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) {
    return codes_of(linear->conv().params().requantize, any_integer());
  }
  if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
    return codes_of(transposed->params().layer.requantize, any_integer());
  }
  if (const auto* pool = dynamic_cast<const sim::AvgPool2d*>(&op)) {
    return codes_of(pool->params().requantize, any_integer());
  }
  if (const auto* mean = dynamic_cast<const sim::Mean*>(&op)) {
    return codes_of(mean->params().requantize, any_integer());
  }
  if (const auto* mul = dynamic_cast<const sim::Mul*>(&op)) {
    return codes_of(mul->params().requantize, any_integer());
  }
  if (const auto* map = dynamic_cast<const sim::Map*>(&op)) {
    const sim::Requantizer& program = map->params().requantize;
    return codes_of(program,
                    program.program().input_is_real ? sim::ValueRange::any_real() : any_integer());
  }
  if (const auto* add = dynamic_cast<const sim::Add*>(&op)) {
    const sim::Requantizer& program = add->params().output;
    return codes_of(program,
                    program.program().input_is_real ? sim::ValueRange::any_real() : any_integer());
  }
  return std::nullopt;
}

}  // namespace facsim::backends::detail
