// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/text/did_you_mean.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tools/facsim/command.h"
#include "tools/facsim/compare_network.h"
#include "tools/facsim/element_output.h"
#include "tools/facsim/golden.h"
#include "tools/facsim/golden_side.h"
#include "tools/facsim/image_range.h"
#include "tools/facsim/output.h"
#include "tools/facsim/parse_override.h"

namespace facsim::cli {

namespace {

using Json = nlohmann::ordered_json;

/// What LAYER[n,c,y,x] names.
struct ElementName {
  std::string layer;
  std::optional<std::vector<int64_t>> index;
};

std::optional<std::vector<int64_t>> parse_index(std::string_view text) {
  std::vector<int64_t> index;
  while (true) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return std::nullopt;
    index.push_back(value);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty()) return index;
    if (text.front() != ',') return std::nullopt;
    text.remove_prefix(1);
  }
}

/// Every intermediate of the images [image, image + 1).
std::vector<Tensor> run_image(const DeployedNetwork& network, const std::vector<Tensor>& inputs,
                              int64_t image, const Globals& globals) {
  sim::ExecutorOptions options;
  options.isa = globals.isa;
  options.threads = globals.threads;
  options.trace = true;
  std::vector<Tensor> one;
  for (const Tensor& input : inputs) one.push_back(input.slice(image, 1));
  return sim::Executor(network.executable(), options).run(std::move(one)).tensors;
}

std::vector<const Tensor*> inputs_of(const sim::Graph::Node& node,
                                     const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> inputs;
  for (const int t : node.inputs) inputs.push_back(&tensors[static_cast<size_t>(t)]);
  return inputs;
}

/// Golden as it was read, and the values of the explained node's output.
struct ReadGolden {
  Golden all;
  Tensor expected;
};

/// Golden's code of the explained element, and what golden has before it.
struct Expected {
  int64_t code = 0;
  GoldenSide golden;
};

int64_t count_different(const Tensor& a, const Tensor& b) {
  backends::TensorComparator comparator("", a.dtype(), a.shape(), 0);
  comparator.add(a, b);
  return comparator.result().mismatches;
}

class ExplainCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("element", element_,
                   "LAYER[n,c,y,x]: a node or tensor and an index in the file's own layout; with "
                   "--against, LAYER alone is its first mismatch")
        ->required();
    model_.add_to(app, "--model", "network");
    app.get_option("--model")->required();
    app.add_option("--inputs", inputs_, "its inputs: .npz or .npy")->required();
    app.add_option("--against,--golden", golden_,
                   "what its tensors should be: .npz with arrays by the name of tensor or node, or "
                   ".npy of this layer or the network's only output");
    images_.add_to(app);
    match_.add_to(app);
    app.add_option("--with-profile", with_profile_, "a second side: the same under this profile");
    app.add_option("--with-set", with_set_,
                   "/pointer=value: a second side with this setting; repeatable")
        ->allow_extra_args(false);
    app.add_option("--taps", taps_, "largest products to list")->check(CLI::Range(0, 100000));
    app.footer(
        "How one output element came to be: the products, the accumulator, the scale, every step "
        "of\n"
        "the requantization and who set its rule, by the norm. Two sides are shown beside each "
        "other\n"
        "from the same codes, with the step where they part. Where golden has other inputs of the "
        "layer,\n"
        "its chain is computed from those as well. Exit code 1 if a side or the golden code "
        "differs.\n\n"
        "Examples:\n"
        "  facsim explain --model net.json --inputs x.npz 'conv1[0,3,5,5]'\n"
        "  facsim explain --model net.tflite --profile tflite-micro --inputs x.npz conv1 --against "
        "device.npz\n"
        "  facsim explain --model net.json --inputs x.npz 'fc[2,7]' --with-set "
        "/requantize/rounding=half_even");
  }

  ExitCode run(const Globals& globals) override {
    const DeployedNetwork network(model_, globals);
    const std::vector<Tensor> inputs =
        images_.of(network.inputs(read_arrays(inputs_), inputs_), inputs_);
    const ElementName name = parse_element(network);
    const size_t node = find_node(network, name.layer);
    const std::optional<ReadGolden> golden = read_expected(network, node, inputs[0].shape()[0]);
    const int64_t flat = name.index ? flat_index(network, node, *name.index, inputs[0].shape()[0])
                                    : first_mismatch(network, node, inputs, golden, globals);
    if (flat < 0) {
      if (globals.format == OutputFormat::json) {
        Json json = head_json();
        json.update(Json{{"equal", true}, {"node", network.graph().nodes[node].name}});
        print_json(json);
      } else {
        print(fmt::format("{}: EQUAL, every value is the golden one\n", printable(name.layer)));
      }
      return ExitCode::equal;
    }
    return explain(network, globals, inputs, node, flat, golden);
  }

 private:
  ElementName parse_element(const DeployedNetwork& network) const {
    const auto& nodes = network.graph().nodes;
    const bool whole = std::any_of(nodes.begin(), nodes.end(), [&](const auto& node) {
      return node.name == element_ || output_of(network, node).name == element_;
    });
    if (whole || !element_.ends_with(']')) return {element_, std::nullopt};
    const size_t open = element_.rfind('[');
    const auto index =
        open == std::string::npos
            ? std::nullopt
            : parse_index(std::string_view(element_).substr(open + 1, element_.size() - open - 2));
    if (!index) {
      throw UsageError(
          fmt::format("\"{}\": expected LAYER[n,…] with whole numbers", printable(element_)));
    }
    return {element_.substr(0, open), index};
  }

  static const backends::IntTensor& output_of(const DeployedNetwork& network,
                                              const backends::IntNode& node) {
    return network.graph().tensors[static_cast<size_t>(node.output)];
  }

  size_t find_node(const DeployedNetwork& network, const std::string& layer) const {
    const auto& nodes = network.graph().nodes;
    std::vector<std::string> names;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].name == layer || output_of(network, nodes[i]).name == layer) return i;
      names.push_back(nodes[i].name);
      names.push_back(output_of(network, nodes[i]).name);
    }
    const auto& tensors = network.graph().tensors;
    const bool given = std::any_of(tensors.begin(), tensors.end(),
                                   [&](const auto& tensor) { return tensor.name == layer; });
    throw Error({ErrorCode::missing_key, model_.name(),
                 (given ? "nothing computes tensor \"" : "no layer or tensor \"") + layer + "\"",
                 "", backends::did_you_mean_hint(layer, names)});
  }

  /// The golden values of the node's output, if a file was given.
  std::optional<ReadGolden> read_expected(const DeployedNetwork& network, size_t node,
                                          int64_t images) const {
    if (golden_.empty()) return std::nullopt;
    const ArrayFile file(golden_);
    const std::string& tensor = output_of(network, network.graph().nodes[node]).name;
    MatchOptions options = match_;
    options.filter.layers = {};
    options.nameless = tensor;
    ReadGolden golden{read_golden(network, file, images, options), {}};
    for (const std::string& text : name_notes(golden.all.renamed, {})) note(printable(text));
    golden.expected = backends::member(golden.all.tensors, tensor, golden_);
    return golden;
  }

  int64_t first_mismatch(const DeployedNetwork& network, size_t node,
                         const std::vector<Tensor>& inputs, const std::optional<ReadGolden>& golden,
                         const Globals& globals) const {
    const std::string& tensor = output_of(network, network.graph().nodes[node]).name;
    if (!golden) {
      throw UsageError(fmt::format("explain {}: give an index, {}[n,…], or --against",
                                   printable(element_), printable(element_)));
    }
    Golden one;
    one.tensors.emplace_back(tensor, golden->expected);
    const NetworkComparison comparison = compare_network(network, inputs, one, {}, globals);
    for (const auto& difference : comparison.report.structure) {
      throw Error({ErrorCode::shape_mismatch, golden_, to_string(difference), "", ""});
    }
    const auto& first = comparison.report.tensors.front().first;
    if (first.empty()) return -1;
    Shape shape = output_of(network, network.graph().nodes[node]).shape;
    shape[0] = inputs[0].shape()[0];
    return network.internal_index(first.front().flat_index, shape);
  }

  /// The NHWC index of an index in the file's layout. Error bad_value.
  int64_t flat_index(const DeployedNetwork& network, size_t node, const std::vector<int64_t>& index,
                     int64_t images) const {
    Shape inside = output_of(network, network.graph().nodes[node]).shape;
    inside[0] = images;
    const Shape shape = in_layout(inside, Layout::nhwc, network.graph().layout);
    bool fits = index.size() == static_cast<size_t>(shape.rank());
    int64_t flat = 0;
    for (int axis = 0; fits && axis < shape.rank(); ++axis) {
      const int64_t i = index[static_cast<size_t>(axis)];
      fits = i >= 0 && i < shape[axis];
      flat = flat * shape[axis] + i;
    }
    if (!fits) {
      throw Error({ErrorCode::bad_value, element_, "index " + index_text(index),
                   "an index into " + to_string(shape), ""});
    }
    return network.internal_index(flat, inside);
  }

  std::optional<Globals> second_side(const Globals& globals) const {
    if (with_profile_.empty() && with_set_.empty()) return std::nullopt;
    Globals other = globals;
    if (!with_profile_.empty()) {
      other.profile = with_profile_;
      other.overrides.clear();
    }
    for (const std::string& text : with_set_) {
      other.overrides.push_back(parse_override("--with-set", text));
    }
    return other;
  }

  /// How many codes that this node reads the second side already has otherwise.
  static std::string drift_text(const sim::Graph::Node& node, const std::vector<Tensor>& ours,
                                const std::vector<Tensor>& theirs) {
    int64_t different = 0, all = 0;
    for (const int t : node.inputs) {
      const auto i = static_cast<size_t>(t);
      different += count_different(ours[i], theirs[i]);
      all += ours[i].numel();
    }
    if (different == 0) return {};
    return fmt::format(
        "run as a whole, B already differs in {} of the {} codes that this layer reads here; both "
        "sides are shown from A's",
        with_commas(different), with_commas(all));
  }

  ExitCode explain(const DeployedNetwork& network, const Globals& globals,
                   const std::vector<Tensor>& inputs, size_t node, int64_t flat,
                   const std::optional<ReadGolden>& golden) const {
    const sim::Graph::Node& bound = network.executable().nodes[node];
    const Shape& shape =
        network.graph().tensors[static_cast<size_t>(network.graph().nodes[node].output)].shape;
    const int64_t image = flat / shape.numel(), in_image = flat % shape.numel();
    const std::vector<Tensor> tensors = run_image(network, inputs, image, globals);
    const std::vector<const Tensor*> codes = inputs_of(bound, tensors);
    ElementExplainer explainer(network, globals);
    const ExplainedElement ours =
        explainer.explain(node, codes, in_image, image, static_cast<size_t>(taps_));

    std::optional<ExplainedElement> theirs;
    std::string drift;
    if (const std::optional<Globals> side = second_side(globals)) {
      const DeployedNetwork other(model_, *side);
      ElementExplainer second(other, *side);
      theirs = second.explain(node, codes, in_image, image, 0);
      if (!with_set_.empty()) theirs->profile += fmt::format(" {}", fmt::join(with_set_, " "));
      drift = drift_text(bound, tensors, run_image(other, inputs, image, *side));
    }
    std::optional<Expected> expected;
    if (golden) {
      expected.emplace(Expected{
          expected_code(network, flat, shape, inputs, golden->expected),
          golden_side(network, golden->all, {node, image, in_image, &tensors}, explainer)});
    }
    const bool differs = (expected && expected->code != ours.chain.result()) ||
                         (theirs && theirs->chain.result() != ours.chain.result());
    if (globals.format == OutputFormat::json) {
      print_json(to_json(ours, theirs, expected, drift));
    } else {
      print(to_text(ours, theirs, expected, drift));
    }
    return differs ? ExitCode::different : ExitCode::equal;
  }

  static int64_t expected_code(const DeployedNetwork& network, int64_t flat, Shape shape,
                               const std::vector<Tensor>& inputs, const Tensor& golden) {
    shape[0] = inputs[0].shape()[0];
    const Tensor inside = in_layout(golden, network.graph().layout, Layout::nhwc);
    if (inside.shape() != shape || inside.dtype() == DType::float32) {
      throw Error(
          {ErrorCode::shape_mismatch, "golden",
           fmt::format("{} {}", to_string(golden.dtype()), to_string(golden.shape())),
           "codes of shape " + to_string(in_layout(shape, Layout::nhwc, network.graph().layout)),
           ""});
    }
    return inside.int_at(flat);
  }

  static Json head_json() { return {{"format", "facsim-explain"}, {"version", 1}}; }

  static Json to_json(const ExplainedElement& ours, const std::optional<ExplainedElement>& theirs,
                      const std::optional<Expected>& expected, const std::string& drift) {
    Json json = head_json();
    json.update(element_json(ours));
    if (expected) {
      json["expected"] = expected->code;
      json["equal"] = expected->code == ours.chain.result();
      json["why"] = golden_reason(ours, expected->golden, expected->code);
      json["golden_inputs"] = golden_side_json(expected->golden, expected->code);
    }
    if (theirs) {
      json["other"] = element_json(*theirs);
      json["parts_at"] = parting_json(ours, *theirs);
      if (!drift.empty()) json["other_inputs"] = drift;
    }
    return json;
  }

  static std::string to_text(const ExplainedElement& ours,
                             const std::optional<ExplainedElement>& theirs,
                             const std::optional<Expected>& expected, const std::string& drift) {
    const backends::ElementChain& chain = ours.chain;
    std::string text =
        printable(fmt::format("{} ({})  {}{}  under {} ({})", chain.node, chain.op, chain.tensor,
                              index_text(ours.index), ours.profile, ours.fingerprint));
    text += "\n" + element_text(ours);
    text += fmt::format("  {:<18} {}\n", "result", chain.result());
    if (expected) {
      text += fmt::format("  {:<18} {}   {}\n", "expected (golden)", expected->code,
                          golden_reason(ours, expected->golden, expected->code));
      text += golden_side_text(ours, expected->golden, expected->code);
    }
    if (theirs) {
      text += "\n" + two_chains_text(ours, *theirs) + parting_text(ours, *theirs);
      if (!drift.empty()) text += "  " + drift + "\n";
    }
    return text;
  }

  ModelFile model_;
  std::string element_, inputs_, golden_, with_profile_;
  std::vector<std::string> with_set_;
  MatchOptions match_;
  ImageRange images_;
  int taps_ = 5;
};

}  // namespace

std::unique_ptr<Command> make_explain_command() { return std::make_unique<ExplainCommand>(); }

}  // namespace facsim::cli
