// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backends/parity/compare.h"
#include "backends/parity/suite.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/layer_names.h"

namespace facsim::cli {

/// Something that is not as it was when a golden was accepted: the first thing to know of a
/// failure.
struct SuiteChange {
  enum class What { network, profile, facsim };
  What what = What::network;
  std::string before, now;                        ///< fingerprints, or versions
  std::vector<backends::SettingChange> settings;  ///< of a profile, if its snapshot is there
};
std::string_view to_string(SuiteChange::What what);

enum class SuiteStatus { passed, failed, unsupported, invalid };
std::string_view to_string(SuiteStatus status);
/// invalid if one of the findings says more than "unsupported".
SuiteStatus status_of(const std::vector<ErrorInfo>& errors);

struct SuiteCaseRun {
  std::string name;
  SuiteStatus status = SuiteStatus::invalid;
  std::vector<ErrorInfo> errors;  ///< why nothing was compared
  std::vector<SuiteChange> changes;
  backends::ComparisonReport report;  ///< layers in graph order
  LayerNames layers;
  backends::NamedTensors received;  ///< of a failed case: what the golden's tensors are now
  backends::Provenance provenance;  ///< of `received`
  std::filesystem::path inputs_file, golden_file;
  std::filesystem::path received_file;  ///< written by the run; empty if none was
  std::string received_error;           ///< why it could not be written
  std::string page;                     ///< sections of the HTML page, if they were asked for
  double seconds = 0;
};

/// A suite whose network is read and bound to the profile.
class OpenSuite {
 public:
  /// The profile is --profile, else the suite's own with its settings; --set comes last. Error as
  /// read_suite, DeployedNetwork.
  OpenSuite(std::filesystem::path folder, const Globals& globals);

  const std::filesystem::path& folder() const { return folder_; }
  const backends::Suite& suite() const { return suite_; }
  const DeployedNetwork& network() const { return *network_; }
  const std::string& network_fingerprint() const { return network_fingerprint_; }
  /// The resolved profile as JSON text.
  std::string resolved_profile() const;
  /// False if --profile or --set make it another profile than the suite's.
  bool own_profile() const { return own_profile_; }
  const Globals& globals() const { return globals_; }

  /// Fingerprints first: other inputs or another golden than suite.json names make the case
  /// invalid. Then every tensor of the golden, bit for bit. Writes nothing.
  SuiteCaseRun run(const backends::SuiteCase& c) const;
  /// The sections of the HTML page about a case that was run.
  std::string page_of(const backends::SuiteCase& c, const SuiteCaseRun& run) const;

 private:
  void compare(const backends::SuiteCase& c, SuiteCaseRun& result) const;
  std::vector<SuiteChange> changes_since(const backends::SuiteGolden& golden) const;

  std::filesystem::path folder_;
  Globals globals_;  ///< with the profile and settings in force
  backends::Suite suite_;
  bool own_profile_ = true;
  std::unique_ptr<DeployedNetwork> network_;
  std::string network_fingerprint_;
};

/// The tensors of `names` as the network computes them on `inputs`, in graph order and the file's
/// layout; a name it does not have is left out.
backends::NamedTensors computed_tensors(const DeployedNetwork& network,
                                        const std::vector<Tensor>& inputs,
                                        const std::vector<std::string>& names,
                                        const Globals& globals);

struct SuiteRun {
  std::filesystem::path folder;
  std::string name;
  SuiteStatus status = SuiteStatus::invalid;  ///< the worst of its cases
  std::vector<ErrorInfo> errors;              ///< why no case was run
  std::string network_file, network_fingerprint;
  std::string profile, profile_fingerprint;
  std::vector<backends::ProfileOverride> settings;
  bool own_profile = true;  ///< not another one by --profile or --set
  std::vector<SuiteCaseRun> cases;
};

enum class SuitePage { none, html };

/// Runs every case. What fails leaves received.npz beside its golden; what passes under the suite's
/// own profile removes an old one. A suite that cannot be read or bound is `invalid` or
/// `unsupported` with its errors.
SuiteRun run_suite(const std::filesystem::path& folder, const Globals& globals,
                   SuitePage page = SuitePage::none);

/// The suites that an argument of `suite run` means: the folder itself, or, without a suite.json,
/// every folder below it that has one, by name. The folder itself if there is none.
std::vector<std::filesystem::path> suites_in(const std::filesystem::path& folder);

}  // namespace facsim::cli
