// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/compare_network.h"

#include <algorithm>

#include "sim/graph/executor.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

constexpr int64_t kImagesInMemory = 256;  // images whose tensors are all in memory

Shape with_batch(Shape shape, int64_t images) {
  shape[0] = images;
  return shape;
}

/// One tensor of the network with its golden values.
struct Compared {
  int tensor = 0;
  const sim::Graph::Node* node = nullptr;  ///< null for a network input
  const Tensor* golden = nullptr;
  backends::TensorComparator comparator;
  std::optional<Divergence> divergence;
};

Divergence explain(const sim::Graph& graph, const sim::Graph::Node& node,
                   const std::vector<Tensor>& batch, int64_t index_in_batch) {
  const Tensor& output = batch[static_cast<size_t>(node.output)];
  const int64_t per_image = output.numel() / output.shape()[0];
  const int64_t image = index_in_batch / per_image;
  std::vector<Tensor> inputs;
  for (const int t : node.inputs) inputs.push_back(batch[static_cast<size_t>(t)].slice(image, 1));
  std::vector<const Tensor*> pointers;
  for (const Tensor& input : inputs) pointers.push_back(&input);
  return {graph.tensors[static_cast<size_t>(node.output)].name, node.name,
          std::string(node.op->kind()), node.op->explain(pointers, index_in_batch % per_image)};
}

class Comparison {
 public:
  Comparison(const DeployedNetwork& network, const backends::NamedTensors& golden, int64_t images,
             int first_mismatches)
      : network_(network), graph_(network.executable()) {
    for (size_t t = 0; t < graph_.tensors.size(); ++t) {
      const auto found = std::find_if(golden.begin(), golden.end(), [&](const auto& entry) {
        return entry.first == graph_.tensors[t].name;
      });
      if (found != golden.end()) add(static_cast<int>(t), found->second, images, first_mismatches);
    }
    for (const auto& [name, tensor] : golden) {
      const bool known =
          std::any_of(graph_.tensors.begin(), graph_.tensors.end(),
                      [&, &wanted = name](const auto& info) { return info.name == wanted; });
      if (!known) {
        result_.report.structure.push_back({name,
                                            backends::StructuralDifference::Kind::missing_in_got,
                                            "", "a tensor of the network"});
      }
    }
  }

  bool nothing_to_compare() const { return compared_.empty(); }

  void add_batch(const std::vector<Tensor>& batch, int64_t first_image) {
    for (Compared& c : compared_) {
      const Tensor got = network_.to_file_layout(batch[static_cast<size_t>(c.tensor)]);
      const int64_t before = c.comparator.result().compared;
      c.comparator.add(got, c.golden->slice(first_image, got.shape()[0]));
      const auto& first = c.comparator.result().first;
      if (first.empty() || c.divergence || c.node == nullptr) continue;
      const int64_t in_batch = first.front().flat_index - before;
      c.divergence =
          explain(graph_, *c.node, batch,
                  network_.internal_index(in_batch, batch[static_cast<size_t>(c.tensor)].shape()));
    }
  }

  NetworkComparison take() {
    for (Compared& c : compared_) {
      result_.report.tensors.push_back(c.comparator.result());
      if (c.divergence) result_.divergences.push_back(std::move(*c.divergence));
    }
    return std::move(result_);
  }

 private:
  void add(int t, const Tensor& golden, int64_t images, int first_mismatches) {
    const sim::Graph::TensorInfo& info = graph_.tensors[static_cast<size_t>(t)];
    const Shape shape = network_.to_file_layout(Tensor(info.dtype, info.shape)).shape();
    auto structure = backends::compare_structure(info.name, info.dtype, with_batch(shape, images),
                                                 golden.dtype(), golden.shape());
    if (structure) {
      result_.report.structure.push_back(std::move(*structure));
      return;
    }
    const auto node = std::find_if(graph_.nodes.begin(), graph_.nodes.end(),
                                   [&](const auto& n) { return n.output == t; });
    compared_.push_back({t, node == graph_.nodes.end() ? nullptr : &*node, &golden,
                         backends::TensorComparator(info.name, info.dtype, golden.shape(),
                                                    std::max(1, first_mismatches)),
                         std::nullopt});
  }

  const DeployedNetwork& network_;
  const sim::Graph& graph_;
  std::vector<Compared> compared_;
  NetworkComparison result_;
};

}  // namespace

NetworkComparison compare_network(const DeployedNetwork& network, const std::vector<Tensor>& inputs,
                                  const backends::NamedTensors& golden, int first_mismatches,
                                  const Globals& globals) {
  const int64_t images = inputs[0].shape()[0];
  Comparison comparison(network, golden, images, first_mismatches);
  sim::ExecutorOptions options;
  options.isa = globals.isa;
  options.threads = globals.threads;
  options.trace = true;
  options.progress = [](int64_t, int64_t) { throw_if_interrupted(); };
  const sim::Executor executor(network.executable(), options);
  ProgressBar bar("compare", images, globals.progress);
  for (int64_t begin = 0; begin < images && !comparison.nothing_to_compare();
       begin += kImagesInMemory) {
    const int64_t count = std::min(kImagesInMemory, images - begin);
    std::vector<Tensor> batch;
    for (const Tensor& input : inputs) batch.push_back(input.slice(begin, count));
    comparison.add_batch(executor.run(std::move(batch)).tensors, begin);
    bar.update(begin + count);
  }
  return comparison.take();
}

}  // namespace facsim::cli
