// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backends/profile/profile.h"
#include "backends/profile/profile_differences.h"

namespace facsim::backends {

/// One output that two profiles compute differently, as small as the search found it.
struct DifferingVector {
  /// What a side does with it.
  struct Side {
    std::optional<int64_t> accumulator;        ///< after the bias
    std::optional<int64_t> multiplier, shift;  ///< derived; shift counts right
    std::vector<std::string> steps;            ///< "shr 31 half_up -> 3", in order
    std::string output;
  };
  Side a, b;
  /// Of a bare requantization: real = accumulator * input_scale * weight_scale / output_scale.
  struct Scales {
    float input = 1, weight = 1, output = 1;
    int64_t zero_point = 0;
    std::string activation;  ///< fused, "none" otherwise
    sim::IntType type;
  };
  std::optional<Scales> scales;
  std::string layer;           ///< of a whole layer: "add: x int8[1] = [3] …"; else empty
  std::vector<int64_t> index;  ///< of the layer's output element
};

/// What was found about one op or variant of two profiles.
struct OpDifference {
  enum class Verdict {
    equal,          ///< proved: see `proof`
    separated,      ///< `smallest` differs
    not_separated,  ///< `compared` outputs were equal; no proof
    only_in_a,      ///< unsupported on B
    only_in_b,
    incomparable,  ///< nothing that both compute was found; see `reason`
  };
  std::string op;  ///< a key of Profile::ops
  Verdict verdict = Verdict::incomparable;
  std::string proof;   ///< how equality was proved
  std::string reason;  ///< why nothing was compared
  int64_t compared = 0, differing = 0;
  std::optional<DifferingVector> smallest;
};
std::string_view to_string(OpDifference::Verdict verdict);

struct ProfileDiffOptions {
  ProfileSearch search;
  ProfileChoice a, b;
  std::string op;  ///< phrase of either profile (Profile::choose); empty: every op and variant
  uint64_t seed = 1;
  std::function<void(int64_t done, int64_t total)> progress;  ///< may throw
};

/// Compares what two profiles compute, op by op.
///
/// Equal is only what is proved: an op's rules, after `extends`, defaults and lowering to a step
/// program, are the same values on both sides (named algorithms with the same parameters), rules
/// that no step and no algorithm reads left out. Everything else is searched: for ops with
/// accumulators the bare requantizer, exhaustively for |accumulator| <= 256 under a list of scales
/// that starts with 1/2, 1/4, … and goes on to more complicated ones, with the smallest
/// |accumulator| and then the first scale reported; then the ties, edges and overflows of both
/// programs; then small layers steered as `vectors gen` steers them, by both profiles' rules, of
/// which the one that differs is reduced (see reduce.h). What
/// stays equal is called not_separated with the number of outputs compared, never equal. Outputs
/// that a side refuses are not counted. Errors of load_profile; unsupported for an op that neither
/// has.
std::vector<OpDifference> numeric_differences(const ProfileDiffOptions& options);

}  // namespace facsim::backends
