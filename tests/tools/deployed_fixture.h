// SPDX-License-Identifier: Apache-2.0
// A small deployed network on disk, and its results by the library.
#pragma once

#include <cstring>

#include "backends/io/network_file.h"
#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "sim/graph/executor.h"
#include "tests/formats/small_network.h"
#include "tests/tools/command_runner.h"

namespace facsim::test {

/// small_network() as tflite-micro executes it.
inline backends::IntGraph deployable_network(backends::IntGraph::Layout layout) {
  backends::IntGraph graph = small_network();
  graph.profile_fingerprint.clear();
  graph.layout = layout;
  graph.nodes[1].profile.clear();
  quant::QParams bias;
  bias.scale.clear();
  for (const float scale : graph.tensors[1].qparams->scale) bias.scale.push_back(0.5f * scale);
  bias.zero_point = {0, 0, 0};
  bias.channel_axis = 0;
  bias.type = sim::kInt32;
  bias.quant_min = INT32_MIN;
  bias.quant_max = INT32_MAX;
  graph.tensors[2].qparams = bias;
  return graph;
}

inline Tensor codes(const Shape& shape, int64_t step) {
  Tensor tensor(DType::int8, shape);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, i * step % 256 - 128);
  return tensor;
}

inline bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

struct DeployedFixture {
  TempFolder folder;
  backends::IntGraph graph;
  Tensor input;             ///< NHWC codes
  sim::RunResult expected;  ///< traced, by the norm

  explicit DeployedFixture(backends::IntGraph::Layout layout = backends::IntGraph::Layout::nhwc,
                           int64_t images = 5)
      : graph(deployable_network(layout)), input(codes({images, 4, 4, 2}, 37)) {
    backends::write_int_graph(folder / "net.json", graph);
    const backends::Profile profile =
        backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
    sim::ExecutorOptions options;
    options.isa = sim::Isa::scalar;
    options.trace = true;
    expected = sim::Executor(backends::lower(graph, profile), options).run({input});
    backends::write_npz(folder / "x.npz", {{"x", input}});
  }

  std::string file(std::string_view name) const { return (folder / name).string(); }
};

}  // namespace facsim::test
