// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backends/io/npy.h"
#include "backends/profile/profile.h"

namespace facsim::backends {

/// What a case's layers must give, and what gave it: the golden in force, or one it replaced.
struct SuiteGolden {
  enum class Origin { recorded, simulated };  ///< by a device or runtime, or by facsim
  std::string fingerprint;                    ///< of the arrays, names included
  Origin origin = Origin::simulated;
  std::string network;  ///< fingerprint(IntGraph) when it was accepted
  std::string profile;  ///< Profile::fingerprint when it was accepted
  std::string facsim;   ///< version that accepted it
  std::string date;     ///< UTC, "2026-11-29T00:44:10Z"
  std::string reason;   ///< why it was accepted
  friend bool operator==(const SuiteGolden&, const SuiteGolden&) = default;
};
std::string_view to_string(SuiteGolden::Origin origin);

struct SuiteCase {
  std::string name;                ///< letters, digits, '_', '-', '.'; its folder is cases/NAME
  std::string inputs_fingerprint;  ///< of the arrays in inputs.npz, names included
  SuiteGolden golden;
  std::vector<SuiteGolden> history;  ///< goldens it replaced, the oldest first
  friend bool operator==(const SuiteCase&, const SuiteCase&) = default;
};

/// A regression suite: a network, the profile it must behave as, inputs and golden outputs, in one
/// folder that is kept under version control. configs/SUITES.md describes it, and
/// configs/schema/suite.schema.json.
///
/// FOLDER/suite.json; network.json and network.npz, unless the network is referenced;
/// profile-FINGERPRINT.json, the resolved profile a golden was accepted under;
/// cases/NAME/inputs.npz, cases/NAME/golden-FINGERPRINT.npz; cases/NAME/received.npz after a run
/// that differs. A golden's name follows its content, so that writing suite.json is the one moment
/// at which an approval takes effect.
struct Suite {
  std::string name;
  std::string network = "network.json";  ///< relative to the folder, or absolute
  std::map<std::string, int64_t> dims;   ///< --dim of an ONNX network
  std::string qdq = "onnxruntime";       ///< --qdq of an ONNX network
  std::string profile;  ///< a name, or a path (with '/' or .json) relative to the folder
  std::vector<ProfileOverride> settings;  ///< --set
  std::vector<SuiteCase> cases;

  /// The network and profile as a process started elsewhere names them.
  std::filesystem::path network_file(const std::filesystem::path& folder) const;
  std::string profile_of(const std::filesystem::path& folder) const;
};

std::filesystem::path suite_inputs_file(const std::filesystem::path& folder, const SuiteCase& c);
std::filesystem::path suite_golden_file(const std::filesystem::path& folder, const SuiteCase& c);
std::filesystem::path suite_received_file(const std::filesystem::path& folder, const SuiteCase& c);
std::filesystem::path suite_profile_file(const std::filesystem::path& folder,
                                         std::string_view fingerprint);

/// Reads FOLDER/suite.json, not what it names. Error with every finding: bad_json, unknown_key,
/// missing_key, bad_value (a case named twice, a fingerprint that is none, …), unsupported (a newer
/// version), io.
Suite read_suite(const std::filesystem::path& folder);
/// Replaces FOLDER/suite.json by a rename. Error bad_value for what read_suite would refuse, io.
void write_suite(const std::filesystem::path& folder, const Suite& suite);
/// Removes golden-*.npz and profile-*.json that no golden in force names: what an approval leaves;
/// and temporary files an hour old, which a process left that was killed.
void remove_unused_suite_files(const std::filesystem::path& folder, const Suite& suite);

/// Whether `name` can name a case: 1 to 100 letters, digits, '_', '-', '.', no '.' in front.
bool is_suite_case_name(std::string_view name);

/// One setting that two resolved profiles have not in common; an absent one is empty.
struct SettingChange {
  std::string pointer;
  std::string before, now;  ///< JSON
};
/// What differs between two texts of resolved_profile_json, in the order of the pointers; name,
/// title, evidence and other prose aside. Error bad_json.
std::vector<SettingChange> changed_settings(std::string_view before, std::string_view now);

}  // namespace facsim::backends
