// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fused/network.h"
#include "quant/fake_quantize/fake_quantizer.h"

namespace facsim::fused {

/// One module of a network. `inputs` are node numbers, kNetworkInput for the network's input.
struct NetworkNode {
  static constexpr int kNetworkInput = -1;
  std::string name;
  std::vector<int> inputs;
  std::vector<backends::FloatNode> specs;  ///< the float nodes it stands for, in order
  std::string pattern;  ///< the pattern that fused it or that maps it; empty: none
  std::unique_ptr<Module> module;
  const std::string& profile() const { return specs.front().profile; }
};

struct Network::Impl {
  backends::FloatGraph graph;      ///< name, input shape, preprocessing, outputs
  std::vector<NetworkNode> nodes;  ///< in topological order
  int output = 0;                  ///< node number

  /// Set by prepare_qat.
  std::shared_ptr<const backends::Profile> profile;
  std::map<std::string, std::shared_ptr<const backends::Profile>> other_profiles;
  std::unique_ptr<quant::FakeQuantizer> input_quantizer;
  std::vector<Buffer> input_buffers;

  /// Of the last forward.
  std::vector<Value> values;
  Value input_value;
  int64_t off_grid = 0;

  const backends::Profile* profile_of(const NetworkNode& node) const;
  Value quantize_input(const Tensor& input, const Context& context);
  /// Consumers of each node; the network's output counts as one.
  std::vector<std::vector<int>> consumers() const;
};

/// The float module of a node. Error unsupported for an op this library does not know.
std::unique_ptr<Module> make_module(const backends::FloatNode& node);

/// Replaces the longest match at each node, in order.
void fuse_nodes(Network::Impl& network, const PatternRegistry& patterns);

}  // namespace facsim::fused
