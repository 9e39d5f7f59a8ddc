// SPDX-License-Identifier: Apache-2.0
// Small quantized networks, drawn at random, for the writers of network files.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"

namespace facsim::test {

/// Builds one network; everything drawn comes from `seed`. Activations have type `type`.
class IntGraphMaker {
 public:
  IntGraphMaker(uint64_t seed, sim::IntType type) : random_(seed), type_(type) {}

  int64_t pick(int64_t low, int64_t high);  ///< both included
  bool coin() { return pick(0, 1) == 1; }
  float real(float low, float high);
  sim::IntType type() const { return type_; }

  /// Codes that cover about [-range, range], zero point anywhere; or [0, range], lowest code 0.
  quant::QParams centred(float range);
  quant::QParams positive(float range);
  quant::QParams any(float range) { return coin() ? centred(range) : positive(range); }

  int input(Shape shape, const quant::QParams& qparams);
  int constant(Tensor data, std::optional<quant::QParams> qparams);
  Tensor codes(sim::IntType type, Shape shape);

  /// Adds a node; its output's shape follows from it. Returns the output's number.
  int node(const std::string& op, std::vector<int> inputs,
           const backends::NodeAttributes& attributes, const quant::QParams& output);
  /// conv2d or linear with weights of `shape` (output channels first), int32 bias.
  int layer(const std::string& op, int x, Shape weights, backends::NodeAttributes attributes,
            bool per_channel);
  const backends::IntTensor& tensor(int number) const {
    return graph_.tensors[static_cast<size_t>(number)];
  }
  const backends::IntGraph& graph() const { return graph_; }
  const quant::QParams& qparams(int number) const { return *tensor(number).qparams; }

  backends::IntGraph take(std::vector<int> outputs);

 private:
  std::string fresh(const std::string& stem) { return stem + std::to_string(names_++); }

  std::mt19937_64 random_;
  sim::IntType type_;
  backends::IntGraph graph_;
  int names_ = 0;
};

/// What is drawn: one op (or a small network) with all its attributes.
struct IntGraphFamily {
  const char* name;
  backends::IntGraph (*make)(IntGraphMaker&);
};
const std::vector<IntGraphFamily>& int_graph_families();

/// Codes for the inputs of a network, `images` of them.
std::vector<Tensor> random_inputs(const backends::IntGraph& graph, int64_t images, uint64_t seed);

}  // namespace facsim::test
