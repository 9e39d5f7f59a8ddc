// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backends/profile/profile.h"
#include "sim/requantize/requantizer.h"

namespace facsim::backends {

/// Arguments of a bare requantizer, each of length 1 or one entry per row: what `facsim requantize`
/// reads from files. Either `multiplier` with `shift` (whole right shift, real = multiplier *
/// 2^-shift), or `scale` (the real multiplier, from which the profile derives what its program
/// needs), or the three scales.
struct GivenArguments {
  std::vector<int64_t> multiplier, shift;
  std::vector<float> scale;
  /// Instead of these: the scales themselves, so that the real multiplier is the profile's too.
  std::vector<float> input_scale, weight_scale, output_scale;
  std::vector<int64_t> zero_point{0};
  /// An `offset` that the program names and nothing gives is derived from each row's zero point, as
  /// a layer's is; otherwise it is 0.
  bool folds_zero_points = false;
  std::vector<int64_t> clamp_min, clamp_max;  ///< empty: the range of `output`
  /// Further arguments by the names of the profile's steps; they win over all others. An integer
  /// `bias` that no step names is added to the accumulator first, within its width.
  std::map<std::string, std::vector<int64_t>> integers;
  std::map<std::string, std::vector<float>> reals;
  sim::IntType output{8, true};
};

/// Error unsupported for an op whose outputs are no accumulators put through its requantize: it
/// moves or compares codes, or a named algorithm of the profile computes it; says what it does.
void require_requantized(const Profile& profile, const Profile::Choice& choice);

/// The program of `rules` with these arguments; row r is channel r. Error bad_value (also a
/// clamp_min above its clamp_max), unsupported (an argument that the program needs and nothing
/// gives, a shift outside the profile's domain).
sim::Requantizer make_requantizer(const OpRules& rules, const GivenArguments& given);

}  // namespace facsim::backends
