// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/layer_findings-internal.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>

#include "sim/core/error.h"
#include "sim/ops/conv2d.h"

namespace facsim::backends::detail {

namespace {

constexpr size_t kBias = 2;              // input of a node
constexpr size_t kChannelsNamed = 8;     // in a sentence
constexpr double kMostOfAChannel = 0.5;  // of its values

/// Layers of weights and an optional bias.
bool has_weights(const IntNode& node) {
  return node.op == "conv2d" || node.op == "depthwise_conv2d" || node.op == "transpose_conv2d" ||
         node.op == "linear";
}

enum class Variant { no_bias, no_activation, other_padding };

constexpr Variant kVariants[] = {Variant::no_bias, Variant::no_activation, Variant::other_padding};

std::string_view words(Variant variant) {
  switch (variant) {
    case Variant::no_bias:
      return "the device adds no bias";
    case Variant::no_activation:
      return "the device does not apply the fused activation";
    case Variant::other_padding:
      return "the device has the odd padding at the other side";
  }
  return "";
}

/// Nothing where the node has not what the variant leaves out.
std::optional<IntNode> changed(IntNode node, Variant variant) {
  sim::Padding2d& pad = node.attributes.window.padding;
  switch (variant) {
    case Variant::no_bias:
      if (node.inputs.size() <= kBias) return std::nullopt;
      node.inputs.resize(kBias);
      return node;
    case Variant::no_activation:
      if (node.attributes.activation == Activation::none) return std::nullopt;
      node.attributes.activation = Activation::none;
      return node;
    case Variant::other_padding:
      if (pad.top == pad.bottom && pad.left == pad.right) return std::nullopt;
      std::swap(pad.top, pad.bottom);
      std::swap(pad.left, pad.right);
      return node;
  }
  return std::nullopt;
}

class Findings {
 public:
  Findings(const IntGraph& graph, const Profile& profile, SettingEffects& effects)
      : graph_(graph), profile_(profile), effects_(effects) {}

  std::vector<LayerFinding> take() {
    for (const Variant variant : kVariants) {
      OpsByNode all;
      bool found = false;
      for (size_t n = 0; n < graph_.nodes.size(); ++n) {
        const OpPointer op = lowered(n, variant);
        if (op == nullptr) continue;
        all.emplace(n, op);
        // A layer that golden does not hold is seen by what the layers after it make of it.
        const int64_t of = effects_.holds(n) ? effects_.wrong_values(n) : effects_.of();
        found |= add_if_explained({{n, op}}, of, graph_.nodes[n].name, words(variant));
      }
      if (found || all.size() < 2) continue;
      add_if_explained(all, effects_.of(), "", std::string(words(variant)) + " in any layer");
    }
    return std::move(found_);
  }

 private:
  bool add_if_explained(const OpsByNode& ops, int64_t of, const std::string& node,
                        std::string_view what) {
    if (of == 0) return false;
    const std::optional<Effect> effect = effects_.effect_of_ops(ops);
    if (!effect || effect->explained != of || effect->introduced > 0) return false;
    found_.push_back({node, std::string(what), of, of});
    return true;
  }

  OpPointer lowered(size_t n, Variant variant) const {
    const IntNode& node = graph_.nodes[n];
    const bool own = node.profile.empty() || node.profile == profile_.name;
    if (!effects_.needed()[n] || !own || !has_weights(node)) return nullptr;
    const std::optional<IntNode> other = changed(node, variant);
    if (!other) return nullptr;
    try {
      return lower_node(graph_, *other, profile_);
    } catch (const Error&) {
      return nullptr;  // the profile has no such layer
    }
  }

  const IntGraph& graph_;
  const Profile& profile_;
  SettingEffects& effects_;
  std::vector<LayerFinding> found_;
};

}  // namespace

std::vector<LayerFinding> layer_findings(const IntGraph& graph, const Profile& profile,
                                         SettingEffects& effects) {
  return Findings(graph, profile, effects).take();
}

std::vector<LayerFinding> channel_findings(const IntGraph& graph, const sim::Graph& executable,
                                           const SettingEffects& effects) {
  std::vector<LayerFinding> found;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Shape& shape = executable.tensors[static_cast<size_t>(executable.nodes[n].output)].shape;
    if (!has_weights(graph.nodes[n]) || effects.wrong_values(n) == 0 || shape.rank() < 2) {
      continue;
    }
    const std::vector<char>& wrong = effects.wrong(n);
    const auto channels = static_cast<size_t>(shape[shape.rank() - 1]);
    std::vector<size_t> counts(channels, 0);
    for (size_t i = 0; i < wrong.size(); ++i) counts[i % channels] += wrong[i] != 0;
    const size_t of_channel = wrong.size() / channels;
    std::vector<size_t> concerned;
    bool most = true;
    for (size_t c = 0; c < channels; ++c) {
      if (counts[c] == 0) continue;
      concerned.push_back(c);
      most = most &&
             static_cast<double>(counts[c]) > kMostOfAChannel * static_cast<double>(of_channel);
    }
    if (!most || concerned.size() * 2 > channels) continue;
    const size_t named = std::min(kChannelsNamed, concerned.size());
    const std::vector<size_t> first(concerned.begin(),
                                    concerned.begin() + static_cast<std::ptrdiff_t>(named));
    found.push_back(
        {graph.nodes[n].name,
         fmt::format("only channels {}{} of {} differ, in most of their values: other "
                     "weights, bias or scale there",
                     fmt::join(first, ", "), named < concerned.size() ? ", …" : "", channels),
         effects.wrong_values(n), effects.wrong_values(n)});
  }
  return found;
}

}  // namespace facsim::backends::detail
