// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/observed_accumulators.h"

#include <algorithm>

#include "sim/core/parallel.h"
#include "sim/graph/executor.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

constexpr int64_t kObservedAtOnce = 64;  // images whose tensors are all in memory

void observe_layer(const sim::Op& op, const Tensor& batch, sim::ThreadPool& pool, sim::Isa isa,
                   LayerRange& layer) {
  const sim::Conv2d& conv = *convolution_of(op);
  const sim::Conv2dParams& params = conv.params();
  const int64_t in = params.weights.shape()[3];
  const bool is_linear = op.kind() == "linear";
  const Tensor images = is_linear ? batch.reshaped({batch.numel() / in, 1, 1, in}) : batch;
  const Shape shapes[] = {images.shape()};
  Tensor accumulators =
      Tensor::uninitialized(accumulator_dtype(params.accumulator), conv.output_shape(shapes));
  sim::AccumulatorStatistics statistics;
  conv2d_accumulate(params, images, accumulators, statistics, {isa, &pool, false});
  layer.observed.resize(layer.channels.size(), {INT64_MAX, INT64_MIN});
  for (size_t c = 0; c < layer.observed.size(); ++c) {
    layer.observed[c].min = std::min(layer.observed[c].min, statistics.min[c]);
    layer.observed[c].max = std::max(layer.observed[c].max, statistics.max[c]);
  }
}

}  // namespace

void observe_accumulators(const sim::Graph& graph, const std::vector<Tensor>& inputs,
                          const Globals& globals, std::vector<LayerRange>& layers) {
  sim::ExecutorOptions options;
  options.isa = globals.isa;
  options.threads = globals.threads;
  options.trace = true;
  const sim::Executor executor(graph, options);
  sim::ThreadPool pool(globals.threads);
  const int64_t images = inputs[0].shape()[0];
  ProgressBar bar("ranges", images, globals.progress);
  for (int64_t first = 0; first < images; first += kObservedAtOnce) {
    throw_if_interrupted();
    const int64_t count = std::min(kObservedAtOnce, images - first);
    std::vector<Tensor> batch;
    for (const Tensor& input : inputs) batch.push_back(input.slice(first, count));
    const sim::RunResult result = executor.run(std::move(batch));
    auto layer = layers.begin();
    for (const sim::Graph::Node& node : graph.nodes) {
      if (convolution_of(*node.op) == nullptr) continue;
      observe_layer(*node.op, result.tensors[static_cast<size_t>(node.inputs[0])], pool,
                    globals.isa, *layer++);
    }
    bar.update(first + count);
  }
}

}  // namespace facsim::cli
