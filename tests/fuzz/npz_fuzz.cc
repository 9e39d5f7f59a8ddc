// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <filesystem>
#include <string_view>

#include "backends/io/npy.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

std::vector<std::string> seeds() {
  const std::filesystem::path file = std::filesystem::temp_directory_path() /
                                     ("facsim-fuzz-seed-" + std::to_string(getpid()) + ".npz");
  std::vector<std::string> out;
  for (const bool is_empty : {false, true}) {
    backends::NamedTensors tensors;
    if (!is_empty) {
      tensors = {{"x", Tensor(DType::int8, {2, 3})}, {"layer/w", Tensor(DType::float32, {4})}};
    }
    backends::write_npz(file, tensors);
    out.push_back(backends::read_file(file));
    std::filesystem::remove(file);
  }
  return out;
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  try {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const backends::NpzFile file = backends::NpzFile::from_bytes(bytes, "input");
    file.read_all();
  } catch (const Error&) {
  }
  return 0;
}
