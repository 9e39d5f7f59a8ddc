// SPDX-License-Identifier: Apache-2.0
// Which node shows a difference by itself.
#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "backends/parity/compare.h"
#include "backends/parity/reduce-internal.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"

namespace facsim::backends {

namespace {

constexpr int64_t kImagesAtOnce = 16;

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

/// Nodes run one after the other on some images, each from golden's inputs where it has them.
class NodeSearch {
 public:
  NodeSearch(const IntGraph& graph, const NamedTensors& golden, const SimulatedSide& side)
      : graph_(graph), side_(side) {
    for (const auto& [name, tensor] : golden) golden_.emplace(name, &tensor);
  }

  /// Looks at the first `nodes` nodes only, and returns the number of the one found with it.
  std::optional<std::pair<size_t, Reproduction>> run(const std::vector<Tensor>& inputs,
                                                     int64_t begin, int64_t count, size_t nodes,
                                                     const StillShows& shows) {
    tensors_.assign(graph_.tensors.size(), Tensor());
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      take(graph_.inputs[i], inputs[i].slice(begin, count), begin);
    }
    for (size_t n = 0; n < nodes; ++n) {
      const IntNode& node = graph_.nodes[n];
      detail::LoneNode alone = detail::lone_node(graph_, node);
      Reproduction candidate{std::move(alone.graph), {}};
      for (const int t : alone.inputs) {
        candidate.inputs.push_back(tensors_[static_cast<size_t>(t)]);
      }
      const Tensor ours = output_of(candidate, side_);
      if (const Tensor* theirs = take(node.output, ours, begin)) {
        candidate.recorded = {ours, *theirs};
      }
      if (shows(candidate)) return std::pair(n, std::move(candidate));
    }
    return std::nullopt;
  }

 private:
  /// The tensor's value for the nodes behind it: golden's, which is returned, or `computed`.
  const Tensor* take(int tensor, Tensor computed, int64_t begin) {
    Tensor& now = tensors_[static_cast<size_t>(tensor)];
    const std::string& name = graph_.tensors[static_cast<size_t>(tensor)].name;
    const auto found = golden_.find(name);
    if (found == golden_.end()) {
      now = std::move(computed);
      return nullptr;
    }
    const Tensor& all = *found->second;
    const int64_t images = computed.shape()[0];
    if (all.shape().rank() == 0 || all.shape()[0] < begin + images) {
      throw Error({ErrorCode::shape_mismatch, "golden \"" + name + "\"",
                   "shape " + to_string(all.shape()), "as many images as the inputs have", ""});
    }
    now = all.slice(begin, images);
    if (const auto difference =
            compare_structure(name, computed.dtype(), computed.shape(), now.dtype(), now.shape())) {
      throw Error({ErrorCode::shape_mismatch, "golden", to_string(*difference), "", ""});
    }
    return &now;
  }

  const IntGraph& graph_;
  const SimulatedSide& side_;
  std::map<std::string, const Tensor*> golden_;
  std::vector<Tensor> tensors_;
};

}  // namespace

detail::LoneNode detail::lone_node(const IntGraph& graph, const IntNode& node) {
  LoneNode alone;
  alone.graph.name = "reduced";
  alone.graph.profile = graph.profile;
  IntNode copy = node;
  std::map<int, int> numbers;
  for (int& t : copy.inputs) {
    const auto [number, is_new] = numbers.emplace(t, static_cast<int>(alone.graph.tensors.size()));
    if (is_new) {
      alone.graph.tensors.push_back(graph.tensors[static_cast<size_t>(t)]);
      if (!alone.graph.tensors.back().data) {
        alone.graph.inputs.push_back(number->second);
        alone.inputs.push_back(t);
      }
    }
    t = number->second;
  }
  alone.graph.tensors.push_back(graph.tensors[static_cast<size_t>(node.output)]);
  copy.output = static_cast<int>(alone.graph.tensors.size()) - 1;
  alone.graph.outputs = {copy.output};
  alone.graph.nodes = {std::move(copy)};
  return alone;
}

Tensor output_of(const Reproduction& at, const SimulatedSide& side) {
  sim::ExecutorOptions options;
  options.threads = 1;
  sim::Graph graph =
      side.others ? lower(at.graph, side.profile, side.others) : lower(at.graph, side.profile);
  return sim::Executor(std::move(graph), options).run(at.inputs).outputs[0];
}

bool differs(const Reproduction& at, const SimulatedSide& a, const SimulatedSide& b) {
  return !same_bytes(output_of(at, a), output_of(at, b));
}

bool differs_from_recording(const Reproduction& at, const SimulatedSide& side) {
  if (!at.recorded || same_bytes(at.recorded->ours, at.recorded->theirs)) return false;
  return same_bytes(output_of(at, side), at.recorded->ours);
}

std::optional<Reproduction> first_node(const IntGraph& graph, const std::vector<Tensor>& inputs,
                                       const NamedTensors& golden, const SimulatedSide& side,
                                       const StillShows& shows) {
  if (inputs.empty() || inputs[0].empty()) {
    throw Error({ErrorCode::bad_value, "inputs", "no image", "one or more", ""});
  }
  const int64_t images = inputs[0].shape()[0];
  size_t nodes = graph.nodes.size();
  std::optional<Reproduction> first;
  NodeSearch search(graph, golden, side);
  for (int64_t begin = 0; begin < images && nodes > 0; begin += kImagesAtOnce) {
    const int64_t count = std::min(kImagesAtOnce, images - begin);
    auto found = search.run(inputs, begin, count, nodes, shows);
    if (!found) continue;
    nodes = found->first;
    first = std::move(found->second);
  }
  return first;
}

}  // namespace facsim::backends
