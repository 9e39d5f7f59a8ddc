// SPDX-License-Identifier: Apache-2.0
// The JSON of facsim's own networks; constants are zeros.
#include <string_view>

#include "backends/io/network_json-internal.h"
#include "sim/core/error.h"
#include "tests/formats/small_network.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

std::vector<std::string> seeds() {
  backends::IntGraph network = test::small_network();
  std::vector<std::string> out;
  out.push_back(backends::detail::network_to_json(network, {"net.npz", "0"}));
  network.layout = backends::IntGraph::Layout::nchw;
  network.preprocessing = backends::Preprocessing{{0.5f, 0.25f}, {1.0f, 2.0f}};
  for (backends::IntNode& node : network.nodes) node.profile.clear();
  out.push_back(backends::detail::network_to_json(network, {"net.npz", "0"}));
  return out;
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  constexpr int64_t kMostBytes = 1 << 20;
  try {
    const std::string text(reinterpret_cast<const char*>(data), size);
    backends::IntGraph network =
        backends::detail::network_from_json(
            backends::json::parse_json(text, "input",
                                       {.max_bytes = uint64_t{64} << 20, .max_depth = 8}))
            .graph;
    int64_t bytes = 0;
    for (backends::IntTensor& tensor : network.tensors) {
      if (!tensor.data) continue;
      const auto own = static_cast<int64_t>(size_of(tensor.dtype));
      if (tensor.shape.numel() > (kMostBytes - bytes) / own) return 0;
      bytes += tensor.shape.numel() * own;
      tensor.data = Tensor(tensor.dtype, tensor.shape);
    }
    fuzz::run_network(network);
  } catch (const Error&) {
  }
  return 0;
}
