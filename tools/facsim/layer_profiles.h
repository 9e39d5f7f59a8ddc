// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "backends/profile/profile.h"

namespace facsim::cli {

/// The profiles that single nodes of a network name, found as --profile is, each loaded once.
class LayerProfiles {
 public:
  explicit LayerProfiles(backends::ProfileSearch search) : search_(std::move(search)) {}

  const backends::Profile& find(std::string_view name) {
    auto found = profiles_.find(name);
    if (found == profiles_.end()) {
      found = profiles_.emplace(name, backends::load_profile(name, search_)).first;
    }
    return found->second;
  }

 private:
  backends::ProfileSearch search_;
  std::map<std::string, backends::Profile, std::less<>> profiles_;
};

}  // namespace facsim::cli
