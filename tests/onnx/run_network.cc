// SPDX-License-Identifier: Apache-2.0
#include "tests/onnx/run_network.h"

#include "backends/graph/permute.h"
#include "backends/lower/lower.h"
#include "sim/graph/executor.h"

namespace facsim::test {

std::map<std::string, Tensor> run_network(const backends::IntGraph& network,
                                          const std::string& profile,
                                          const std::vector<Tensor>& inputs) {
  const auto rules =
      backends::load_profile(profile, {{std::string(FACSIM_SOURCE_DIR) + "/configs/profiles"}});
  const sim::Executor executor(backends::lower(network, rules), {});
  const auto permuted = [](const Tensor& tensor, std::span<const int> axes) {
    return tensor.shape().rank() == 4 ? backends::permuted(tensor, axes) : tensor;
  };
  std::vector<Tensor> inside;
  for (const Tensor& input : inputs) inside.push_back(permuted(input, backends::kNchwToNhwc));
  const sim::RunResult result = executor.run(inside);
  std::map<std::string, Tensor> out;
  for (size_t i = 0; i < result.outputs.size(); ++i) {
    const auto number = static_cast<size_t>(network.outputs[i]);
    out[network.tensors[number].name] = permuted(result.outputs[i], backends::kNhwcToNchw);
  }
  return out;
}

}  // namespace facsim::test
