// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace facsim::backends {

/// Text for an element or a quoted attribute of XML: & < > " and the line end as references; other
/// control characters, which XML 1.0 cannot hold, become '?'.
std::string escape_xml(std::string_view text);

}  // namespace facsim::backends
