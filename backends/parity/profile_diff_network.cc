// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/profile_diff_network.h"

#include <algorithm>

#include "backends/parity/element.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

bool differs_at(const Tensor& a, const Tensor& b, int64_t i) {
  if (a.dtype() == DType::float32) return a.data<float>()[i] != b.data<float>()[i];
  return a.int_at(i) != b.int_at(i);
}

bool same_form(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape();
}

int64_t count_differing(const Tensor& a, const Tensor& b) {
  if (!same_form(a, b)) return a.numel();
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) count += differs_at(a, b, i);
  return count;
}

}  // namespace

NetworkDiff::NetworkDiff(const IntGraph& graph, const Profile& a, const Profile& b,
                         const ProfileResolver& resolve, const sim::ExecutorOptions& options)
    : graph_(graph), a_(lower(graph, a, resolve)), isa_(options.isa) {
  sim::ExecutorOptions traced = options;
  traced.trace = true;
  run_a_.emplace(a_, traced);
  sim::Graph under_b = a_;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const IntNode& node = graph.nodes[i];
    LayerDifference layer;
    layer.node = node.name;
    layer.op = node.op;
    layer.tensor = graph.tensors[static_cast<size_t>(node.output)].name;
    try {
      const bool own = !node.profile.empty() && node.profile != b.name;
      b_.push_back(lower_node(graph, node, own ? resolve(node.profile) : b));
      under_b.nodes[i].op = b_.back();
    } catch (const Error& error) {
      b_.push_back(nullptr);
      layer.unsupported = to_string(error.infos().front());
    }
    layers_.push_back(std::move(layer));
  }
  const bool all = std::all_of(b_.begin(), b_.end(), [](const auto& op) { return op != nullptr; });
  if (!all) return;
  for (LayerDifference& layer : layers_) layer.whole = 0;
  run_b_.emplace(std::move(under_b), traced);
}

void NetworkDiff::add(const std::vector<Tensor>& inputs) {
  const std::vector<Tensor> under_a = run_a_->run(inputs).tensors;
  for (size_t node = 0; node < layers_.size(); ++node) compare_layer(node, under_a);
  if (!run_b_) return;
  const std::vector<Tensor> under_b = run_b_->run(inputs).tensors;
  for (size_t node = 0; node < layers_.size(); ++node) {
    const auto output = static_cast<size_t>(a_.nodes[node].output);
    *layers_[node].whole += count_differing(under_a[output], under_b[output]);
  }
}

void NetworkDiff::compare_layer(size_t node, const std::vector<Tensor>& under_a) {
  LayerDifference& layer = layers_[node];
  const Tensor& expected = under_a[static_cast<size_t>(a_.nodes[node].output)];
  layer.compared += expected.numel();
  if (b_[node] == nullptr) return;
  std::vector<const Tensor*> inputs;
  for (const int t : a_.nodes[node].inputs) inputs.push_back(&under_a[static_cast<size_t>(t)]);
  Tensor got(b_[node]->output_dtype(), expected.shape());
  b_[node]->run(inputs, got, {isa_, nullptr, false});
  if (!same_form(expected, got)) {
    layer.own += expected.numel();
    return;
  }
  for (int64_t i = 0; i < expected.numel(); ++i) {
    if (!differs_at(expected, got, i)) continue;
    ++layer.own;
    if (expected.dtype() != DType::float32) {
      const auto distance = static_cast<sim::int128>(expected.int_at(i)) - got.int_at(i);
      layer.own_largest =
          std::max(layer.own_largest, static_cast<uint64_t>(distance < 0 ? -distance : distance));
    }
    if (layer.own <= LayerDifference::kExplained) explain(node, inputs, i);
  }
}

void NetworkDiff::explain(size_t node, const std::vector<const Tensor*>& inputs, int64_t index) {
  const auto distance = element_chain(graph_, a_, node, inputs, index, 0).tie_distance;
  if (!distance) return;
  ++layers_[node].explained;
  layers_[node].near_tie += *distance <= LayerDifference::kNearTie;
}

}  // namespace facsim::backends
