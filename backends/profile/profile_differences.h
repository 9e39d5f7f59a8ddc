// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/profile.h"

namespace facsim::backends {

/// A profile as a command names it.
struct ProfileChoice {
  std::string name_or_path;
  std::vector<ProfileOverride> overrides;
};

/// One rule that two profiles do not share.
struct SettingDifference {
  std::string pointer;
  std::string a, b;              ///< JSON; empty: absent (an op: unsupported)
  std::string a_place, b_place;  ///< who set it; empty: a default of the format
  std::string meaning;           ///< what the setting is, and what both words say
};

/// Every rule in which two resolved profiles differ, in the order of the format's fields: what
/// files say in other ways (a rule of the profile repeated for an op, a default written out) is no
/// difference. An op or variant that one side lacks is one difference; a rule that differs for the
/// whole profile is one, at the profile, and repeated for an op only where that op has it otherwise
/// on a side. Lists are compared as wholes. Names, titles and evidence are not compared. Errors of
/// load_profile.
std::vector<SettingDifference> setting_differences(const ProfileChoice& a, const ProfileChoice& b,
                                                   const ProfileSearch& search);

}  // namespace facsim::backends
