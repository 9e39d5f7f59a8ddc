// SPDX-License-Identifier: Apache-2.0
// The bytes of a .tflite.
#include <string_view>

#include "backends/tflite/read_tflite.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tflite_files.h"

namespace facsim::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> files = tflite_files();
  for (const std::string& file : files) run_network(backends::parse_tflite(file, "seed"));
  return files;
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  try {
    fuzz::run_network(backends::parse_tflite({reinterpret_cast<const char*>(data), size}, "input"));
  } catch (const Error&) {
  }
  return 0;
}
