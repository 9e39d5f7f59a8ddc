// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "backends/parity/vectors_case-internal.h"
#include "sim/core/parallel.h"

namespace facsim::backends {

namespace {

using detail::CaseData;
using detail::Computed;
using detail::VectorCase;
using detail::VectorSuite;
using Status = VectorResult::Status;

/// Profiles by name, each loaded once; a profile that does not exist is remembered as such.
class ProfileCache {
 public:
  explicit ProfileCache(const VectorOptions& options) : options_(options) {}

  /// Null if no profile of that name is found.
  const Profile* find(const std::string& name) {
    const auto known = profiles_.find(name);
    if (known != profiles_.end()) return known->second ? &*known->second : nullptr;
    std::optional<Profile>& profile = profiles_[name];
    const std::vector<std::string> names = list_profiles(options_.search);
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      profile = load_profile(name, options_.search, options_.overrides);
    }
    return profile ? &*profile : nullptr;
  }

 private:
  const VectorOptions& options_;
  std::map<std::string, std::optional<Profile>> profiles_;
};

/// Compares one computed tensor with the expected one.
void compare_computed(const Computed& computed, const Tensor& golden, VectorResult& result) {
  if (computed.tensor.dtype() != golden.dtype() || computed.tensor.shape() != golden.shape()) {
    result.status = Status::failed;
    result.message = fmt::format("output {} {}, expected {} {}", to_string(computed.tensor.dtype()),
                                 to_string(computed.tensor.shape()), to_string(golden.dtype()),
                                 to_string(golden.shape()));
    return;
  }
  // A leading axis of 1 lets the comparator count any shape as one image.
  std::vector<int64_t> extents = golden.shape().extents();
  if (extents.empty()) extents.push_back(1);
  const Shape shape(extents);
  TensorComparator comparator("golden", golden.dtype(), shape, 1);
  comparator.add(computed.tensor.reshaped(shape), golden.reshaped(shape));
  const TensorComparison& comparison = comparator.result();
  result.compared += comparison.compared;
  result.mismatches += comparison.mismatches;
  if (comparison.mismatches == 0) return;
  result.status = Status::failed;
  if (!result.first) {
    result.first = comparison.first.front();
    result.message = fmt::format("{} of {} differ{}{}", comparison.mismatches, comparison.compared,
                                 computed.how.empty() ? "" : ", ", computed.how);
  }
}

/// Who is to blame for an error. The manifest: what its reader refuses, and everything but
/// `unsupported` under the profile that the case was recorded under. Another profile may refuse
/// values (a multiplier wider than its own) that are right in the case.
void report_error(const VectorSuite& suite, const VectorCase& vector_case, const Profile& profile,
                  const Error& error, VectorResult& result) {
  result.message = error.what();
  result.status = Status::unsupported;
  const std::vector<ErrorInfo>& infos = error.infos();
  const auto is_invalid = [](const ErrorInfo& i) { return i.code != ErrorCode::unsupported; };
  const auto in_manifest = [&](const ErrorInfo& i) {
    return i.place.starts_with(suite.manifest.name + ":");
  };
  if (std::none_of(infos.begin(), infos.end(), is_invalid)) return;
  if (profile.name != vector_case.profile && !in_manifest(infos.front())) return;
  result.status = Status::invalid;
  result.errors = infos;
  for (ErrorInfo& info : result.errors) {
    if (in_manifest(info)) continue;
    const std::string place = suite.manifest.place(vector_case.pointer);
    info.place = info.place.empty() ? place : place + ", " + info.place;
  }
  result.message = to_string(result.errors.front());
}

void compute_case(const VectorSuite& suite, const VectorCase& vector_case, const NpzFile& npz,
                  const Profile& profile, const sim::RunContext& context, VectorResult& result) {
  const CaseData data(suite, vector_case, npz);  // Errors here: the suite is broken
  const detail::Adapter compute = detail::is_network_case(vector_case)
                                      ? detail::network_case
                                      : detail::find_adapter(vector_case.op);
  if (compute == nullptr) {
    result.message = "op " + vector_case.op + " is not computed by this build";
    return;
  }
  try {
    detail::check_output_shape(data);
    const std::vector<Computed> all = compute({data, profile, context});
    result.status = Status::passed;
    for (const Computed& computed : all) {
      compare_computed(
          computed, computed.golden.empty() ? data.golden() : data.array(computed.golden), result);
    }
    if (result.compared == 0 && result.status == Status::passed) {
      result.status = Status::failed;
      result.message = "nothing to compare";
    }
  } catch (const Error& error) {
    report_error(suite, vector_case, profile, error, result);
  }
}

/// Says that a generated suite was made under another state of its profile.
void note_fingerprint(const VectorSuite& suite, const Profile& profile, VectorReport& report) {
  if (profile.name != suite.generator_profile || suite.generator_fingerprint.empty() ||
      profile.fingerprint == suite.generator_fingerprint || !report.notes.empty()) {
    return;
  }
  report.notes.push_back(fmt::format("generated under {} with fingerprint {}, now {}", profile.name,
                                     suite.generator_fingerprint, profile.fingerprint));
}

/// The cases to run and the profile each runs under.
struct Selection {
  std::vector<const VectorCase*> cases;
  std::optional<Profile> profile;  ///< empty: each case's own
};

Selection select(const VectorSuite& suite, const VectorOptions& options) {
  Selection selection;
  if (!options.profile.empty()) {
    selection.profile = load_profile(options.profile, options.search, options.overrides);
    for (const VectorCase& c : suite.cases) {
      if (c.profile == selection.profile->name) selection.cases.push_back(&c);
    }
  }
  if (selection.cases.empty()) {
    for (const VectorCase& c : suite.cases) selection.cases.push_back(&c);
  }
  return selection;
}

}  // namespace

