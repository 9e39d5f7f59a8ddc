// SPDX-License-Identifier: Apache-2.0
#include "backends/text/utf8.h"

#include <cstddef>
#include <cstdint>

namespace facsim::backends {

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    size_t more = 0;
    uint32_t code = lead;
    uint32_t least = 0;
    if (lead >= 0xf0 && lead < 0xf8) {
      more = 3, code = lead & 0x07u, least = 0x10000;
    } else if (lead >= 0xe0 && lead < 0xf0) {
      more = 2, code = lead & 0x0fu, least = 0x800;
    } else if (lead >= 0xc0 && lead < 0xe0) {
      more = 1, code = lead & 0x1fu, least = 0x80;
    } else if (lead >= 0x80) {
      return false;
    }
    if (more >= text.size() - i) return false;
    for (size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3fu);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace facsim::backends
