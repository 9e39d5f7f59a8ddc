// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/compare_network.h"

#include <algorithm>

#include "sim/graph/executor.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

constexpr int64_t kImagesInMemory = 256;  // images whose tensors are all in memory
constexpr int64_t kOccupancyShown = 32;   // images whose accumulators are measured for the page
constexpr size_t kTiesSampled = 400;      // differing elements of a tensor that are explained

Shape with_batch(Shape shape, int64_t images) {
  shape[0] = images;
  return shape;
}

/// The golden values brought to our layout as if they were of another.
struct Transposed {
  Layout theirs;
  Tensor golden;
  backends::TensorComparator comparator;
};

/// One tensor of the network with its golden values.
struct Compared {
  int tensor = 0;
  std::optional<size_t> node{};  ///< none for a network input
  const Tensor* golden = nullptr;
  bool fits = true;  ///< the shapes are equal
  backends::TensorComparator comparator;
  std::vector<Transposed> transposed{};
  std::optional<Divergence> divergence{};
  TieSample ties{};
};

/// The range of a layer's accumulators over a batch; nothing for other ops.
std::optional<ObservedRange> seen_accumulators(const sim::Op& op, const Tensor& input,
                                               const Globals& globals) {
  const sim::Conv2d* conv = convolution_of(op);
  if (conv == nullptr) return std::nullopt;
  const int64_t in = conv->params().weights.shape()[3];
  const Tensor images =
      op.kind() == "linear" ? input.reshaped({input.numel() / in, 1, 1, in}) : input;
  const Shape shapes[] = {images.shape()};
  Tensor accumulators = Tensor::uninitialized(accumulator_dtype(conv->params().accumulator),
                                              conv->output_shape(shapes));
  sim::AccumulatorStatistics statistics;
  conv2d_accumulate(conv->params(), images, accumulators, statistics,
                    {globals.isa, nullptr, false});
  return ObservedRange{*std::min_element(statistics.min.begin(), statistics.min.end()),
                       *std::max_element(statistics.max.begin(), statistics.max.end())};
}

class Comparison {
 public:
  Comparison(const DeployedNetwork& network, const Golden& golden, int64_t images,
             const CompareOptions& options, const Globals& globals)
      : network_(network),
        graph_(network.executable()),
        options_(options),
        globals_(globals),
        explainer_(network, globals) {
    for (size_t t = 0; t < graph_.tensors.size(); ++t) {
      const auto found =
          std::find_if(golden.tensors.begin(), golden.tensors.end(),
                       [&](const auto& entry) { return entry.first == graph_.tensors[t].name; });
      if (found != golden.tensors.end()) add(static_cast<int>(t), found->second, images);
    }
    result_.report.structure.insert(result_.report.structure.end(), golden.structure.begin(),
                                    golden.structure.end());
    for (const auto& [name, tensor] : golden.tensors) {
      const bool known =
          std::any_of(graph_.tensors.begin(), graph_.tensors.end(),
                      [&, &wanted = name](const auto& info) { return info.name == wanted; });
      if (!known) {
        result_.report.structure.push_back({name,
                                            backends::StructuralDifference::Kind::missing_in_got,
                                            "", "a tensor of the network"});
      }
    }
    result_.notes = name_notes(golden.renamed, golden.suggestions);
  }

  bool nothing_to_compare() const { return compared_.empty(); }

  void add_batch(const std::vector<Tensor>& batch, int64_t first_image) {
    for (Compared& c : compared_) {
      const Tensor got = network_.to_file_layout(batch[static_cast<size_t>(c.tensor)]);
      const int64_t images = got.shape()[0];
      for (Transposed& other : c.transposed) {
        other.comparator.add(got, other.golden.slice(first_image, images));
      }
      if (!c.fits) continue;
      const int64_t before = c.comparator.result().compared;
      const Tensor expected = c.golden->slice(first_image, images);
      c.comparator.add(got, expected);
      const auto& first = c.comparator.result().first;
      if (first.empty() || !c.node) continue;
      if (!c.divergence) {
        explain_first(c, batch, expected, first.front(), first.front().flat_index - before);
      }
      if (options_.page) sample_ties(c, batch, got, expected);
    }
    if (options_.page && result_.occupancy.empty()) measure_occupancy(batch);
  }

  NetworkComparison take() {
    result_.layers = LayerNames(graph_);
    for (Compared& c : compared_) {
      const int64_t mismatches = c.comparator.result().mismatches;
      add_layout(c);
      if (!c.fits) continue;
      result_.report.tensors.push_back(c.comparator.result());
      if (c.divergence) result_.divergences.push_back(std::move(*c.divergence));
      if (options_.page && mismatches > 0 && c.node) result_.ties.push_back(std::move(c.ties));
    }
    return std::move(result_);
  }

