// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "backends/lower/requantize-internal.h"

namespace facsim::backends::detail {

/// A node with its tensors and the profile it is lowered under: the only place where a lowering
/// looks something up. Accessors throw Error for what a hostile graph lacks.
class NodeView {
 public:
  NodeView(const IntGraph& graph, const IntNode& node, const Profile& profile)
      : graph_(graph), node_(node), profile_(profile) {}

  const IntNode& node() const { return node_; }
  const Profile& profile() const { return profile_; }
  const NodeAttributes& attributes() const { return node_.attributes; }
  /// Of the variant that the type of input 0 chooses.
  const OpRules& rules(std::string_view op) const;

  size_t input_count() const { return node_.inputs.size(); }
  const IntTensor& tensor(size_t input) const;
  const IntTensor& output_tensor() const;
  /// Error missing_key if the tensor has no quantization parameters.
  const quant::QParams& qparams(size_t input) const;
  const quant::QParams& output() const;
  /// Data of a constant input. Error unsupported if it is computed.
  const Tensor& constant(size_t input) const;
  /// Input `input` as a bias; empty if the node has none.
  LayerBias bias(size_t input) const;
  /// Error unsupported unless input 0 and the output share type, scale and zero point.
  void require_same_qparams() const;

 private:
  const IntGraph& graph_;
  const IntNode& node_;
  const Profile& profile_;
};

using Lowering = std::shared_ptr<const sim::Op> (*)(const NodeView& node);

#define FACSIM_LOWERING(source, op) \
  std::shared_ptr<const sim::Op> lower_node_##op(const NodeView& node);
#include "backends/lower/lowerings.def"
#undef FACSIM_LOWERING

/// Null for an op without a line in lowerings.def.
Lowering find_lowering(std::string_view op);

}  // namespace facsim::backends::detail
