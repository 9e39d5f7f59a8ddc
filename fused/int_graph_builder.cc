// SPDX-License-Identifier: Apache-2.0
#include "fused/int_graph_builder.h"

namespace facsim::fused {

void IntGraphBuilder::begin(std::string node, std::string profile) {
  node_ = std::move(node);
  profile_ = std::move(profile);
}

std::string IntGraphBuilder::name(std::string_view suffix) const {
  return suffix.empty() ? node_ : node_ + "." + std::string(suffix);
}

int IntGraphBuilder::add_input(std::string name, const quant::QParams& qparams, Shape shape) {
  backends::IntTensor tensor;
  tensor.name = std::move(name);
  tensor.dtype = qparams.type.storage();
  tensor.shape = std::move(shape);
  tensor.qparams = qparams;
  graph_.tensors.push_back(std::move(tensor));
  graph_.inputs.push_back(static_cast<int>(graph_.tensors.size()) - 1);
  return graph_.inputs.back();
}

int IntGraphBuilder::add_constant(std::string name, Tensor data,
                                  std::optional<quant::QParams> qparams) {
  backends::IntTensor tensor;
  tensor.name = std::move(name);
  tensor.dtype = data.dtype();
  tensor.shape = data.shape();
  tensor.qparams = std::move(qparams);
  tensor.data = std::move(data);
  graph_.tensors.push_back(std::move(tensor));
  return static_cast<int>(graph_.tensors.size()) - 1;
}

int IntGraphBuilder::add_node(backends::IntNode node, std::string name, std::vector<int> inputs,
                              const quant::QParams& output, Shape shape) {
  backends::IntTensor tensor;
  tensor.name = name;
  tensor.dtype = output.type.storage();
  tensor.shape = std::move(shape);
  tensor.qparams = output;
  graph_.tensors.push_back(std::move(tensor));
  node.name = std::move(name);
  node.inputs = std::move(inputs);
  node.output = static_cast<int>(graph_.tensors.size()) - 1;
  node.profile = profile_;
  graph_.nodes.push_back(std::move(node));
  return graph_.nodes.back().output;
}

}  // namespace facsim::fused
