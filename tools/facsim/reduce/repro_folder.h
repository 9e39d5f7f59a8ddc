// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "backends/io/npy.h"
#include "backends/parity/element.h"
#include "backends/parity/reduce.h"
#include "tools/facsim/command.h"

namespace facsim::cli {

/// A profile with --set, as the command line names it.
struct ReduceRules {
  std::string name;  ///< name or path
  std::vector<backends::ProfileOverride> overrides;
  backends::ProfileSearch search;

  backends::Profile load() const { return backends::load_profile(name, search, overrides); }
  /// The name with every setting: two sides of one profile must not look alike.
  std::string label() const;
  /// The rules of a network of one node: those of the profile that the node names, or these.
  ReduceRules of(const backends::IntNode& node) const;
};

/// The differing element of one side.
struct ReducedSide {
  std::string label;                              ///< of the rules; "golden"; the command
  std::optional<ReduceRules> rules;               ///< of a simulated side
  std::optional<backends::NamedTensors> outputs;  ///< not of a command: nothing is known of it
  std::optional<backends::ElementChain> chain;    ///< of a simulated side with integer outputs
  std::string result;                             ///< the element, decimal; empty for a command
};

/// A reproduction without what only its network had: the node's own profile (ReduceRules::of), the
/// network's fingerprint, its layout.
backends::Reproduction by_itself(backends::Reproduction at);
/// The outputs of a network of any number of nodes, by name.
backends::NamedTensors outputs_of(const backends::Reproduction& at,
                                  const backends::SimulatedSide& side);
ReducedSide simulated_side(const backends::Reproduction& at, const ReduceRules& rules,
                           int64_t element);
/// An element as text.
std::string value_of(const Tensor& tensor, int64_t element);

/// net.json, net.npz, inputs.npz, a.json and expected_a.npz in `folder`: what both the result and a
/// command that checks a candidate need. `rules` are the profile a.json as text.
void write_side_a(const std::filesystem::path& folder, backends::Reproduction at,
                  const std::string& rules, const backends::NamedTensors& outputs);
/// The resolved rules as the file NAME.json must hold them.
std::string profile_text(const ReduceRules& rules, const std::string& name);

/// A result to write and to print.
struct Reduced {
  backends::Reproduction start, small;  ///< the node as it was found, and what is left
  ReducedSide a, b;
  std::vector<std::string> notes;
};
/// Side a, b.json, expected_b.npz where there are such, run.sh and README.md. Error io.
void write_repro(const std::filesystem::path& folder, const Reduced& reduced);
/// "accumulator 1 from 1 tap", and each side's result with its steps.
std::string numbers_text(const Reduced& reduced);

}  // namespace facsim::cli
