// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "backends/onnx/onnx_model.h"

namespace facsim::backends::onnx {

/// The values of a graph that are known before it runs: initializers, Constant nodes, and what the
/// arithmetic on shapes that exporters leave in their files makes of them (Shape, Gather, Concat,
/// Slice, … ending in the target of a Reshape or the sides of a Pad).
class OnnxConstants {
 public:
  /// Reads the initializers; the graph must outlive it.
  explicit OnnxConstants(const OnnxGraph& graph);

  /// Null for a value that is not known.
  const Tensor* find(std::string_view name) const;
  bool known(std::string_view name) const { return find(name) != nullptr; }
  /// Shape of an activation, for Shape nodes.
  void set_shape(const std::string& name, const Shape& shape);

  /// Evaluates a node all of whose inputs are known. False, and nothing done, for any other node
  /// and for an op that is not among those of shape arithmetic. Integers become int64; a sum or
  /// product that leaves it, an index outside, or a result of more than 2^20 elements is not
  /// evaluated.
  ///
  /// Error unsupported when what was folded before and this take more than 1 GiB: each node counts
  /// with the larger of its inputs and its result, a Constant with nothing.
  bool fold(const OnnxNode& node);
  /// Counts memory or work that a node causes towards the same GiB.
  void spend(const OnnxNode& node, uint64_t bytes);

 private:
  uint64_t spent_ = 0;
  std::map<std::string, Tensor, std::less<>> values_;
  std::map<std::string, Shape, std::less<>> shapes_;
};

}  // namespace facsim::backends::onnx
