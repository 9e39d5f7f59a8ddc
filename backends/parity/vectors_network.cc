// SPDX-License-Identifier: Apache-2.0
// Cases whose network facsim wrote itself, and bare requantizations by any profile's program: what
// `facsim vectors gen` makes.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "backends/io/network_file.h"
#include "backends/lower/given_arguments.h"
#include "backends/lower/requantize-internal.h"
#include "backends/parity/vectors_case-internal.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"

namespace facsim::backends::detail {

nlohmann::ordered_json node_attributes(const IntGraph& network) {
  nlohmann::ordered_json attrs = nlohmann::ordered_json::object();
  const IntNode& node = network.nodes.front();
  for (const int number : node.inputs) {
    const IntTensor& tensor = network.tensors[static_cast<size_t>(number)];
    if (!tensor.qparams) continue;
    attrs[tensor.name + "_scale"] = tensor.qparams->scale;
    attrs[tensor.name + "_zero_point"] = tensor.qparams->zero_point;
    if (!tensor.qparams->per_channel()) {
      attrs[tensor.name + "_scale"] = tensor.qparams->scale.front();
      attrs[tensor.name + "_zero_point"] = tensor.qparams->zero_point.front();
    }
  }
  const IntTensor& output = network.tensors[static_cast<size_t>(node.output)];
  if (output.qparams) {
    attrs["output_scale"] = output.qparams->scale.front();
    attrs["output_zero_point"] = output.qparams->zero_point.front();
  }
  attrs["activation"] = to_string(node.attributes.activation);
  constexpr std::array<std::string_view, 5> kWindowed{
      "conv2d", "depthwise_conv2d", "transpose_conv2d", "avg_pool2d", "max_pool2d"};
  if (std::find(kWindowed.begin(), kWindowed.end(), node.op) != kWindowed.end()) {
    const sim::Window2d& w = node.attributes.window;
    attrs["kernel"] = w.kernel;
    attrs["strides"] = w.stride;
    attrs["dilations"] = w.dilation;
    attrs["pad_top"] = w.padding.top;
    attrs["pad_left"] = w.padding.left;
    attrs["pad_bottom"] = w.padding.bottom;
    attrs["pad_right"] = w.padding.right;
    attrs["groups"] = node.attributes.groups;
  }
  return attrs;
}

bool is_network_case(const VectorCase& vector_case) { return vector_case.model.ends_with(".json"); }

CaseNetwork read_case_network(const CaseData& data) {
  CaseNetwork read{read_int_graph(data.folder() / data.description().model), {}};
  const IntGraph& network = read.graph;
  if (network.outputs.size() != 1) {
    throw Error({ErrorCode::bad_value, data.description().model,
                 std::to_string(network.outputs.size()) + " outputs", "1", ""});
  }
  if (network.nodes.size() == 1) {
    const nlohmann::ordered_json attributes = node_attributes(network);
    for (const auto& [name, value] : attributes.items()) {
      data.require_same(name, json::Json(value));
    }
  }
  for (const int input : network.inputs) {
    const IntTensor& described = network.tensors[static_cast<size_t>(input)];
    const Tensor& array = data.array(described.name);
    if (array.dtype() != described.dtype) {
      throw Error({ErrorCode::bad_value, "array " + described.name,
                   std::string(to_string(array.dtype())), std::string(to_string(described.dtype)),
                   ""});
    }
    read.inputs.push_back(array);
  }
  return read;
}

Tensor compute_case_network(const CaseNetwork& network, const Profile& profile,
                            const sim::RunContext& context) {
  sim::ExecutorOptions options;
  options.isa = context.isa;
  const sim::Executor executor(lower(network.graph, profile), options);
  return executor.run(network.inputs).outputs.front();
}

std::vector<Computed> network_case(const CaseRun& run) {
  return {{"", compute_case_network(read_case_network(run.data), run.profile, run.context)}};
}

namespace {

std::vector<int64_t> optional_integers(const CaseData& data, std::string_view role) {
  const Tensor* array = data.find({role});
  return array == nullptr ? std::vector<int64_t>{} : integers_of(*array);
}

/// Row r of `accumulator` by the r-th arguments; the rules are those of the op that the case's
/// family names.
std::vector<Computed> requantize_accumulators(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& accumulators = data.array("accumulator");
  const OpRules& rules = *run.profile.choose(data.description().family).rules;
  GivenArguments given;
  given.multiplier = optional_integers(data, "multiplier");
  given.shift = optional_integers(data, "shift");
  if (const Tensor* scale = data.find({"scale"})) given.scale = reals_of(*scale);
  given.zero_point = integers_of(data.array("zero_point"));
  given.clamp_min = optional_integers(data, "clamp_min");
  given.clamp_max = optional_integers(data, "clamp_max");
  given.output = data.type("output_type").value_or(code_type(data.golden()));
  if (accumulators.shape().rank() != 1 || accumulators.shape() != data.golden().shape()) {
    throw Error({ErrorCode::shape_mismatch, "accumulator", to_string(accumulators.shape()),
                 "a vector, as golden", ""});
  }
  const sim::Requantizer requantize = make_requantizer(rules, given);
  if (requantize.channels() != 1 && requantize.channels() != accumulators.numel()) {
    throw Error({ErrorCode::shape_mismatch, "arguments", std::to_string(requantize.channels()),
                 "1 or one per accumulator", ""});
  }
  Tensor output(given.output.storage(), accumulators.shape());
  sim::Events events;
  for (int64_t i = 0; i < output.numel(); ++i) {
    output.set_int(i, requantize.apply(accumulators.int_at(i), i, events));
  }
  return {{"", std::move(output)}};
}

constexpr std::array<AdapterEntry, 1> kGenerated{
    {{"requantize_accumulator", requantize_accumulators}}};

}  // namespace

std::span<const AdapterEntry> generated_adapters() { return kGenerated; }

}  // namespace facsim::backends::detail
