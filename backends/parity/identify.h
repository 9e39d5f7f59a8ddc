// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/parity/vectors_gen.h"
#include "backends/profile/profile.h"

namespace facsim::backends {

/// Recorded requantizations, one per row; each column has one value per row or is empty. The real
/// multiplier is given in one of three forms: multiplier and shift, scale, or the scales of input,
/// weights and output (then how a platform derives its multiplier is found too).
struct IdentifyRows {
  std::vector<int64_t> acc;
  std::vector<int64_t> multiplier, shift;
  bool shift_is_left = false;  ///< TFLite's exponent: real = multiplier * 2^(shift - (bits - 1))
  std::vector<float> scale;
  std::vector<float> input_scale, weight_scale, output_scale;
  std::vector<int64_t> zero_point;                       ///< empty: 0
  std::vector<int64_t> clamp_min, clamp_max;             ///< empty: the range of `output`
  std::map<std::string, std::vector<int64_t>> integers;  ///< further arguments by name
  std::map<std::string, std::vector<float>> reals;
  sim::IntType output{8, true};
  /// What the device gave; nothing for a row that it refused. Shorter than acc in rows whose
  /// answers are not known yet.
  std::vector<std::optional<int64_t>> out;

  size_t size() const { return acc.size(); }
};

/// Settings to cross: every combination of one value per pointer is a candidate over each base.
struct IdentifyBlock {
  std::vector<std::string> bases;
  std::vector<ProfileOverride> fixed;
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;  ///< pointer, JSON values
};
/// What a space file says.
struct IdentifySpace {
  bool replaces = false;  ///< the built-in space is left out
  bool profiles = true;   ///< shipped profiles and their single settings are candidates
  std::vector<IdentifyBlock> blocks;
};
/// Reads a space file: {"/pointer": [values], ...}, or {"replace": bool, "profiles": bool,
/// "blocks": [{"base": name or list, "set": {pointer: value}, "cross": {pointer: [values]}}]}.
/// Error with every finding; bad_value beyond 20000 combinations.
IdentifySpace read_identify_space(const std::filesystem::path& file);

/// What suggested rows keep to, because the device can be given nothing else.
struct IdentifyLimits {
  std::optional<std::pair<int64_t, int64_t>> acc;  ///< lowest and highest accumulator
  /// Everything but the accumulator is that of a recorded row: multiplier or scales, zero point,
  /// clamps, further arguments.
  bool keeps_parameters = false;

