// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <string_view>

#include "backends/io/npy_codec-internal.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  for (const DType dtype : {DType::int8, DType::uint16, DType::int64, DType::float32}) {
    const Tensor tensor(dtype, {2, 3, 4});
    std::string bytes = backends::detail::encode_npy_header(tensor);
    bytes.append(static_cast<const char*>(tensor.raw()), tensor.bytes());
    out.push_back(std::move(bytes));
  }
  for (const auto& [from, to] : {std::pair{"<i8", "<f8"}, {"<i8", "<u8"}, {"False", "True "}}) {
    std::string other = out[2];
    other.replace(other.find(from), std::strlen(to), to);
    out.push_back(std::move(other));
  }
  return out;
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  const auto reader = [&](size_t& at) {
    return [&](void* buffer, size_t count) {
      const size_t taken = std::min(count, size - at);
      if (taken > 0) std::memcpy(buffer, data + at, taken);
      at += taken;
      return taken;
    };
  };
  try {
    size_t at = 0;
    backends::detail::decode_npy(reader(at), size, "input");
  } catch (const Error&) {
  }
  try {
    size_t at = 0;
    backends::detail::decode_npy_float64(reader(at), size, "input");
  } catch (const Error&) {
  }
  return 0;
}
