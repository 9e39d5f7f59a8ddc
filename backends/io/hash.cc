// SPDX-License-Identifier: Apache-2.0
#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include "backends/io/network_json-internal.h"

namespace facsim::backends::detail {

std::string hash_hex(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace facsim::backends::detail
