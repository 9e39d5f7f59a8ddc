// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/io/npy.h"
#include "sim/graph/graph.h"

namespace facsim::backends::detail {

using OpPointer = std::shared_ptr<const sim::Op>;
using OpsByNode = std::map<size_t, OpPointer>;  ///< of the nodes that have another op

/// One flag for each element: elements are compared by their bytes, codes and float32 as the device
/// wrote it.
std::vector<char> differing(const Tensor& a, const Tensor& b);
int64_t count_of(const std::vector<char>& flags);
Tensor take_images(const Tensor& tensor, const std::vector<int64_t>& images);

/// Golden's arrays by tensor of the graph, NHWC; empty where it holds none. What is to be said of
/// them is added to `notes`: layouts, other inputs, unknown names.
///
/// An array whose shape only fits as NCHW is taken as that; where both shapes are equal (C = H =
/// W), see `is_nchw_by_values`. Error shape_mismatch: no output of a node among them, or a shape
/// that fits in neither way.
std::vector<Tensor> golden_tensors(const sim::Graph& graph, const std::vector<Tensor>& inputs,
                                   const NamedTensors& golden, std::vector<std::string>& notes);
Shape nchw_of(const Shape& nhwc);
Tensor nhwc_from_nchw(const Tensor& nchw);
/// True if `golden` is NCHW by its values: [N, C, H, W] and [N, H, W, C] are one shape, and taking
/// it as NCHW more than halves the values that differ from `own`.
bool is_nchw_by_values(const Tensor& own, const Tensor& golden);

/// A network with what golden says about its tensors.
class GoldenRun {
 public:
  /// `values`: by tensor of the graph; inputs always.
  GoldenRun(const sim::Graph& graph, std::vector<Tensor> values, sim::Isa isa);

  const Tensor* golden(int tensor) const {
    const Tensor& t = golden_[static_cast<size_t>(tensor)];
    return t.empty() ? nullptr : &t;
  }
  bool holds(size_t node) const { return golden(graph_.nodes[node].output) != nullptr; }
  /// Whether a node's output depends on no other node's op, and none on its own.
  bool is_alone(size_t node) const;

  /// Outputs of every node as the graph computes them.
  void compute();
  const Tensor& own(size_t node) const { return own_[node]; }

  /// Outputs that differ from the graph's own when some nodes have other ops, of the nodes that
  /// `targets` need. A node sees golden's inputs where there are any.
  std::map<size_t, Tensor> changed_outputs(const OpsByNode& ops,
                                           const std::vector<size_t>& targets) const;
  /// The nodes that must be run for the outputs of `targets`, one flag for each.
  std::vector<char> needed_for(const std::vector<size_t>& targets) const;
  /// Multiply-accumulates and elements of all that was run.
  int64_t work() const { return work_; }

 private:
  size_t producer(int tensor) const { return producers_[static_cast<size_t>(tensor)]; }
  const Tensor* value(int tensor) const;
  template <class Value>
  Tensor run(size_t n, const sim::Op& op, const Value& value_of) const;

  const sim::Graph& graph_;
  std::vector<size_t> producers_;  ///< by tensor; nodes.size() of a network input
  std::vector<Tensor> golden_;     ///< by tensor
  std::vector<Tensor> own_;        ///< by node
  sim::RunContext context_{};
  mutable int64_t work_ = 0;
};

}  // namespace facsim::backends::detail
