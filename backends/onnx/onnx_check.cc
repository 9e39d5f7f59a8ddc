// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/onnx_check-internal.h"

#include <functional>
#include <queue>
#include <unordered_map>

namespace facsim::backends::detail {

namespace {

[[noreturn]] void refuse_model(std::string where, std::string found, std::string expected,
                               ErrorCode code = ErrorCode::bad_value) {
  throw Error({code, std::move(where), std::move(found), std::move(expected), ""});
}

void check_onnx_versions(const OnnxModel& model, const std::string& place) {
  if (model.ir_version < 1 || model.ir_version > kMaxOnnxIrVersion) {
    refuse_model(place, "IR version " + std::to_string(model.ir_version) + " not supported",
                 "1.." + std::to_string(kMaxOnnxIrVersion), ErrorCode::unsupported);
  }
  if (model.opsets.empty()) refuse_model(place, "no opset_import", "the version of each domain");
  constexpr size_t kMostOpsets = 256;  // each node looks through them
  if (model.opsets.size() > kMostOpsets) {
    refuse_model(place, std::to_string(model.opsets.size()) + " domains imported",
                 "at most " + std::to_string(kMostOpsets), ErrorCode::unsupported);
  }
  for (size_t i = 0; i < model.opsets.size(); ++i) {
    const OnnxOpset& opset = model.opsets[i];
    if (opset.version < 1 || (opset.domain.empty() && opset.version > kMaxOnnxOpset)) {
      refuse_model(place,
                   "opset " + std::to_string(opset.version) +
                       (opset.domain.empty() ? "" : " of domain \"" + opset.domain + "\"") +
                       " not supported",
                   "1.." + std::to_string(kMaxOnnxOpset), ErrorCode::unsupported);
    }
    for (size_t k = 0; k < i; ++k) {
      if (model.opsets[k].domain == opset.domain) {
        refuse_model(place, "domain \"" + opset.domain + "\" imported twice", "one version");
      }
    }
  }
}

constexpr int kGivenValue = -1;  ///< maker of an input or an initializer

/// Who makes each value: a node's number, or kGivenValue.
class ValueMakers {
 public:
  ValueMakers(const OnnxGraph& graph, const std::string& place) {
    for (const OnnxValueInfo& input : graph.inputs)
      add(input.name, kGivenValue, place, "graph input");
    std::unordered_map<std::string_view, bool> initialized;
    for (const OnnxTensor& tensor : graph.initializers) {
      if (!initialized.emplace(tensor.name, true).second) {
        refuse_model(place, "initializer \"" + tensor.name + "\" twice", "names of their own");
      }
      // An initializer may give a graph input its value.
      if (!makers_.contains(tensor.name)) add(tensor.name, kGivenValue, place, "initializer");
    }
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      for (const std::string& output : graph.nodes[i].outputs) {
        if (!output.empty()) {
          add(output, static_cast<int>(i), place_of(graph.nodes[i]), "output");
        }
      }
    }
  }

  const int* find(std::string_view name) const {
    const auto found = makers_.find(name);
    return found == makers_.end() ? nullptr : &found->second;
  }

 private:
  void add(const std::string& name, int maker, const std::string& where, const char* what) {
    if (name.empty()) refuse_model(where, std::string(what) + " without a name", "a name");
    if (!makers_.emplace(name, maker).second) {
      refuse_model(where, std::string(what) + " \"" + name + "\" exists already",
                   "a name of its own");
    }
  }

  std::unordered_map<std::string_view, int> makers_;
};

void check_onnx_node(const OnnxModel& model, const OnnxNode& node) {
  if (node.op_type.empty()) refuse_model(place_of(node), "empty op_type", "an operator's name");
  if (opset_version(model, node.domain) == 0) {
    refuse_model(place_of(node), "domain \"" + node.domain + "\" is not imported",
                 "a domain of opset_import");
  }
}

/// Kahn's algorithm; of the nodes that are ready the first in the file comes first.
std::vector<size_t> onnx_topological_order(const OnnxGraph& graph, const ValueMakers& makers) {
  std::vector<std::vector<size_t>> readers(graph.nodes.size());
  std::vector<size_t> missing(graph.nodes.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& input : graph.nodes[i].inputs) {
      if (input.empty()) continue;
      const int* maker = makers.find(input);
      if (maker == nullptr) {
        refuse_model(place_of(graph.nodes[i]), "input \"" + input + "\" is made by nothing",
                     "a graph input, an initializer or a node's output");
      }
      if (*maker == kGivenValue) continue;
      readers[static_cast<size_t>(*maker)].push_back(i);
      ++missing[i];
    }
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < missing.size(); ++i) {
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    order.push_back(ready.top());
    ready.pop();
    for (const size_t reader : readers[order.back()]) {
      if (--missing[reader] == 0) ready.push(reader);
    }
  }
  for (size_t i = 0; i < missing.size(); ++i) {
    if (missing[i] > 0) {
      refuse_model(place_of(graph.nodes[i]), "a cycle: it needs its own output",
                   "a graph without cycles");
    }
  }
  return order;
}

}  // namespace

void check_and_sort(OnnxModel& model, const std::string& place) {
  check_onnx_versions(model, place);
  OnnxGraph& graph = model.graph;
  for (const OnnxNode& node : graph.nodes) check_onnx_node(model, node);
  const ValueMakers makers(graph, place);
  for (const OnnxValueInfo& output : graph.outputs) {
    if (makers.find(output.name) == nullptr) {
      refuse_model(place, "graph output \"" + output.name + "\" is made by nothing", "");
    }
  }
  const std::vector<size_t> order = onnx_topological_order(graph, makers);
  std::vector<OnnxNode> sorted;
  sorted.reserve(order.size());
  for (const size_t i : order) sorted.push_back(std::move(graph.nodes[i]));
  graph.nodes = std::move(sorted);
}

void check_list_length(const OnnxNode& node, std::string_view name, int64_t count) {
  constexpr int64_t kMost = 1024;
  if (count <= kMost) return;
  refuse_model(place_of(node), std::to_string(count) + " integers \"" + std::string(name) + "\"",
               "at most " + std::to_string(kMost), ErrorCode::unsupported);
}

void throw_findings(std::vector<ErrorInfo> findings) {
  constexpr size_t kMost = 100;
  if (findings.size() > kMost) {
    const size_t more = findings.size() - kMost;
    findings.resize(kMost);
    findings.push_back({ErrorCode::unsupported, "network",
                        std::to_string(more) + " more nodes that cannot be run", "", ""});
  }
  throw Error(std::move(findings));
}

}  // namespace facsim::backends::detail