  bool any() const { return acc.has_value() || keeps_parameters; }
};

struct IdentifyOptions {
  ProfileSearch search;
  std::string op;  ///< phrase; empty: the rules of every op
  std::optional<IdentifySpace> space;
  /// Also the single settings of every shipped profile (profile_knobs). They are thousands and take
  /// tens of seconds, so by default only where nothing else fits.
  enum class Knobs { if_nothing_fits, always };
  Knobs knobs = Knobs::if_nothing_fits;
  uint64_t seed = 1;
  int suggest = 0;                                            ///< vectors wanted, 0..1000
  IdentifyLimits limits;                                      ///< of suggested rows
  int threads = 1;                                            ///< 0: one per core
  std::function<void(int64_t done, int64_t total)> progress;  ///< may throw
};

/// One setting of a platform that fits (or nearly fits) everything recorded.
struct IdentifyCandidate {
  std::string profile;
  std::vector<std::string> ops;           ///< whose rules these are
  std::vector<ProfileOverride> settings;  ///< over the profile; empty: as shipped
  /// Of the profile as shipped: executed, documented or assumed; empty with settings.
  std::string evidence;
  bool bit_exact = true;       ///< Profile::bit_exact of the profile as shipped
  int equivalence_class = -1;  ///< number in IdentifyResult::classes
  int64_t explained = 0;       ///< rows or values that it reproduces
  int64_t refused = 0;         ///< that it does not compute
  std::string reason;          ///< of the first refusal
};

/// A setting in which classes that are left, or programs of one class, differ.
struct IdentifyUndecided {
  std::string pointer;
  struct Value {
    std::string value;         ///< JSON
    std::vector<int> classes;  ///< or programs, whose candidates (may) have it
  };
  std::vector<Value> values;
};

/// Candidates that nothing recorded and no directed vector tells apart.
struct IdentifyClass {
  size_t best = 0;      ///< candidate with the fewest settings
  size_t members = 0;   ///< candidates
  size_t programs = 0;  ///< distinct canonical programs among them; 1: equality is proved
  int64_t vectors = 0;  ///< directed vectors that did not separate them
  std::string program;  ///< of the best, for people
  /// The settings in which its programs differ, by program: not separated is not proved equal. Of
  /// the answers with few classes.
  std::vector<IdentifyUndecided> not_separated;
};

/// A shipped profile of which every op's rules contradict the device, and the first row or layer at
/// which the op that holds longest does.
struct IdentifyExclusion {
  std::string profile, evidence;
  std::vector<std::string> ops;    ///< whose rules hold longest
  std::string layer;               ///< empty: of rows
  std::vector<int64_t> index;      ///< the row, from 0, or of the layer's output
  std::optional<double> expected;  ///< what the device gave; nothing where it refuses
  std::optional<double> computed;
  std::string reason;  ///< instead of an index: another shape or type of the output
};

struct IdentifyResult {
  int64_t rows = 0;                           ///< or values
  int64_t tried = 0;                          ///< settings
  int64_t programs = 0;                       ///< distinct rules among them
  std::vector<IdentifyCandidate> candidates;  ///< by class, then fewest settings
  std::vector<IdentifyClass> classes;
  /// How many parts of the classes the rows within options.limits tell apart, so far as the search
  /// found; nothing without limits.
  std::optional<size_t> separable;
  std::vector<IdentifyUndecided> undecided;
  std::vector<IdentifyCandidate> cannot_run;  ///< refuse rows, and contradict none
  std::vector<IdentifyCandidate> nearest;     ///< if nothing fits: most rows explained first
  int64_t shipped = 0;                        ///< profiles tried as shipped
  std::vector<IdentifyExclusion> excluded;    ///< of these, by name
};

/// Finds every known setting that reproduces the rows; with options.suggest, `next` receives the
/// rows that split what is left best. Errors: shape_mismatch, bad_value for broken columns.
IdentifyResult identify_rows(const IdentifyRows& rows, const IdentifyOptions& options,
                             IdentifyRows* next);

/// With what a dialogue goes on, so that each command need not repeat it.
struct IdentifyAsked {
  std::string space;  ///< path of a space file, or empty
  IdentifyOptions::Knobs knobs = IdentifyOptions::Knobs::if_nothing_fits;
  uint64_t seed = 1;
  IdentifyLimits limits;
};

/// One setting that is tried.
struct IdentifySetting {
  std::string base;  ///< profile
  std::vector<ProfileOverride> overrides;
};
/// Of what fits, and of what contradicts nothing but cannot run everything.
std::vector<IdentifySetting> settings_left(const IdentifyResult& result);

/// A dialogue about layers so far.
struct LayerDialogue {
  std::filesystem::path suite;  ///< recorded cases, with the names of those asked about
  std::vector<std::string> cases;
  /// Suggested layers: without an output yet, with the device's, and those it does not compute.
  std::vector<GeneratedCase> pending, answered, refused;
  /// What the round before left: single settings besides these are not tried again, since answers
  /// only exclude. Nothing in the first round.
  std::optional<std::vector<IdentifySetting>> left;
  IdentifyAsked asked;
  int64_t round = 0, suggested = 0;
};
/// Finds every known setting that reproduces the recorded cases and the answered layers: of the
/// shipped profiles and their single settings, and of options.space; with options.suggest, `next`
/// receives small layers that split what is left best, without outputs. Whole outputs are compared:
/// result.rows counts their values. Without a space, of the single settings only those in
/// dialogue.left are tried, or, where none of these fits, all again. Errors: of the suite; of a
/// case that is broken.
IdentifyResult identify_layers(const LayerDialogue& dialogue, const IdentifyOptions& options,
                               std::vector<GeneratedCase>* next);
/// Writes into a new or empty folder: manifest.json, arrays and networks of the pending layers, a
/// suite without outputs; the suites answered/ and refused/; state.json last.
void write_layer_dialogue(const std::filesystem::path& folder, const LayerDialogue& dialogue,
                          const std::function<void()>& before_file);
/// True if a state file is of a dialogue about layers.
bool is_layer_dialogue(const std::filesystem::path& state);
/// From state.json and what is beside it, all of it untrusted. Error with every finding.
LayerDialogue read_layer_dialogue(const std::filesystem::path& state);
/// The device's outputs by name of a pending layer; a layer without one must be among `refused`.
/// Error missing_key, shape_mismatch, bad_value.
void answer_layers(LayerDialogue& dialogue, const NamedTensors& outputs,
                   const std::set<std::string>& refused);

/// What a dialogue with the device is so far.
struct IdentifyState {
  IdentifyRows rows;     ///< answered
  IdentifyRows pending;  ///< suggested, not answered yet
  std::string op;
  IdentifyAsked asked;
  int64_t round = 0;
  int64_t suggested = 0;  ///< vectors over all rounds
};
void write_identify_state(const std::filesystem::path& file, const IdentifyState& state);
/// Error with every finding: the file is untrusted.
IdentifyState read_identify_state(const std::filesystem::path& file);
/// The pending rows become answered ones. `refused`: rows that the device does not take. Error
/// shape_mismatch, bad_value.
void answer(IdentifyState& state, const std::vector<int64_t>& out, const std::set<size_t>& refused);
/// One .npy per column.
void write_identify_rows(const std::filesystem::path& folder, const IdentifyRows& rows);

/// Error bad_value for a stem that is no profile name, io for a file that exists.
void require_new_profile_file(const std::filesystem::path& file);
/// A profile file that `extends` the candidate's and sets what differs. Its name is the file's
/// stem. Error as require_new_profile_file; bad_value if the file would not load and mean the same.
/// Returns what lint says of it, of ops that were not recorded too (a narrower accumulator also
/// holds for them).
std::vector<LintFinding> write_identified_profile(const std::filesystem::path& file,
                                                  const IdentifyCandidate& candidate,
                                                  const ProfileSearch& search,
                                                  const std::string& found_in);

}  // namespace facsim::backends
