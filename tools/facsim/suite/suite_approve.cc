// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "backends/text/did_you_mean.h"
#include "backends/text/utf8.h"
#include "tools/facsim/output.h"
#include "tools/facsim/suite/suite_date.h"
#include "tools/facsim/suite/suite_edit.h"

namespace facsim::cli {

namespace {

namespace fs = std::filesystem;
using backends::Suite;
using backends::SuiteCase;
using backends::SuiteGolden;

constexpr size_t kLongestReason = 1000;

void check_reason(const std::string& reason) {
  if (reason.find_first_not_of(" \t") == std::string::npos) {
    throw UsageError("--reason is empty: say why the new values are right");
  }
  const bool has_control = std::any_of(reason.begin(), reason.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (reason.size() > kLongestReason || has_control || !backends::is_utf8(reason)) {
    throw UsageError(
        fmt::format("--reason: expected one line of UTF-8, at most {} bytes", kLongestReason));
  }
}

/// Whether network or profile are others than the golden's: something to accept even where every
/// value is still equal.
bool has_new_rules(const SuiteCaseRun& run) {
  return std::any_of(run.changes.begin(), run.changes.end(), [](const SuiteChange& change) {
    return change.what != SuiteChange::What::facsim;
  });
}

/// received.npz is what a person looked at: only the very same values are accepted.
void require_reviewed(const fs::path& folder, const SuiteCase& c, const SuiteCaseRun& run) {
  const fs::path file = backends::suite_received_file(folder, c);
  const std::string hint = fmt::format("facsim suite run {} writes it", printable(folder.string()));
  std::error_code absent;
  if (!fs::exists(file, absent)) {
    throw Error({ErrorCode::io, file.string(), "no received values",
                 "those of a failing run under the suite's own profile", hint});
  }
  const std::string found = backends::fingerprint(backends::read_npz(file));
  const std::string now = backends::fingerprint(run.received);
  if (found != now) {
    throw Error({ErrorCode::bad_value, file.string(),
                 fmt::format("values ({}) that the suite does not give now ({})", found, now), "",
                 hint + " anew"});
  }
}

std::vector<size_t> chosen_cases(const Suite& suite, const std::vector<std::string>& names) {
  std::vector<size_t> chosen;
  std::vector<std::string> known;
  for (const SuiteCase& c : suite.cases) known.push_back(c.name);
  for (const std::string& name : names) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      throw Error({ErrorCode::bad_value, "--case", "no case \"" + name + "\"",
                   fmt::format("one of {}", fmt::join(known, ", ")),
                   backends::did_you_mean_hint(name, known)});
    }
    const auto number = static_cast<size_t>(found - known.begin());
    if (std::find(chosen.begin(), chosen.end(), number) == chosen.end()) chosen.push_back(number);
  }
  if (names.empty()) {
    for (size_t i = 0; i < known.size(); ++i) chosen.push_back(i);
  }
  return chosen;
}

/// A golden that lost tensors would compare less from then on without a word.
void require_every_tensor(const SuiteCase& c, const SuiteCaseRun& run) {
  for (const auto& difference : run.report.structure) {
    if (difference.kind != backends::StructuralDifference::Kind::missing_in_got) continue;
    throw Error({ErrorCode::bad_value, "case " + c.name,
                 "tensor \"" + difference.name + "\" of the golden is not in the network any more",
                 "a network with every tensor of the golden",
                 "facsim suite init makes a new suite"});
  }
}

/// The golden that a run makes, and its values written beside the old ones.
Approval approved(const OpenSuite& open, const SuiteCase& before, const SuiteCaseRun& run,
                  const std::string& reason, const std::string& date) {
  SuiteCase now = before;
  if (run.status == SuiteStatus::failed) {
    now.golden.fingerprint = backends::fingerprint(run.received);
    now.golden.origin = SuiteGolden::Origin::simulated;
  }
  now.golden.network = open.network_fingerprint();
  now.golden.profile = open.network().profile().fingerprint;
  now.golden.facsim = FACSIM_VERSION;
  now.golden.date = date;
  now.golden.reason = reason;
  if (run.status == SuiteStatus::failed) {
    backends::write_npz(backends::suite_golden_file(open.folder(), now), run.received);
  }
  return {before.name, before.golden, now.golden};
}

}  // namespace

std::vector<Approval> approve_suite(const fs::path& folder, const std::vector<std::string>& names,
                                    const std::string& reason, const Globals& globals) {
  check_reason(reason);
  if (!globals.profile.empty() || !globals.overrides.empty()) {
    throw UsageError(
        "suite approve accepts what the suite's own profile gives: no --profile, --set");
  }
  const OpenSuite open(folder, globals);
  Suite suite = open.suite();
  const std::string date = utc_now();
  // Every case is run and reviewed before the first new golden is written.
  std::vector<std::pair<size_t, SuiteCaseRun>> accepted;
  for (const size_t i : chosen_cases(suite, names)) {
    const SuiteCase& c = suite.cases[i];
    SuiteCaseRun run = open.run(c);
    if (!run.errors.empty()) throw Error(run.errors);
    const bool failed = run.status == SuiteStatus::failed;
    if (failed) {
      require_every_tensor(c, run);
      require_reviewed(folder, c, run);
    }
    if (!failed && !has_new_rules(run)) {
      if (names.empty()) continue;
      throw Error({ErrorCode::bad_value, "case " + c.name,
                   "nothing to approve: every value equals the golden", "a failing run", ""});
    }
    accepted.emplace_back(i, std::move(run));
  }
  std::vector<Approval> approvals;
  std::vector<fs::path> received;
  for (const auto& [i, run] : accepted) {
    SuiteCase& c = suite.cases[i];
    approvals.push_back(approved(open, c, run, reason, date));
    received.push_back(backends::suite_received_file(folder, c));
    c.history.push_back(c.golden);
    c.golden = approvals.back().now;
  }
  if (approvals.empty()) {
    throw Error({ErrorCode::bad_value, folder.string(),
                 "nothing to approve: every value equals its golden", "a failing run", ""});
  }
  backends::write_file_atomically(
      backends::suite_profile_file(folder, open.network().profile().fingerprint),
      open.resolved_profile());
  backends::write_suite(folder, suite);  // from here on the new goldens are in force
  std::error_code ignored;
  for (const fs::path& file : received) fs::remove(file, ignored);
  backends::remove_unused_suite_files(folder, suite);
  return approvals;
}

}  // namespace facsim::cli
