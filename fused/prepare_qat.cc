// SPDX-License-Identifier: Apache-2.0
#include "fused/activation_module.h"
#include "fused/batch_norm_module.h"
#include "fused/int_graph_builder.h"
#include "fused/network_impl-internal.h"
#include "fused/nnqat/add.h"
#include "fused/nnqat/concat.h"
#include "fused/nnqat/hardswish.h"
#include "fused/nnqat/leaky_relu.h"
#include "fused/nnqat/sigmoid.h"
#include "fused/patterns/pattern_registry.h"
#include "fused/qat_fused_linear.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

[[noreturn]] void refuse(const NetworkNode& node, std::string found, std::string hint) {
  throw Error({ErrorCode::unsupported, "node " + node.name, std::move(found),
               "a module with an integer form", std::move(hint)});
}

/// Qat::from_float of a node whose module is a Float, quantized by the rules of `op`; else null.
template <class Qat, class Float>
std::unique_ptr<Module> quantized_as(const NetworkNode& node, std::string_view op,
                                     const std::shared_ptr<const backends::Profile>& profile) {
  const auto* module = dynamic_cast<const Float*>(node.module.get());
  if (module == nullptr) return nullptr;
  return Qat::from_float(*module, make_qconfig(profile, op));
}

/// The QAT module of a float one, or null where the module works on codes as it is.
std::unique_ptr<Module> quantized_module(const NetworkNode& node, const PatternRegistry& patterns,
                                         const std::shared_ptr<const backends::Profile>& profile) {
  if (const auto* linear = dynamic_cast<const FusedLinear*>(node.module.get())) {
    const QConfig qconfig = make_qconfig(profile, linear->parts().op->rules_word());
    const FusionPattern* pattern =
        patterns.find(node.pattern.empty() ? node.specs.front().op : node.pattern);
    if (pattern == nullptr) refuse(node, linear->type_name(), "register its pattern");
    if (pattern->to_qat) return pattern->to_qat(*linear, qconfig);
    return std::make_unique<QatFusedLinear>("nniqat." + pattern->name, linear->parts().clone(),
                                            qconfig);
  }
  if (auto module = quantized_as<nnqat::Add, nn::Add>(node, "add", profile)) return module;
  if (auto module = quantized_as<nnqat::Concat, nn::Concat>(node, "concat", profile)) return module;
  if (auto module = quantized_as<nnqat::Hardswish, nn::Hardswish>(node, "hard_swish", profile)) {
    return module;
  }
  if (auto module = quantized_as<nnqat::Sigmoid, nn::Sigmoid>(node, "sigmoid", profile)) {
    return module;
  }
  if (auto module = quantized_as<nnqat::LeakyReLU, nn::LeakyReLU>(node, "leaky_relu", profile)) {
    return module;
  }
  if (dynamic_cast<const BatchNormModule*>(node.module.get()) != nullptr) {
    refuse(node, "a batch norm that no pattern fused", "put it behind a linear op, or fuse first");
  }
  const auto* activation = dynamic_cast<const ActivationModule*>(node.module.get());
  if (activation != nullptr && !activation->activation().is_clamp()) {
    refuse(node, activation->type_name() + " that no pattern fused",
           "register a pattern that ends in it");
  }
  return nullptr;
}

}  // namespace

void Network::prepare_qat(const backends::Profile& profile, const PatternRegistry& patterns) {
  prepare_qat(profile, patterns, {});
}

void Network::prepare_qat(const backends::Profile& profile, const PatternRegistry& patterns,
                          const std::map<std::string, backends::Profile>& layer_profiles) {
  FACSIM_CHECK(!quantized());
  Impl& network = *impl_;
  const auto main_profile = std::make_shared<const backends::Profile>(profile);
  std::map<std::string, std::shared_ptr<const backends::Profile>> others;
  for (const auto& [name, other] : layer_profiles) {
    others.emplace(name, std::make_shared<const backends::Profile>(other));
  }
  std::vector<std::unique_ptr<Module>> modules;  // all of them first: nothing is half prepared
  for (const NetworkNode& node : network.nodes) {
    std::shared_ptr<const backends::Profile> rules = main_profile;
    if (!node.profile().empty()) {
      const auto found = others.find(node.profile());
      if (found == others.end()) refuse(node, "profile " + node.profile(), "give this profile too");
      rules = found->second;
    }
    modules.push_back(quantized_module(node, patterns, rules));
  }
  network.input_quantizer = make_qconfig(main_profile, "quantize").activation(1);
  for (const auto& entry : network.input_quantizer->state()) {
    network.input_buffers.push_back({"input." + entry.name, entry.value});
  }
  for (size_t i = 0; i < modules.size(); ++i) {
    if (modules[i] != nullptr) network.nodes[i].module = std::move(modules[i]);
  }
  network.profile = main_profile;
  network.other_profiles = std::move(others);
  network.values.clear();
}

backends::IntGraph Network::convert() const {
  const Impl& network = *impl_;
  if (!quantized()) {
    throw Error({ErrorCode::bad_value, "network " + network.graph.name, "a float network",
                 "a quantized one", "prepare_qat and calibrate it first"});
  }
  IntGraphBuilder builder;
  const auto& chw = network.graph.input_shape;
  const int input =
      builder.add_input("input", network.input_quantizer->qparams(), {1, chw[1], chw[2], chw[0]});
  std::vector<int> tensors;
  for (const NetworkNode& node : network.nodes) {
    std::vector<int> inputs;
    for (const int number : node.inputs) {
      inputs.push_back(number < 0 ? input : tensors[static_cast<size_t>(number)]);
    }
    builder.begin(node.name, node.profile());
    tensors.push_back(node.module->emit(builder, inputs));
  }
  builder.add_output(tensors[static_cast<size_t>(network.output)]);
  backends::IntGraph graph = builder.take();
  graph.name = network.graph.name;
  graph.profile = network.profile->name;
  graph.profile_fingerprint = network.profile->fingerprint;
  if (!network.graph.preprocessing.mean.empty() || !network.graph.preprocessing.std.empty()) {
    graph.preprocessing = network.graph.preprocessing;
  }
  graph.layout = backends::IntGraph::Layout::nhwc;
  return graph;
}

}  // namespace facsim::fused
