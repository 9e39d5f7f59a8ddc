// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/io/npy.h"
#include "backends/profile/profile.h"

namespace facsim::backends {

/// How the values of a case are chosen.
enum class VectorStrategy {
  ties,         ///< accumulators on, and one beside, the middle between two output codes
  edges,        ///< clamps, saturation, sign changes, zero points and codes at their ends
  overflow,     ///< accumulators that leave the width of a left shift, a product or a sum
  exhaustive8,  ///< all codes, or all pairs of codes, of ops of one or two 8-bit operands
  random,
};
std::string_view to_string(VectorStrategy strategy);
/// Error bad_value for an unknown word.
VectorStrategy vector_strategy_from_string(std::string_view word);

/// What can happen at one step of a requantization program.
enum class Branch {
  tie_positive,  ///< exactly half a unit, value > 0
  tie_negative,
  above_half,  ///< more than half a unit above the floor
  below_half,  ///< less, but not zero
  exact,       ///< nothing to round
  inside,      ///< resize, clamp: unchanged
  low,         ///< saturated or clamped to the lower bound
  high,
  wrapped,
};
std::string_view to_string(Branch branch);

/// One branch of one step over a whole suite.
struct BranchCoverage {
  enum class State {
    reached,
    not_reached,  ///< nothing proves that it cannot be
    unreachable,  ///< interval arithmetic or a congruence over the generated layers excludes it
  };
  std::string program;  ///< "requantize", or "lhs", "rhs", "output" of an addition
  std::string step;     ///< "3: shr 31 half_up"
  Branch branch = Branch::exact;
  int64_t hits = 0;
  State state = State::not_reached;
};

/// What another shipped profile does with the suite.
struct Neighbour {
  enum class Verdict {
    separated,      ///< at least one value differs
    not_separated,  ///< computes every case that it can to the same bits
    incomparable,   ///< refuses every case
    same_rules,     ///< not run: its settings for the op are the profile's, no case can differ
  };
  std::string profile;
  Verdict verdict = Verdict::incomparable;
  std::string case_name;  ///< the first that separates
  int64_t differing = 0;  ///< values
  int64_t compared = 0;
};

/// One case: a one-node network with inputs and the output of the scalar norm, or rows of a bare
/// requantization.
struct GeneratedCase {
  std::string name;
  std::string op;      ///< of the suite's format
  std::string family;  ///< the op whose rules hold
  VectorStrategy strategy = VectorStrategy::random;
  IntGraph graph;       ///< empty for a bare requantization
  NamedTensors arrays;  ///< inputs, weights, bias and arguments by role
  Tensor golden;        ///< empty: a device is still to make it
  sim::IntType output_type;
};

struct GeneratedSuite {
  std::string profile, fingerprint, op;
  uint64_t seed = 0;
  std::vector<GeneratedCase> cases;
  std::vector<BranchCoverage> coverage;  ///< empty for ops without a step program
  std::vector<Neighbour> neighbours;
  std::string origin = "facsim's scalar norm";  ///< of the outputs
  int64_t values() const;
  int64_t count(BranchCoverage::State state) const;
};

struct VectorGenOptions {
  ProfileSearch search;
  std::string profile;
  /// Phrase of the profile (Profile::choose); "requantize": bare accumulators by the rules of
  /// conv2d, or of linear on a platform that only has that.
  std::string op = "requantize";
  std::vector<VectorStrategy> strategies{VectorStrategy::ties, VectorStrategy::edges,
                                         VectorStrategy::overflow, VectorStrategy::exhaustive8,
                                         VectorStrategy::random};
  int64_t count = 8;  ///< cases per strategy, 1..1000
  uint64_t seed = 1;
  bool separate =
      true;  ///< compare with the other shipped profiles, add cases that tell them apart
  /// Called after each case, and after each search for a case that separates; may throw.
  std::function<void(int64_t done, int64_t total)> progress;
};

/// Makes a suite whose every output is computed by the scalar norm under the profile. The same
/// options give the same suite; a strategy named twice counts once. Errors: unsupported for an op
/// the profile does not have or that no generator knows, and for a variant that no layer selects.
GeneratedSuite generate_vectors(const VectorGenOptions& options);

/// Which files a suite is written as.
struct VectorFormats {
  bool npz =
      true;  ///< manifest.json, an .npz and a one-node network a case: `vectors check` runs it
  bool hex = false;  ///< NAME_ROLE.hex for $readmemh: two's complement words, one a line
  bool c = false;    ///< a C header
};
/// Error bad_value for something that is there and not an empty folder: files of another suite
/// would stay beside those of a new one. Error io if it cannot be read.
void require_new_folder(const std::filesystem::path& folder);
/// Writes into `folder`, created if missing, see require_new_folder. `before_file` is called before
/// each file and may throw; the manifest is the last file. Error io.
void write_vectors(const std::filesystem::path& folder, const GeneratedSuite& suite,
                   const VectorFormats& formats, const std::function<void()>& before_file = {});

}  // namespace facsim::backends