std::string_view to_string(VectorResult::Status status) {
  switch (status) {
    case Status::passed:
      return "passed";
    case Status::failed:
      return "failed";
    case Status::unsupported:
      return "unsupported";
    case Status::invalid:
      return "invalid";
  }
  return "?";
}

int64_t VectorReport::count(VectorResult::Status status) const {
  return std::count_if(cases.begin(), cases.end(),
                       [&](const VectorResult& result) { return result.status == status; });
}

VectorReport check_vectors(const std::filesystem::path& folder, const VectorOptions& options) {
  const VectorSuite suite = detail::read_vector_suite(folder);
  const Selection selection = select(suite, options);
  ProfileCache profiles(options);
  sim::ThreadPool pool(options.threads);
  const sim::RunContext context{options.isa, &pool, false};
  VectorReport report;
  const std::filesystem::path named = folder.has_filename() ? folder : folder.parent_path();
  report.suite = named.filename().string();
  std::optional<NpzFile> npz;
  std::string npz_name;
  for (const VectorCase* c : selection.cases) {
    const auto start = std::chrono::steady_clock::now();
    if (c->npz != npz_name) {
      npz.emplace(folder / c->npz);
      npz_name = c->npz;
    }
    const Profile* profile = selection.profile ? &*selection.profile : profiles.find(c->profile);
    VectorResult result;
    result.name = c->name;
    result.family = c->family;
    result.op = c->op;
    result.profile = profile != nullptr ? profile->name : c->profile;
    if (profile == nullptr) {
      result.message = "no profile \"" + c->profile +
                       "\"; --profile PATH names its file, --profile-path a folder that has it";
    } else {
      note_fingerprint(suite, *profile, report);
      compute_case(suite, *c, *npz, *profile, context, result);
    }
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    report.cases.push_back(std::move(result));
    if (options.progress) {
      options.progress(static_cast<int64_t>(report.cases.size()),
                       static_cast<int64_t>(selection.cases.size()));
    }
  }
  return report;
}

}  // namespace facsim::backends
