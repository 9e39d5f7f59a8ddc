// SPDX-License-Identifier: Apache-2.0
// Cases whose network facsim wrote itself, and bare requantizations by any profile's program: what
// `facsim vectors gen` makes.
#include <array>

#include "backends/io/network_file.h"
#include "backends/lower/given_arguments.h"
#include "backends/lower/requantize-internal.h"
#include "backends/parity/vectors_case-internal.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"

namespace facsim::backends::detail {

bool is_network_case(const VectorCase& vector_case) { return vector_case.model.ends_with(".json"); }

std::vector<Computed> network_case(const CaseRun& run) {
  const IntGraph network = read_int_graph(run.data.folder() / run.data.description().model);
  if (network.outputs.size() != 1) {
    throw Error({ErrorCode::bad_value, run.data.description().model,
                 std::to_string(network.outputs.size()) + " outputs", "1", ""});
  }
  std::vector<Tensor> inputs;
  for (const int input : network.inputs) {
    const IntTensor& described = network.tensors[static_cast<size_t>(input)];
    const Tensor& array = run.data.array(described.name);
    if (array.dtype() != described.dtype) {
      throw Error({ErrorCode::bad_value, "array " + described.name,
                   std::string(to_string(array.dtype())), std::string(to_string(described.dtype)),
                   ""});
    }
    inputs.push_back(array);
  }
  sim::ExecutorOptions options;
  options.isa = run.context.isa;
  const sim::Executor executor(lower(network, run.profile), options);
  return {{"", executor.run(std::move(inputs)).outputs.front()}};
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
