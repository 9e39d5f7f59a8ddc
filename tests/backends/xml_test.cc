// SPDX-License-Identifier: Apache-2.0
#include "backends/text/xml.h"

#include <doctest/doctest.h>

namespace facsim::backends {

TEST_CASE("escape_xml: markup and line ends are references, control characters '?'") {
  CHECK(escape_xml("a<b> & \"c\"\n") == "a&lt;b&gt; &amp; &quot;c&quot;&#10;");
  CHECK(escape_xml("\t\x01\x1f '\xc3\xa9\x7f") == "??? '\xc3\xa9\x7f");
  CHECK(escape_xml("").empty());
}

}  // namespace facsim::backends
