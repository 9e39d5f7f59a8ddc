// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

using sim::int128;
using sim::StepKind;

/// v = slope * acc + offset, as long as no step rounds, clamps or leaves its width.
struct Affine {
  int128 slope = 1, offset = 0;
  bool everywhere = true;  ///< for all accumulators in the range that was asked for
};

/// The affine form before step `index` of accumulators in [low, high]; nothing if a step before is
/// of another kind.
std::optional<Affine> affine_before(const sim::Requantizer& requantize, size_t index,
                                    int64_t channel, int64_t low, int64_t high) {
  constexpr int128 kLimit = int128{1} << 62;  // times a 64-bit accumulator: below 2^126
  Affine v;
  for (size_t i = 0; i < index; ++i) {
    const sim::BoundStep& step = requantize.bound_steps()[i];
    const int64_t a = step.a.values().empty() ? 0 : step.a[channel];
    switch (step.kind) {
      case StepKind::shl:
        v.slope *= int128{1} << a;
        v.offset *= int128{1} << a;
        break;
      case StepKind::mul:
        v.slope *= a;
        v.offset *= a;
        break;
      case StepKind::add:
        v.offset += a;
        break;
      case StepKind::sub:
        v.offset -= a;
        break;
      case StepKind::resize:  // the identity inside its range
        for (const int64_t end : {low, high}) {
          const int128 value = v.slope * end + v.offset;
          v.everywhere &= value >= step.type.min() && value <= step.type.max();
        }
        break;
      default:
        return std::nullopt;
    }
    if (v.slope > kLimit || v.slope < -kLimit || v.offset > kLimit || v.offset < -kLimit) {
      return std::nullopt;
    }
  }
  return v;
}

/// The output, or nothing where the program is undefined.
std::optional<int64_t> output_of(const sim::Requantizer& requantize, int64_t acc, int64_t channel) {
  try {
    sim::Events events;
    return requantize.apply(acc, channel, events);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// Collects accumulators inside their range.
class Candidates {
 public:
  Candidates(int64_t low, int64_t high) : low_(low), high_(high) {}
  void add(int128 acc) {
    if (acc >= low_ && acc <= high_) values_.push_back(static_cast<int64_t>(acc));
  }
  void add_around(int128 acc) {
    for (const int d : {-1, 0, 1}) add(acc + d);
  }
  std::vector<int64_t> sorted() {
    std::sort(values_.begin(), values_.end());
    values_.erase(std::unique(values_.begin(), values_.end()), values_.end());
    return std::move(values_);
  }

 private:
  int64_t low_, high_;
  std::vector<int64_t> values_;
};

/// The program around zero, where it is a growing step function of the accumulator.
class Staircase {
 public:
  Staircase(const sim::Requantizer& requantize, int64_t channel, int64_t low, int64_t high)
      : requantize_(requantize), channel_(channel) {
    const std::optional<int64_t> origin = output_of(requantize, 0, channel);
    if (!origin) return;
    zero_ = *origin;
    high_ = reach(1, high);
    low_ = reach(-1, low);
    defined_ = true;
  }

  bool defined() const { return defined_; }
  int64_t lowest() const { return at(low_); }
  int64_t highest() const { return at(high_); }

  /// The smallest accumulator whose output is at least `code`, for lowest() < code <= highest().
  int64_t threshold(int64_t code) const {
    int64_t below = low_, from = high_;
    while (from - below > 1) {
      const int64_t middle = below + (from - below) / 2;
      (at(middle) >= code ? from : below) = middle;
    }
    return from;
  }

 private:
  int64_t at(int64_t acc) const { return output_of(requantize_, acc, channel_).value_or(zero_); }

  /// Doubles the distance from zero while the output moves on, at most to `end`.
  int64_t reach(int sign, int64_t end) const {
    int64_t acc = 0;
    int64_t last = zero_;
    for (int bit = 0; bit < 62; ++bit) {
      const int64_t next = sign * (int64_t{1} << bit);
      if (sign > 0 ? next > end : next < end) break;
      const std::optional<int64_t> output = output_of(requantize_, next, channel_);
      if (!output || (sign > 0 ? *output < last : *output > last)) break;
      acc = next;
      last = *output;
    }
    return acc;
  }

  const sim::Requantizer& requantize_;
  int64_t channel_;
  int64_t zero_ = 0, low_ = 0, high_ = 0;
  bool defined_ = false;
};

/// Inverse of an odd number modulo 2^64, by Newton's iteration.
uint64_t inverse_of_odd(uint64_t odd) {
  uint64_t inverse = odd;
  for (int i = 0; i < 6; ++i) inverse *= 2 - odd * inverse;
  return inverse;
}

int128 floor_division(int128 a, int128 b) {
  const int128 q = a / b;
  return q - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0);
}

void add_ties(Candidates& out, const sim::Requantizer& requantize, int64_t channel, int64_t low,
              int64_t high, VectorDice& dice) {
  const Staircase stairs(requantize, channel, low, high);
  if (!stairs.defined() || stairs.lowest() >= stairs.highest()) return;
  constexpr int kThresholds = 12;
  for (int i = 0; i < kThresholds; ++i) {
    const int64_t at = stairs.threshold(dice.between(stairs.lowest() + 1, stairs.highest()));
    out.add_around(at);
    out.add(int128{at} - 2);
    bool decided = false;
    if (const auto tie = first_tie(requantize, channel, at, low, high, decided)) {
      out.add_around(*tie);
    }
  }
}

void add_edges(Candidates& out, const sim::Requantizer& requantize, int64_t channel, int64_t low,
               int64_t high) {
  out.add_around(0);
  out.add(low);
  out.add(high);
  const Staircase stairs(requantize, channel, low, high);
  if (!stairs.defined() || stairs.lowest() >= stairs.highest()) return;
  out.add_around(stairs.threshold(stairs.lowest() + 1));
  out.add_around(stairs.threshold(stairs.highest()));
  const int64_t last = stairs.threshold(stairs.highest());
  const int64_t first = stairs.threshold(stairs.lowest() + 1);
  out.add(int128{last} * 2);  // well beyond the clamp
  out.add(int128{first} * 2);
}

void add_overflows(Candidates& out, const sim::Requantizer& requantize, int64_t channel,
                   int64_t low, int64_t high) {
  out.add(low);
  out.add(high);
  out.add(int128{low} + 1);
  for (size_t i = 0; i < requantize.bound_steps().size(); ++i) {
    const sim::BoundStep& step = requantize.bound_steps()[i];
    if (step.kind != StepKind::resize) continue;
    const std::optional<Affine> v = affine_before(requantize, i, channel, low, high);
    if (!v || v->slope == 0) continue;
    for (const int64_t bound : {step.type.min(), step.type.max()}) {
      out.add_around(floor_division(int128{bound} - v->offset, v->slope));
      out.add_around(floor_division(int128{bound} - v->offset, v->slope) + 2);
    }
  }
}

}  // namespace