 private:
  void add(int t, const Tensor& golden, int64_t images) {
    const sim::Graph::TensorInfo& info = graph_.tensors[static_cast<size_t>(t)];
    const Layout layout = network_.graph().layout;
    const Shape ours = with_batch(in_layout(info.shape, Layout::nhwc, layout), images);
    auto structure =
        backends::compare_structure(info.name, info.dtype, ours, golden.dtype(), golden.shape());
    const bool permuted = golden.dtype() == info.dtype && may_be_transposed(ours, golden.shape());
    const bool fits = !structure.has_value();
    if (structure) result_.report.structure.push_back(std::move(*structure));
    if (!fits && !permuted) return;
    Compared compared{
        .tensor = t,
        .golden = &golden,
        .fits = fits,
        .comparator = {info.name, info.dtype, ours, std::max(1, options_.first_mismatches)}};
    if (options_.page && ours.rank() > 1) {
      const bool channels_second = layout == Layout::nchw && ours.rank() == 4;
      compared.comparator.count_channels(channels_second ? 1 : ours.rank() - 1);
    }
    const auto node = std::find_if(graph_.nodes.begin(), graph_.nodes.end(),
                                   [&](const auto& n) { return n.output == t; });
    if (node != graph_.nodes.end()) {
      compared.node = static_cast<size_t>(node - graph_.nodes.begin());
    }
    // The largest of a hidden layer's values decides nothing.
    const auto& outputs = graph_.outputs;
    const bool is_output = std::find(outputs.begin(), outputs.end(), t) != outputs.end();
    if (!is_output) compared.comparator.ignore_classes();
    compared.ties.tensor = info.name;
    for (const Layout theirs : {Layout::nchw, Layout::nhwc}) {
      if (!permuted || in_layout(golden.shape(), theirs, other(theirs)) != ours) continue;
      compared.transposed.push_back(
          {theirs, in_layout(golden, theirs, other(theirs)), {info.name, info.dtype, ours, 0}});
    }
    compared_.push_back(std::move(compared));
  }

  /// The inputs of a node for one image of the batch.
  std::vector<Tensor> inputs_of(size_t node, const std::vector<Tensor>& batch,
                                int64_t image) const {
    std::vector<Tensor> inputs;
    for (const int t : graph_.nodes[node].inputs) {
      inputs.push_back(batch[static_cast<size_t>(t)].slice(image, 1));
    }
    return inputs;
  }

  static std::vector<const Tensor*> pointers(const std::vector<Tensor>& tensors) {
    std::vector<const Tensor*> result;
    for (const Tensor& tensor : tensors) result.push_back(&tensor);
    return result;
  }

  void explain_first(Compared& c, const std::vector<Tensor>& batch, const Tensor& expected,
                     const backends::Mismatch& first, int64_t in_batch) {
    const sim::Graph::Node& node = graph_.nodes[*c.node];
    const Tensor& output = batch[static_cast<size_t>(c.tensor)];
    const int64_t inside = network_.internal_index(in_batch, output.shape());
    const int64_t per_image = output.numel() / output.shape()[0];
    const std::vector<Tensor> inputs = inputs_of(*c.node, batch, inside / per_image);
    Divergence divergence;
    divergence.tensor = graph_.tensors[static_cast<size_t>(c.tensor)].name;
    divergence.node = node.name;
    divergence.op = node.op->kind();
    divergence.index = first.index;
    divergence.element = explainer_.explain(*c.node, pointers(inputs), inside % per_image,
                                            first.index.empty() ? 0 : first.index[0], 0);
    if (expected.dtype() != DType::float32) divergence.expected = expected.int_at(in_batch);
    if (!node.inputs.empty()) {
      const Tensor& input = batch[static_cast<size_t>(node.inputs[0])];
      divergence.seen = seen_accumulators(*node.op, input, globals_);
      divergence.seen_images = input.shape()[0];
    }
    c.divergence = std::move(divergence);
  }

  void sample_ties(Compared& c, const std::vector<Tensor>& batch, const Tensor& got,
                   const Tensor& expected) const {
    if (got.dtype() == DType::float32) return;
    const Tensor& output = batch[static_cast<size_t>(c.tensor)];
    const int64_t per_image = output.numel() / output.shape()[0];
    for (int64_t i = 0; i < got.numel() && c.ties.distances.size() < kTiesSampled; ++i) {
      if (got.int_at(i) == expected.int_at(i)) continue;
      const int64_t inside = network_.internal_index(i, output.shape());
      const std::vector<Tensor> inputs = inputs_of(*c.node, batch, inside / per_image);
      const backends::ElementChain chain = backends::element_chain(
          network_.graph(), graph_, *c.node, pointers(inputs), inside % per_image, 0);
      if (!chain.tie_distance) return;
      c.ties.distances.push_back(*chain.tie_distance);
      ++c.ties.reaches[backends::reach(chain, expected.int_at(i))];
    }
  }

  void measure_occupancy(const std::vector<Tensor>& batch) {
    backends::NamedTensors activations;
    for (size_t t = 0; t < batch.size(); ++t) {
      activations.emplace_back(graph_.tensors[t].name, batch[t]);
    }
    result_.occupancy_images = std::min(kOccupancyShown, batch[0].shape()[0]);
    result_.occupancy = accumulator_occupancy(graph_, activations, result_.occupancy_images);
  }

  void add_layout(const Compared& c) {
    const Transposed* best = nullptr;
    for (const Transposed& other : c.transposed) {
      const bool better = best == nullptr || other.comparator.result().mismatches <
                                                 best->comparator.result().mismatches;
      if (better) best = &other;
    }
    if (best == nullptr) return;
    const backends::TensorComparison& transposed = best->comparator.result();
    LayoutFinding finding{transposed.name, best->theirs, transposed.compared,
                          transposed.mismatches};
    if (c.fits) {
      finding.as_they_are = c.comparator.result().mismatches;
      if (finding.mismatches * 2 >= *finding.as_they_are) return;
    }
    result_.layouts.push_back(std::move(finding));
  }

  const DeployedNetwork& network_;
  const sim::Graph& graph_;
  CompareOptions options_;
  const Globals& globals_;
  ElementExplainer explainer_;
  std::vector<Compared> compared_;
  NetworkComparison result_;
};

}  // namespace

NetworkComparison compare_network(const DeployedNetwork& network, const std::vector<Tensor>& inputs,
                                  const Golden& golden, const CompareOptions& compare_options,
                                  const Globals& globals) {
  const int64_t images = inputs[0].shape()[0];
  Comparison comparison(network, golden, images, compare_options, globals);
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
