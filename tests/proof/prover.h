// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/core/wide.h"
#include "tests/proof/bits.h"

namespace facsim::proof {

/// `claim` holds for every value of the free variables for which `assume` holds.
struct Claim {
  std::vector<Bits> inputs;  ///< the free variables a counterexample is reported in
  Truth assume;
  Truth claim;
};

enum class Verdict { proved, refuted, unknown };

struct Outcome {
  Verdict verdict = Verdict::unknown;
  std::map<std::string, sim::int128> counterexample;  ///< of a refuted claim, by variable name
  int number = 0;                                     ///< of the goal's case that was decided last
  double seconds = 0;

  int64_t at(const std::string& name) const {
    return static_cast<int64_t>(counterexample.at(name));
  }
};

/// z3 simplifies the negated claim and turns it into clauses; CaDiCaL searches them (z3's own SAT
/// solver where CaDiCaL is not installed).
Outcome decide(const Claim& claim);

/// A named claim, split into `cases` (constant shifts, for instance, which cost a solver far less
/// than a free one) that together cover it. Each case is built in a context of its own, so that
/// they can be decided in parallel.
struct Goal {
  std::string name;
  std::function<Claim(z3::context&, int number)> claim;
  int cases = 1;
};

/// Decides every goal on all cores; fails the test for one that is not proved, with its
/// counterexample.
void prove(const std::vector<Goal>& goals);

/// Decides a wrong claim: fails the test unless it is refuted, and returns the counterexample for
/// the caller to replay on plain integers. What keeps a prover that proves everything from passing.
Outcome refute(const Goal& goal);

}  // namespace facsim::proof