std::optional<int64_t> first_tie(const sim::Requantizer& requantize, int64_t channel, int64_t near,
                                 int64_t low, int64_t high, bool& decided) {
  decided = false;
  const auto& steps = requantize.bound_steps();
  size_t index = 0;
  while (index < steps.size() &&
         (steps[index].kind != StepKind::shr || steps[index].a[channel] == 0)) {
    ++index;
  }
  if (index == steps.size()) return std::nullopt;
  const std::optional<Affine> v = affine_before(requantize, index, channel, low, high);
  if (!v || v->slope <= 0) return std::nullopt;
  decided = v->everywhere;
  const int64_t shift = steps[index].a[channel];
  const int128 modulus = int128{1} << shift;
  const int128 half = modulus / 2;
  // slope * acc = half - offset (mod 2^shift)
  const int128 wanted = ((half - v->offset) % modulus + modulus) % modulus;
  const int128 slope = v->slope % modulus;
  if (slope == 0) return std::nullopt;
  int zeros = 0;
  while (((slope >> zeros) & 1) == 0) ++zeros;
  if ((wanted & ((int128{1} << zeros) - 1)) != 0) return std::nullopt;
  const int128 period = modulus >> zeros;
  const auto inverse = static_cast<int128>(inverse_of_odd(static_cast<uint64_t>(slope >> zeros)));
  const auto product = static_cast<uint64_t>(wanted >> zeros) * static_cast<uint64_t>(inverse);
  const int128 residue = static_cast<int128>(product) & (period - 1);
  const int128 below = floor_division(int128{near} - residue, period) * period + residue;
  for (const int128 acc : {below, below + period}) {
    if (acc >= low && acc <= high) return static_cast<int64_t>(acc);
  }
  return std::nullopt;
}

std::vector<int64_t> steered_accumulators(const sim::Requantizer& requantize, int64_t channel,
                                          VectorStrategy strategy, int64_t low, int64_t high,
                                          VectorDice& dice) {
  Candidates out(low, high);
  switch (strategy) {
    case VectorStrategy::ties:
      add_ties(out, requantize, channel, low, high, dice);
      break;
    case VectorStrategy::edges:
      add_edges(out, requantize, channel, low, high);
      break;
    case VectorStrategy::overflow:
      add_overflows(out, requantize, channel, low, high);
      break;
    case VectorStrategy::exhaustive8:
    case VectorStrategy::random:
      for (int i = 0; i < 16; ++i) {
        const auto limit = static_cast<int64_t>(dice.magnitude(4, 30));
        out.add(dice.between(-limit, limit));
      }
      break;
  }
  return out.sorted();
}

}  // namespace facsim::backends::detail
