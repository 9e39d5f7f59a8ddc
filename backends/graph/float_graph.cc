// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/float_graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "backends/graph/float_layers-internal.h"
#include "backends/graph/float_shape.h"
#include "backends/json/object_reader-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends {

namespace {

using json::ObjectReader;
using Presence = ObjectReader::Presence;

constexpr std::string_view kFormat = "facsim-float-network";
constexpr int64_t kVersion = 1;
constexpr size_t kMaxNodes = 10000;

/// Names become file members and parameter names "node.weight": a letter, then letters, digits and
/// _.
bool is_node_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && name.size() <= 200 && letter(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

class GraphReader {
 public:
  explicit GraphReader(const json::Document& document) : document_(document) {}

  FloatGraph read() {
    ObjectReader top(document_, document_.value, "", errors_);
    const std::string format = top.text("format");
    if (top.has("format") && format != kFormat) {
      top.fail("format", "\"" + format + "\"", "\"" + std::string(kFormat) + "\"");
    }
    const int64_t version = top.integer("version", {1, kVersion});
    static_cast<void>(version);
    graph_.name = top.text("name");
    read_input(top);
    const auto nodes = top.list("nodes", kMaxNodes, Presence::required);
    for (size_t i = 0; i < nodes.size(); ++i) read_node(nodes[i], json::child("/nodes", i));
    if (top.has("nodes") && graph_.nodes.empty() && errors_.empty()) top.fail("nodes", "no nodes");
    read_outputs(top);
    top.finish();
    resolve_inputs();
    if (errors_.empty()) sort();
    if (errors_.empty()) check_shapes();
    if (errors_.empty()) check_used();
    if (!errors_.empty()) throw Error(std::move(errors_));
    return std::move(graph_);
  }

 private:
  void read_input(ObjectReader& top) {
    const json::Json* value = top.member("input", Presence::required);
    if (value == nullptr) return;
    ObjectReader reader(document_, *value, "/input", errors_);
    const std::vector<int64_t> shape =
        reader.integers("shape", {1, detail::kMaxLayerExtent}, {3, 3});
    graph_.input_shape = {shape[0], shape[1], shape[2]};
    const json::CountRange channels{static_cast<size_t>(shape[0]), static_cast<size_t>(shape[0])};
    const size_t count = static_cast<size_t>(shape[0]);
    graph_.preprocessing.mean = reader.numbers("mean", channels, std::vector<float>(count, 0.0f));
    graph_.preprocessing.std = reader.numbers("std", channels, std::vector<float>(count, 1.0f));
    for (const float std : graph_.preprocessing.std) {
      if (std <= 0) reader.fail("std", fmt::format("{}", std), "numbers > 0");
    }
    reader.finish();
  }

  void read_node(const json::Json& value, const std::string& pointer) {
    ObjectReader reader(document_, value, pointer, errors_);
    FloatNode node;
    node.place = document_.place(pointer);
    node.name = reader.text("name");
    if (reader.has("name") && (!is_node_name(node.name) || node.name == "input")) {
      reader.fail("name", "\"" + node.name + "\"",
                  "a letter, then letters, digits and _; not \"input\"");
    } else if (!numbers_.emplace(node.name, graph_.nodes.size()).second) {
      reader.fail("name", "a second node \"" + node.name + "\"", "", "", ErrorCode::duplicate_key);
    }
    node.op = reader.text("op");
    const std::string before = graph_.nodes.empty() ? "input" : graph_.nodes.back().name;
    node.inputs = reader.texts("inputs", {1, 16}, std::vector<std::string>{before});
    node.profile = reader.text("profile", "");
    const detail::FloatLayer* layer = detail::find_float_layer(node.op);
    if (layer != nullptr) {
      layer->read(reader, node);
      const size_t inputs = node.inputs.size();
      if (inputs < layer->min_inputs || inputs > layer->max_inputs) {
        const std::string most = std::to_string(layer->max_inputs);
        reader.fail(reader.has("inputs") ? "inputs" : "op",
                    fmt::format("{} inputs of {}", inputs, node.op),
                    layer->min_inputs == layer->max_inputs
                        ? most
                        : fmt::format("{} to {}", layer->min_inputs, most));
      }
    } else if (reader.has("op") && node.op.find('.') == std::string::npos) {
      std::vector<std::string> words;
      for (const detail::FloatLayer& known : detail::float_layers()) words.emplace_back(known.name);
      reader.fail(
          "op", "\"" + node.op + "\" is not a layer",
          fmt::format("one of {}, or a word of your own with a dot in it", fmt::join(words, ", ")),
          did_you_mean_hint(node.op, words));
      graph_.nodes.push_back(std::move(node));
      return;  // which keys it has is unknown
    }
    reader.finish();
    graph_.nodes.push_back(std::move(node));
  }

  void read_outputs(ObjectReader& top) {
    if (graph_.nodes.empty()) {
      top.member("outputs", Presence::optional);
      return;
    }
    graph_.outputs =
        top.texts("outputs", {1, 16}, std::vector<std::string>{graph_.nodes.back().name});
    for (size_t i = 0; i < graph_.outputs.size(); ++i) {
      if (!numbers_.contains(graph_.outputs[i]) && top.has("outputs")) {
        missing(graph_.outputs[i], document_.place(json::child("/outputs", i)));
      }
    }
  }

  void missing(const std::string& name, std::string place) {
    std::vector<std::string> names{"input"};
    for (const auto& [known, number] : numbers_) names.push_back(known);
    errors_.push_back({ErrorCode::bad_value, std::move(place), "no node \"" + name + "\"", "",
                       did_you_mean_hint(name, names)});
  }

  void resolve_inputs() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const FloatNode& node = graph_.nodes[i];
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        if (node.inputs[k] == "input" || numbers_.contains(node.inputs[k])) continue;
        const std::string list = json::child(json::child("/nodes", i), "inputs");
        missing(node.inputs[k], document_.place(json::child(list, k)));
      }
    }
  }

  /// Topological order; of the nodes that are ready, the first in the file comes first.
  void sort() {
    const size_t count = graph_.nodes.size();
    std::vector<std::vector<size_t>> consumers(count);
    std::vector<size_t> waiting(count, 0);  // inputs not done
    std::set<size_t> ready;
    for (size_t i = 0; i < count; ++i) {
      for (const std::string& name : graph_.nodes[i].inputs) {
        if (name == "input") continue;
        consumers[numbers_.at(name)].push_back(i);
        ++waiting[i];
      }
      if (waiting[i] == 0) ready.insert(i);
    }
    std::vector<size_t> order;
    while (!ready.empty()) {
      const size_t i = ready.extract(ready.begin()).value();
      order.push_back(i);
      for (const size_t consumer : consumers[i]) {
        if (--waiting[consumer] == 0) ready.insert(consumer);
      }
    }
    if (order.size() < count) return report_cycle(waiting);
    std::vector<FloatNode> sorted;
    for (const size_t i : order) sorted.push_back(std::move(graph_.nodes[i]));
    graph_.nodes = std::move(sorted);
  }

  /// Follows inputs that wait for others until a node comes again. `waiting` is 0 for finished
  /// nodes.
  void report_cycle(const std::vector<size_t>& waiting) {
    const auto unfinished = [&](const std::string& name) {
      return name != "input" && waiting[numbers_.at(name)] > 0;
    };
    const auto first = std::find_if(waiting.begin(), waiting.end(), [](size_t n) { return n > 0; });
    std::vector<std::string> path{graph_.nodes[static_cast<size_t>(first - waiting.begin())].name};
    std::map<std::string, size_t> seen;
    while (seen.emplace(path.back(), path.size() - 1).second) {
      const FloatNode& node = graph_.nodes[numbers_.at(path.back())];
      path.push_back(*std::find_if(node.inputs.begin(), node.inputs.end(), unfinished));
    }
    path.erase(path.begin(), path.begin() + static_cast<long>(seen.at(path.back())));
    std::reverse(path.begin(), path.end());
    errors_.push_back({ErrorCode::bad_value, graph_.nodes[numbers_.at(path.back())].place,
                       fmt::format("cycle: {}", fmt::join(path, " -> ")), "a graph without cycles",
                       ""});
  }

  void check_shapes() {
    std::map<std::string, FloatShape> shapes;
    const auto& [c, h, w] = graph_.input_shape;
    shapes["input"] = {c, h, w, true};
    for (const FloatNode& node : graph_.nodes) {
      std::vector<FloatShape> inputs;
      for (const std::string& name : node.inputs) {
        const auto found = shapes.find(name);
        if (found != shapes.end()) inputs.push_back(found->second);
      }
      if (inputs.size() != node.inputs.size()) continue;  // an input was refused already
      try {
        shapes[node.name] = shape_after(node, inputs);
      } catch (const Error& error) {
        errors_.insert(errors_.end(), error.infos().begin(), error.infos().end());
      }
    }
  }

  /// A node whose value reaches no output is a mistake in the file.
  void check_used() {
    std::set<std::string, std::less<>> used(graph_.outputs.begin(), graph_.outputs.end());
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
      if (used.contains(node->name)) {
        used.insert(node->inputs.begin(), node->inputs.end());
      } else {
        errors_.push_back({ErrorCode::bad_value, node->place,
                           "the value of \"" + node->name + "\" reaches no output", "",
                           "remove the node or add it to outputs"});
      }
    }
  }

  const json::Document& document_;
  std::vector<ErrorInfo> errors_;
  FloatGraph graph_;
  std::map<std::string, size_t> numbers_;  ///< by name, in file order
};

}  // namespace

FloatGraph read_float_graph(const std::filesystem::path& file) {
  const json::Document document = json::read_json(
      file, {.max_bytes = uint64_t{16} << 20, .max_depth = 8, .comments = json::Comments::allowed});
  return GraphReader(document).read();
}

}  // namespace facsim::backends
