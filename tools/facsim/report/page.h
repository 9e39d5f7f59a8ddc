// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace facsim::cli {

/// One page that needs nothing besides itself: opens from a disk without network, light and dark,
/// down to a phone's width. `body` is HTML: sections, whose charts take their colours from here.
std::string html_page(std::string_view title, std::string_view details, std::string_view body);

}  // namespace facsim::cli
