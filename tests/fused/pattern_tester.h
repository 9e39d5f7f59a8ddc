// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "backends/graph/float_graph.h"
#include "fused/network.h"

namespace facsim::fused::test {

/// A node of a small network: op, name, inputs.
backends::FloatNode node(std::string op, std::string name, std::vector<std::string> inputs);
backends::FloatNode conv(std::string name, std::string input, int64_t in, int64_t out,
                         int64_t kernel = 3, int64_t groups = 1);
/// Kernel 3, padding 1, two groups; output_padding stride - 1.
backends::FloatNode conv_transpose(std::string name, std::string input, int64_t in, int64_t out,
                                   int64_t stride);
backends::FloatNode linear(std::string name, std::string input, int64_t in, int64_t out);
backends::FloatNode batch_norm(std::string op, std::string name, std::string input,
                               int64_t features);

/// A network over [N, H, W, C] images.
backends::FloatGraph graph(std::array<int64_t, 3> chw, std::vector<backends::FloatNode> nodes);

/// Normal values from a fixed seed.
Tensor random_tensor(Shape shape, uint64_t seed, float scale = 1);
/// Moves every parameter and running statistic away from its start, the same way for the same seed.
void disturb(Network& network, uint64_t seed);

/// What every pattern must show: the fused network computes what the float one did (outputs,
/// input-side gradients, running statistics), in training and in eval; and quantized for each
/// profile at hand, QAT eval equals the converted graph run by the executor on the scalar norm, bit
/// for bit, and batch norm statistics move while training. `fused_type` is the expected type of the
/// last fused node's module.
void check_pattern(const backends::FloatGraph& graph, const std::string& fused_type);
void check_pattern(const backends::FloatGraph& graph, const std::string& fused_type,
                   const std::vector<std::string>& profiles);
/// The quantized half alone, for patterns of one op: nothing is fused.
void check_quantized(const backends::FloatGraph& graph, const std::string& qat_type);
void check_quantized(const backends::FloatGraph& graph, const std::string& qat_type,
                     const std::vector<std::string>& profiles);

/// The shipped profiles every module is checked with, if no others are given.
const std::vector<std::string>& profile_names();
/// Those of them, and others, that have transposed convolutions.
const std::vector<std::string>& transposing_profiles();
backends::Profile profile(std::string_view name);
/// Eval forward of every node equals the converted graph on the scalar norm.
void check_deployed(Network& network, const backends::Profile& profile, const Tensor& x);

}  // namespace facsim::fused::test
