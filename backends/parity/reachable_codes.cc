// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <utility>

#include "backends/parity/all_codes-internal.h"
#include "backends/parity/op_sums-internal.h"
#include "backends/parity/ops_by_params-internal.h"
#include "backends/parity/same_results-internal.h"
#include "sim/core/error.h"
#include "sim/requantize/range.h"

namespace facsim::backends::detail {

namespace {

constexpr ProofBudget kLargestRun = int64_t{1} << 19;  // elements, to see what an op gives
constexpr int64_t kMostTaps = int64_t{1} << 16;

Codes hull(Codes a, Codes b) { return {std::min(a.min, b.min), std::max(a.max, b.max)}; }

// --- the end of a program ---

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

std::optional<Codes> codes_of_any_input(const sim::Requantizer& program) {
  return codes_of(program, program.program().input_is_real
                               ? sim::ValueRange::any_real()
                               : sim::ValueRange::integers(INT64_MIN, INT64_MAX));
}

const sim::Requantizer* last_program(const sim::Op& op) {
  if (const WeightedLayer layer = weighted_layer(op); layer.params != nullptr) {
    return &layer.params->requantize;
  }
  if (const auto* pool = dynamic_cast<const sim::AvgPool2d*>(&op)) {
    return &pool->params().requantize;
  }
  if (const auto* mean = dynamic_cast<const sim::Mean*>(&op)) return &mean->params().requantize;
  if (const auto* mul = dynamic_cast<const sim::Mul*>(&op)) return &mul->params().requantize;
  if (const auto* map = dynamic_cast<const sim::Map*>(&op)) return &map->params().requantize;
  if (const auto* add = dynamic_cast<const sim::Add*>(&op)) return &add->params().output;
  return nullptr;
}

// --- what is summed ---

/// A program that keeps the order gives its least and greatest results at the ends.
Codes results_between(const AppliedProgram& side, int64_t min, int64_t max) {
  sim::Events events;
  return {side.program->apply(side.argument(min), side.channel, events),
          side.program->apply(side.argument(max), side.channel, events)};
}

std::optional<CodeRanges> codes_of_layer(const WeightedLayer& layer, const InputKind& input) {
  const auto sums = layer_sums(layer, input, *input.codes);
  if (!sums || !sums->keeps_order()) return std::nullopt;
  std::vector<Codes> channels;
  for (const LayerSums::Channel& one : sums->channels) {
    const Codes results = results_between(one.program, one.min, one.max);
    const auto c = static_cast<size_t>(one.program.channel);
    if (c == channels.size()) {
      channels.push_back(results);
    } else {
      channels[c] = hull(channels[c], results);
    }
  }
  return CodeRanges(std::move(channels));
}

std::optional<CodeRanges> codes_of_taps(const TapSums& sums, const CodeRanges& codes) {
  if (sums.type.bits > 16 || sums.most > kMostTaps) return std::nullopt;
  std::vector<Codes> channels;
  for (int64_t c = 0; c < codes.channels(); ++c) {
    std::optional<Codes> own;
    for (int64_t taps = sums.fewest; taps <= sums.most; ++taps) {
      const AppliedProgram side = sums.of_taps(taps);
      const int64_t min = taps * codes.channel(c).min, max = taps * codes.channel(c).max;
      if (!keeps_order(*side.program, side.argument(min), side.argument(max))) return std::nullopt;
      const Codes results = results_between(side, min, max);
      own = own ? hull(*own, results) : results;
    }
    channels.push_back(*own);
  }
  return CodeRanges(std::move(channels));
}

// --- elementwise ops ---

std::optional<CodeRanges> codes_of_elements(const sim::Op& op,
                                            const std::vector<InputKind>& inputs) {
  ProofBudget budget = kLargestRun;
  const std::vector<Tensor> results = results_on_all_codes({&op}, inputs, budget);
  if (results.empty() || results[0].dtype() == DType::float32) return std::nullopt;
  Codes codes{std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()};
  for (int64_t i = 0; i < results[0].numel(); ++i) {
    const int64_t code = results[0].int_at(i);
    codes = hull(codes, {code, code});
  }
  return codes;
}

std::optional<CodeRanges> codes_by_inputs(const sim::Op& op, const std::vector<InputKind>& inputs) {
  const bool known =
      !inputs.empty() &&
      std::all_of(inputs.begin(), inputs.end(), [](const auto& i) { return i.codes.has_value(); });
  if (!known) return std::nullopt;
  if (const WeightedLayer layer = weighted_layer(op); layer.params != nullptr) {
    return codes_of_layer(layer, inputs[0]);
  }
  if (const TapSums sums = tap_sums(op, inputs[0].shape); sums.requantize != nullptr) {
    return codes_of_taps(sums, *inputs[0].codes);
  }
  return codes_of_elements(op, inputs);
}

}  // namespace

CodeRanges::CodeRanges(std::vector<Codes> channels) : channels_(std::move(channels)) {
  all_ = channels_.front();
  for (const Codes& channel : channels_) all_ = hull(all_, channel);
}

std::optional<CodeRanges> reachable_codes(const sim::Op& op, const std::vector<InputKind>& inputs) {
  try {
    if (auto codes = codes_by_inputs(op, inputs)) return codes;
  } catch (const Error&) {
    // A program that refuses a value that does not occur: its end says what it can give.
  }
  const sim::Requantizer* program = last_program(op);
  if (program == nullptr) return std::nullopt;
  const std::optional<Codes> codes = codes_of_any_input(*program);
  if (!codes) return std::nullopt;
  return CodeRanges(*codes);
}

}  // namespace facsim::backends::detail
