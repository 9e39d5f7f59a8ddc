// SPDX-License-Identifier: Apache-2.0
// suite.json: what is read is written and read again as the same suite.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "backends/io/npy.h"
#include "backends/parity/suite-internal.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

namespace {

/// A folder for suite.json that is there while the process is.
const std::filesystem::path& suite_folder() {
  struct Folder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("facsim-fuzz-suite-" + std::to_string(getpid()));
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Folder folder;
  return folder.path;
}

}  // namespace

std::vector<std::string> seeds() {
  return {R"({"format": "facsim-suite", "version": 1, "name": "kws",
"network": {"file": "../kws.onnx", "dims": {"N": 1, "T": 16}, "qdq": "every"},
"profile": {"name": "cmsis-nn", "settings": [{"pointer": "/accumulator/bits", "value": "32"}]},
"cases": [{"name": "night", "inputs": "1fb9d74204b7685e989b987a623a55fd",
"golden": {"fingerprint": "d3d5ec8eef505bfffbbb7c6420c74e1b", "origin": "simulated",
"network": "21dc12bbddf95e401615c14a9cced85f", "profile": "0210fc20b058185c", "facsim": "0.1.0",
"date": "2026-11-29T01:00:50Z", "reason": "retrained"}, "history": []}]})",
          R"({"$schema": "s", "format": "facsim-suite", "version": 1, "name": "é",
"network": {"file": "network.json"}, "profile": {"name": "./a.json"},
"cases": [{"name": "a.b-c_d", "inputs": "00000000000000000000000000000000",
"golden": {"fingerprint": "00000000000000000000000000000000", "origin": "recorded",
"network": "00000000000000000000000000000000", "profile": "0000000000000000", "facsim": "x",
"date": "2026-11-29T01:00:50Z", "reason": "\u00b5"},
"history": [{"fingerprint": "11111111111111111111111111111111", "origin": "simulated",
"network": "00000000000000000000000000000000", "profile": "0000000000000000", "facsim": "x",
"date": "2026-11-28T01:00:50Z", "reason": "init"}]}]})"};
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  backends::Suite suite;
  try {
    suite = backends::detail::suite_from_text({reinterpret_cast<const char*>(data), size}, "input");
  } catch (const Error&) {
    return 0;
  }
  backends::write_suite(fuzz::suite_folder(), suite);  // an Error here is a finding
  const backends::Suite again = backends::read_suite(fuzz::suite_folder());
  const bool same = again.name == suite.name && again.network == suite.network &&
                    again.dims == suite.dims && again.qdq == suite.qdq &&
                    again.profile == suite.profile && again.cases == suite.cases &&
                    again.settings.size() == suite.settings.size();
  if (!same) std::abort();
  return 0;
}
