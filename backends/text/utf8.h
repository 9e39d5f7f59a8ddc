// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace facsim::backends {

/// Whether `text` is UTF-8 (RFC 3629): shortest forms, no surrogates, at most U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace facsim::backends
