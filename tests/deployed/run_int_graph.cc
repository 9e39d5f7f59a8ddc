// SPDX-License-Identifier: Apache-2.0
#include "tests/deployed/run_int_graph.h"

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"

namespace facsim::test {

std::optional<std::map<std::string, Tensor>> run_int_graph(const backends::IntGraph& graph,
                                                           const std::string& profile,
                                                           const std::vector<Tensor>& inputs) {
  const auto rules =
      backends::load_profile(profile, {{std::string(FACSIM_SOURCE_DIR) + "/configs/profiles"}});
  std::optional<sim::Graph> lowered;
  try {
    lowered = backends::lower(graph, rules);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unsupported) return {};
    throw;
  }
  const sim::RunResult result = sim::Executor(*lowered, {}).run(inputs);
  std::map<std::string, Tensor> out;
  for (size_t i = 0; i < result.outputs.size(); ++i) {
    out[graph.tensors[static_cast<size_t>(graph.outputs[i])].name] = result.outputs[i];
  }
  return out;
}

int64_t differing(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return std::max<int64_t>(a.numel(), 1);
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    count += a.dtype() == DType::float32 ? a.data<float>()[i] != b.data<float>()[i]
                                         : a.int_at(i) != b.int_at(i);
  }
  return count;
}

}  // namespace facsim::test
