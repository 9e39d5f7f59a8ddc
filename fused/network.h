// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/graph/float_graph.h"
#include "backends/io/npy.h"
#include "backends/profile/profile.h"
#include "fused/module.h"

namespace facsim::fused {

class PatternRegistry;

/// Where a layer of a float network goes when it is fused.
struct FusionRemark {
  std::string node, op;
  std::string pattern;  ///< the pattern it becomes part of, by nni's name; empty: it stays alone
  std::string into;     ///< the fused node's name, that of the pattern's last layer
  std::string reason;   ///< why a layer stays alone that patterns have a place for; else empty
};

/// A DAG of modules: float at first, then fused, then quantized for a profile, then converted.
class Network {
 public:
  /// Modules of a float network, parameters initialised as PyTorch's defaults from `seed`
  /// (kaiming_uniform a=sqrt(5); own generator, so the same bits everywhere), then those that the
  /// network brings (FloatGraph::parameters). Error: their check_parameters.
  static Network from_graph(const backends::FloatGraph& graph, uint64_t seed);

  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;
  ~Network();

  /// Replaces each match of a pattern by its nni module (longest match first). Parameters move
  /// along.
  void fuse(const PatternRegistry& patterns);
  /// What `fuse` would do with each layer, in order, and why it would leave one out. The network
  /// must be float and not fused yet.
  std::vector<FusionRemark> fusion_remarks(const PatternRegistry& patterns) const;
  /// nn/nni -> nnqat/nniqat by from_float, quantizers by the profile; adds the input quantizer.
  void prepare_qat(const backends::Profile& profile, const PatternRegistry& patterns);
  /// With the profiles that single layers name (FloatNode::profile), by name. Error unsupported for
  /// a layer whose profile is not among them.
  void prepare_qat(const backends::Profile& profile, const PatternRegistry& patterns,
                   const std::map<std::string, backends::Profile>& layer_profiles);
  bool quantized() const;
  /// Profiles that layers name and prepare_qat needs.
  std::vector<std::string> layer_profiles() const;

  /// Input float32 NHWC [N, H, W, C] (preprocessed); output the last node's Value.
  Value forward(const Tensor& input, const Context& context);
  void backward(const Tensor& dy, const Context& context);
  /// Values of the last forward's float input that were off the input quantizer's grid (rounded).
  int64_t off_grid_inputs() const;
  /// The input's and every node's Value of the last forward, by name ("input" first), in order.
  std::vector<std::pair<std::string, Value>> values() const;

  /// type_name() of every node's module, in order.
  std::vector<std::string> module_types() const;
  std::vector<Parameter*> parameters();
  /// Parameters and buffers by "node.name", for checkpoints.
  backends::NamedTensors state();
  void load_state(
      const backends::NamedTensors& state);  ///< Error names what is missing or misshapen

  /// The float network that this one was made from, with the parameters it has now (copies), also
  /// when it is fused or quantized: training moves the same ones.
  backends::FloatGraph float_graph() const;

  /// The deployed integer network. In eval, forward in `simulate` equals it bit for bit.
  ///
  /// The graph's input is the tensor "input" of codes with the input quantizer's parameters:
  /// whoever runs it quantizes preprocessed images by them. Its layout is NHWC, its tensors have
  /// the nodes' names.
  backends::IntGraph convert() const;

  struct Impl;

 private:
  explicit Network(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace facsim::fused
