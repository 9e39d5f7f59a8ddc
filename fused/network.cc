// SPDX-License-Identifier: Apache-2.0
#include "fused/network.h"

#include <algorithm>
#include <cstring>

#include "fused/elementwise.h"
#include "fused/network_impl-internal.h"
#include "fused/patterns/pattern_registry.h"
#include "sim/core/error.h"

namespace facsim::fused {

const backends::Profile* Network::Impl::profile_of(const NetworkNode& node) const {
  if (node.profile().empty()) return profile.get();
  const auto found = other_profiles.find(node.profile());
  return found == other_profiles.end() ? profile.get() : found->second.get();
}

std::vector<std::vector<int>> Network::Impl::consumers() const {
  std::vector<std::vector<int>> out(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const int input : nodes[i].inputs) {
      if (input >= 0) out[static_cast<size_t>(input)].push_back(static_cast<int>(i));
    }
  }
  out[static_cast<size_t>(output)].push_back(-1);
  return out;
}

Network::Network(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

namespace {

/// The values a network brings for one node, checked. Error bad_value for a tensor that its module
/// has not.
void load_parameters(const backends::FloatNode& spec, const backends::FloatParameters& given,
                     Module& module) {
  const auto load = [&](std::string_view name, const std::optional<Tensor>& from) {
    if (!from) return;
    Tensor* target = nullptr;
    for (Parameter* p : module.parameters()) {
      if (p->name == name) target = &p->value;
    }
    for (Buffer* b : module.buffers()) {
      if (b->name == name) target = &b->value;
    }
    if (target == nullptr) {
      throw Error({ErrorCode::bad_value, "node " + spec.name, "values for " + std::string(name),
                   "none in " + module.type_name(), ""});
    }
    std::memcpy(target->raw(), from->raw(), target->bytes());
  };
  load("weight", given.weight);
  load("bias", given.bias);
  load("running_mean", given.running_mean);
  load("running_var", given.running_var);
}

}  // namespace

Network Network::from_graph(const backends::FloatGraph& graph, uint64_t seed) {
  auto impl = std::make_unique<Impl>();
  impl->graph = graph;
  impl->graph.nodes.clear();
  impl->graph.parameters.clear();
  std::map<std::string, int, std::less<>> numbers{{"input", NetworkNode::kNetworkInput}};
  Random random(seed);
  for (const backends::FloatNode& spec : graph.nodes) {
    NetworkNode node;
    node.name = spec.name;
    node.specs = {spec};
    for (const std::string& input : spec.inputs) {
      const auto found = numbers.find(input);
      if (found == numbers.end()) {
        throw Error({ErrorCode::bad_value, "node " + spec.name, "input " + input,
                     "the name of an earlier node, or \"input\"", ""});
      }
      node.inputs.push_back(found->second);
    }
    const size_t arity = spec.op == "Add" ? 2 : 1;
    if (spec.op == "Concat" ? node.inputs.empty() : node.inputs.size() != arity) {
      throw Error({ErrorCode::bad_value, "node " + spec.name,
                   std::to_string(node.inputs.size()) + " inputs", std::to_string(arity), ""});
    }
    const auto given = graph.parameters.find(spec.name);
    if (given != graph.parameters.end()) backends::check_parameters(spec, given->second);
    node.module = make_module(spec);
    node.module->reset_parameters(random);
    if (given != graph.parameters.end()) load_parameters(spec, given->second, *node.module);
    if (!numbers.emplace(spec.name, static_cast<int>(impl->nodes.size())).second) {
      throw Error({ErrorCode::bad_value, "node " + spec.name, "a second node of this name",
                   "one node per name", ""});
    }
    impl->nodes.push_back(std::move(node));
  }
  if (impl->nodes.empty()) {
    throw Error({ErrorCode::bad_value, "network " + graph.name, "no nodes", "at least one", ""});
  }
  impl->output = static_cast<int>(impl->nodes.size()) - 1;
  if (graph.outputs.size() > 1) {
    throw Error({ErrorCode::unsupported, "network " + graph.name,
                 std::to_string(graph.outputs.size()) + " outputs", "one output", ""});
  }
  if (graph.outputs.size() == 1) {
    const auto found = numbers.find(graph.outputs[0]);
    if (found == numbers.end() || found->second < 0) {
      throw Error({ErrorCode::bad_value, "network " + graph.name, "output " + graph.outputs[0],
                   "the name of a node", ""});
    }
    impl->output = found->second;
  }
  return Network(std::move(impl));
}

void Network::fuse(const PatternRegistry& patterns) {
  FACSIM_CHECK(!quantized());
  impl_->values.clear();
  fuse_nodes(*impl_, patterns);
}

bool Network::quantized() const { return impl_->input_quantizer != nullptr; }
int64_t Network::off_grid_inputs() const { return impl_->off_grid; }

std::vector<std::string> Network::layer_profiles() const {
  std::vector<std::string> names;
  for (const NetworkNode& node : impl_->nodes) {
    if (!node.profile().empty()) names.push_back(node.profile());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Value Network::Impl::quantize_input(const Tensor& input, const Context& context) {
  if (context.observe) input_quantizer->observe(input);
  const quant::FakeQuantized quantized = input_quantizer->forward(input, context.pool);
  off_grid = 0;
  const float* x = input.data<float>();
  const float* grid = quantized.real.data<float>();
  for (int64_t i = 0; i < input.numel(); ++i) off_grid += x[i] == grid[i] ? 0 : 1;
  return {quantized.codes, input_quantizer->qparams()};
}

Value Network::forward(const Tensor& input, const Context& context) {
  const Shape& shape = input.shape();
  const auto& chw = impl_->graph.input_shape;
  if (input.dtype() != DType::float32 || shape.rank() != 4 || shape[0] < 1 || shape[1] != chw[1] ||
      shape[2] != chw[2] || shape[3] != chw[0]) {
    throw Error({ErrorCode::shape_mismatch, "network " + impl_->graph.name,
                 "input " + std::string(to_string(input.dtype())) + " " + to_string(shape),
                 "float32 " + to_string(Shape{-1, chw[1], chw[2], chw[0]}) + ", at least one image",
                 ""});
  }
  impl_->input_value = quantized() ? impl_->quantize_input(input, context) : Value(input);
  impl_->values.assign(impl_->nodes.size(), Value());
  for (size_t i = 0; i < impl_->nodes.size(); ++i) {
    NetworkNode& node = impl_->nodes[i];
    std::vector<Value> inputs;
    for (const int number : node.inputs) {
      inputs.push_back(number < 0 ? impl_->input_value
                                  : impl_->values[static_cast<size_t>(number)]);
    }
    Context node_context = context;
    node_context.profile = impl_->profile_of(node);
    impl_->values[i] = node.module->forward(inputs, node_context);
  }
  return impl_->values[static_cast<size_t>(impl_->output)];
}

void Network::backward(const Tensor& dy, const Context& context) {
  auto& nodes = impl_->nodes;
  FACSIM_CHECK_EQ(impl_->values.size(), nodes.size());
  std::vector<bool> needs(nodes.size());  // a gradient: it or something before it has parameters
  for (size_t i = 0; i < nodes.size(); ++i) {
    bool needed = !nodes[i].module->parameters().empty();
    for (const int input : nodes[i].inputs) {
      needed = needed || (input >= 0 && needs[static_cast<size_t>(input)]);
    }
    needs[i] = needed;
  }
  std::vector<Tensor> gradients(nodes.size());
  gradients[static_cast<size_t>(impl_->output)] = dy;
  for (size_t i = nodes.size(); i-- > 0;) {
    if (!needs[i] || gradients[i].empty()) continue;
    bool input_needs = false;
    for (const int input : nodes[i].inputs) {
      input_needs = input_needs || (input >= 0 && needs[static_cast<size_t>(input)]);
    }
    Context node_context = context;
    node_context.profile = impl_->profile_of(nodes[i]);
    const std::vector<Tensor> dx =
        nodes[i].module->backward(gradients[i], node_context, input_needs);
    gradients[i] = {};
    for (size_t k = 0; k < nodes[i].inputs.size(); ++k) {
      const int input = nodes[i].inputs[k];
      if (input < 0 || !needs[static_cast<size_t>(input)] || dx[k].empty()) continue;
      Tensor& total = gradients[static_cast<size_t>(input)];
      total = total.empty() ? dx[k] : sum(total, dx[k], context.pool);
    }
  }
}

std::vector<std::pair<std::string, Value>> Network::values() const {
  std::vector<std::pair<std::string, Value>> out;
  if (!impl_->values.empty()) out.emplace_back("input", impl_->input_value);
  for (size_t i = 0; i < impl_->values.size(); ++i) {
    out.emplace_back(impl_->nodes[i].name, impl_->values[i]);
  }
  return out;
}

std::vector<std::string> Network::module_types() const {
  std::vector<std::string> out;
  for (const NetworkNode& node : impl_->nodes) out.push_back(node.module->type_name());
  return out;
}

std::vector<Parameter*> Network::parameters() {
  std::vector<Parameter*> out;
  for (NetworkNode& node : impl_->nodes) {
    for (Parameter* p : node.module->parameters()) out.push_back(p);
  }
  return out;
}

backends::NamedTensors Network::state() {
  backends::NamedTensors out;
  for (const Buffer& buffer : impl_->input_buffers) out.emplace_back(buffer.name, buffer.value);
  for (NetworkNode& node : impl_->nodes) {
    for (Parameter* p : node.module->parameters()) {
      out.emplace_back(node.name + "." + p->name, p->value);
    }
    for (Buffer* b : node.module->buffers()) out.emplace_back(node.name + "." + b->name, b->value);
  }
  return out;
}

void Network::load_state(const backends::NamedTensors& state) {
  std::map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : state) given.emplace(name, &tensor);
  const backends::NamedTensors own = this->state();
  std::vector<ErrorInfo> findings;
  for (const auto& [name, tensor] : own) {
    const auto found = given.find(name);
    if (found == given.end()) {
      findings.push_back(
          {ErrorCode::missing_key, "state", "no " + name, to_string(tensor.shape()), ""});
    } else if (!(found->second->shape() == tensor.shape()) ||
               found->second->dtype() != tensor.dtype()) {
      findings.push_back(
          {ErrorCode::shape_mismatch, "state " + name,
           std::string(to_string(found->second->dtype())) + " " + to_string(found->second->shape()),
           std::string(to_string(tensor.dtype())) + " " + to_string(tensor.shape()), ""});
    }
  }
  if (!findings.empty()) throw Error(std::move(findings));
  for (const auto& [name, tensor] : own) {
    Tensor target = tensor;  // shares the network's elements
    std::memcpy(target.raw(), given.find(name)->second->raw(), target.bytes());
  }
}

}  // namespace facsim::fused
