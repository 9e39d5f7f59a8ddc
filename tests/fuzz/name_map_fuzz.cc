// SPDX-License-Identifier: Apache-2.0
// --map names.json, and what matching makes of any names in it.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <string_view>

#include "backends/parity/match_names.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

namespace {

/// A file in memory with these bytes: a disk would be what such a run measures.
std::string map_file(const uint8_t* data, size_t size) {
  static const int descriptor = memfd_create("names.json", 0);
  if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, data, size, 0) < 0) std::abort();
  return "/proc/self/fd/" + std::to_string(descriptor);
}

}  // namespace

std::vector<std::string> seeds() {
  return {R"({"conv1": "quant_conv1/Relu:0", "fc": "/fc", "é": "\u00b5"})",
          R"({"a": "b", "b": "a", "c:0": "ref_c_int8:0"})", "{}"};
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  const std::string file = fuzz::map_file(data, size);
  try {
    const auto map = backends::read_name_map(file);
    std::vector<backends::NamedShape> ours, theirs;
    std::set<std::string> their_names;
    for (const auto& [a, b] : map) {
      ours.push_back({a, DType::int8, Shape{1, 2}});
      if (their_names.insert(b).second) theirs.push_back({b, DType::int8, Shape{1, 2}});
      const std::string_view trimmed = backends::trimmed_name(b);
      if (!b.empty() && trimmed.empty()) std::abort();
    }
    const auto matching = backends::match_names(ours, theirs, map, file);
    if (matching.pairs.size() != map.size()) std::abort();  // every name is given
    backends::match_names(ours, theirs, {}, file);
  } catch (const Error&) {
  }
  return 0;
}
