// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/graph/float_graph.h"
#include "backends/io/npy.h"
#include "backends/profile/profile.h"
#include "fused/module.h"

namespace facsim::fused {

class PatternRegistry;

/// A DAG of modules: float at first, then fused, then quantized for a profile, then converted.
class Network {
 public:
  /// Modules of a float network, parameters initialised as PyTorch's defaults from `seed`
  /// (kaiming_uniform a=sqrt(5); own generator, so the same bits everywhere).
  static Network from_graph(const backends::FloatGraph& graph, uint64_t seed);

  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;
  ~Network();

  /// Replaces each match of a pattern by its nni module (longest match first). Parameters move along.
  void fuse(const PatternRegistry& patterns);
  /// nn/nni -> nnqat/nniqat by from_float, quantizers by the profile; adds the input quantizer.
  void prepare_qat(const backends::Profile& profile, const PatternRegistry& patterns);
  bool quantized() const;

  /// Input float32 NHWC [N, H, W, C] (preprocessed); output the last node's Value.
  Value forward(const Tensor& input, const Context& context);
  void backward(const Tensor& dy, const Context& context);
  /// Every node's Value of the last forward, by node name, in order.
  std::vector<std::pair<std::string, Value>> values() const;

  std::vector<Parameter*> parameters();
  /// Parameters and buffers by "node.name", for checkpoints.
  backends::NamedTensors state();
  void load_state(const backends::NamedTensors& state);  ///< Error names what is missing or misshapen

  /// The deployed integer network. In eval, forward in `simulate` equals it bit for bit.
  backends::IntGraph convert() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace facsim::fused
