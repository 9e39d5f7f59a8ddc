// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/lower.h"
#include "sim/graph/executor.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

namespace {

constexpr int64_t kMostElements = 1 << 18, kMostMacs = 1 << 24;

const backends::Profile& profile() {
  static const backends::Profile loaded =
      backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
  return loaded;
}

bool is_small(const sim::Graph& graph) {
  int64_t elements = 0, macs = 0;
  for (const sim::Graph::TensorInfo& tensor : graph.tensors) {
    elements += tensor.shape.numel();
    if (elements > kMostElements) return false;
  }
  for (const sim::Graph::Node& node : graph.nodes) {
    std::vector<Shape> inputs;
    for (const int input : node.inputs) {
      inputs.push_back(graph.tensors[static_cast<size_t>(input)].shape);
    }
    macs += node.op->macs(inputs);
    if (macs > kMostMacs) return false;
  }
  return true;
}

}  // namespace

void run_network(const backends::IntGraph& network) {
  const sim::Graph graph = backends::lower(network, profile());
  if (!is_small(graph)) return;
  const sim::Executor executor(graph, {});
  std::vector<Tensor> inputs;
  for (const int input : graph.inputs) {
    const sim::Graph::TensorInfo& info = graph.tensors[static_cast<size_t>(input)];
    inputs.emplace_back(info.dtype, info.shape);
  }
  executor.run(std::move(inputs));
}

}  // namespace facsim::fuzz
