// SPDX-License-Identifier: Apache-2.0
#include "tests/proof/prover.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <unordered_map>

#ifdef FACSIM_HAVE_CADICAL
#include <cadical.hpp>
#endif

namespace facsim::proof {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kSecondsPerGoal = 120;

/// The value of a bit-vector constant of any width, as a signed number.
sim::int128 number(const z3::expr& constant) {
  const std::string digits = constant.get_decimal_string(0);
  sim::uint128 v = 0;
  for (char digit : digits) v = v * 10 + static_cast<unsigned>(digit - '0');
  const unsigned width = constant.get_sort().bv_size();
  const unsigned unused = 128 - width;
  return static_cast<sim::int128>(v << unused) >> unused;
}

Outcome refuted_by(const Claim& claim, const z3::model& model) {
  Outcome outcome{Verdict::refuted, {}, 0, 0};
  for (const Bits& input : claim.inputs) {
    outcome.counterexample[input.e.decl().name().str()] = number(model.eval(input.e, true));
  }
  return outcome;
}

#ifdef FACSIM_HAVE_CADICAL

class Deadline final : public CaDiCaL::Terminator {
 public:
  bool terminate() override {
    return std::chrono::duration<double>(Clock::now() - start_).count() > kSecondsPerGoal;
  }

 private:
  Clock::time_point start_ = Clock::now();
};

/// The clauses of a goal in conjunctive normal form, in CaDiCaL.
class Clauses {
 public:
  explicit Clauses(const z3::goal& goal) : goal_(goal) {
    solver_.add(kTrue);
    solver_.add(0);
    for (unsigned i = 0; i < goal.size(); ++i) {
      const z3::expr formula = goal[static_cast<int>(i)];
      if (formula.is_true()) continue;
      if (formula.is_or()) {
        for (unsigned k = 0; k < formula.num_args(); ++k) solver_.add(literal(formula.arg(k)));
      } else {
        const int only = literal(formula);
        is_false_ = is_false_ || only == -kTrue;
        if (is_false_) return;
        solver_.add(only);
      }
      solver_.add(0);
    }
  }

  Outcome solve(const Claim& claim) {
    if (is_false_) return {Verdict::proved, {}, 0, 0};
    Deadline deadline;
    solver_.connect_terminator(&deadline);
    const int answer = solver_.solve();
    solver_.disconnect_terminator();
    if (answer == 20) return {Verdict::proved, {}, 0, 0};
    if (answer != 10) return {};
    z3::model model(goal_.ctx());
    for (size_t i = 0; i < atoms_.size(); ++i) {
      z3::func_decl name = atoms_[i].decl();
      z3::expr value = goal_.ctx().bool_val(solver_.val(kTrue + 1 + static_cast<int>(i)) > 0);
      model.add_const_interp(name, value);
    }
    return refuted_by(claim, goal_.convert_model(model));
  }

 private:
  int literal(const z3::expr& e) {
    if (e.is_true()) return kTrue;
    if (e.is_false()) return -kTrue;
    return e.is_not() ? -literal(e.arg(0)) : variable(e);
  }
  int variable(const z3::expr& atom) {
    const auto [at, is_new] = numbers_.try_emplace(Z3_get_ast_id(atom.ctx(), atom),
                                                   kTrue + 1 + static_cast<int>(atoms_.size()));
    if (is_new) atoms_.push_back(atom);
    return at->second;
  }

  static constexpr int kTrue = 1;  ///< a variable that is true
  const z3::goal& goal_;
  bool is_false_ = false;
  CaDiCaL::Solver solver_;
  std::unordered_map<unsigned, int> numbers_;
  std::vector<z3::expr> atoms_;
};

Outcome solve(z3::context& context, const Claim& claim) {
  z3::goal negated(context);
  negated.add(claim.assume.e && !claim.claim.e);
  const z3::tactic tactic = z3::tactic(context, "simplify") & z3::tactic(context, "solve-eqs") &
                            z3::tactic(context, "simplify") & z3::tactic(context, "bit-blast") &
                            z3::tactic(context, "tseitin-cnf");
  const z3::apply_result applied = tactic(negated);
  const z3::goal clauses = applied[0];
  if (clauses.inconsistent()) return {Verdict::proved, {}, 0, 0};
  return Clauses(clauses).solve(claim);
}

#else

Outcome solve(z3::context& context, const Claim& claim) {
  z3::solver solver = (z3::tactic(context, "simplify") & z3::tactic(context, "solve-eqs") &
                       z3::tactic(context, "bit-blast") & z3::tactic(context, "sat"))
                          .mk_solver();
  z3::params parameters(context);
  parameters.set("timeout", static_cast<unsigned>(1000 * kSecondsPerGoal));
  solver.set(parameters);
  solver.add(claim.assume.e && !claim.claim.e);
  const z3::check_result answer = solver.check();
  if (answer == z3::unsat) return {Verdict::proved, {}, 0, 0};
  return answer == z3::sat ? refuted_by(claim, solver.get_model()) : Outcome{};
}

#endif

/// The first case that is not proved, or proved.
Outcome decide_goal(const Goal& goal) {
  const Clock::time_point start = Clock::now();
  Outcome outcome{Verdict::proved, {}, 0, 0};
  z3::context context;
  for (int i = 0; i < goal.cases && outcome.verdict == Verdict::proved; ++i) {
    outcome = decide(goal.claim(context, i));
    outcome.number = i;
  }
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return outcome;
}

std::string described(const Outcome& outcome) {
  if (outcome.verdict == Verdict::proved) return {};
  std::string text = fmt::format(", case {}:", outcome.number);
  for (const auto& [name, v] : outcome.counterexample) {
    text += fmt::format(" {} = {}", name, static_cast<int64_t>(v));
  }
  return text;
}

std::string word(Verdict verdict) {
  return verdict == Verdict::proved    ? "proved"
         : verdict == Verdict::refuted ? "refuted"
                                       : "not decided in time";
}

void print(const Goal& goal, const Outcome& outcome) {
  if (std::getenv("FACSIM_PROOF_VERBOSE") == nullptr) return;
  fmt::print("{:<9} {:6.2f} s  {}{}\n", word(outcome.verdict), outcome.seconds, goal.name,
             described(outcome));
}

}  // namespace

Outcome decide(const Claim& claim) { return solve(claim.claim.e.ctx(), claim); }

void prove(const std::vector<Goal>& goals) {
  std::vector<Outcome> outcomes(goals.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < goals.size(); i = next++) outcomes[i] = decide_goal(goals[i]);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < goals.size(); ++i) {
    print(goals[i], outcomes[i]);
    INFO(goals[i].name << ": " << word(outcomes[i].verdict) << described(outcomes[i]));
    CHECK(outcomes[i].verdict == Verdict::proved);
  }
}

Outcome refute(const Goal& goal) {
  Outcome outcome = decide_goal(goal);
  print(goal, outcome);
  INFO(goal.name << ": " << word(outcome.verdict) << ", wanted a counterexample");
  REQUIRE(outcome.verdict == Verdict::refuted);
  return outcome;
}

}  // namespace facsim::proof
