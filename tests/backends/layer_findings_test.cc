// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/layer_findings-internal.h"

#include <doctest/doctest.h>

#include "tests/backends/injected_settings.h"
#include "tests/formats/small_network.h"

namespace facsim::test {
namespace {

using backends::IntGraph;

/// small_network() whose relu clamps inside the codes, with one row of zeros above and none below.
IntGraph network() {
  IntGraph graph = small_network();
  graph.profile_fingerprint.clear();
  graph.nodes[1].profile.clear();
  graph.nodes[0].attributes.window.kernel = {4, 3};
  graph.nodes[0].attributes.window.padding = {1, 0, 0, 0};
  Tensor weights(DType::int8, {3, 4, 3, 2});
  for (int64_t i = 0; i < weights.numel(); ++i) weights.set_int(i, i * 37 % 101 - 50);
  graph.tensors[1].shape = weights.shape();
  graph.tensors[1].data = weights;
  quant::QParams bias = *graph.tensors[1].qparams;
  for (float& scale : bias.scale) scale *= 0.5f;
  bias.type = sim::kInt32;
  bias.quant_min = INT32_MIN;
  bias.quant_max = INT32_MAX;
  graph.tensors[2].qparams = bias;
  for (const size_t t : {3, 4}) graph.tensors[t].qparams->zero_point = {-20};
  return graph;
}

std::vector<Tensor> images() {
  Tensor x(DType::int8, {12, 4, 4, 2});
  for (int64_t i = 0; i < x.numel(); ++i) x.set_int(i, i * 37 % 256 - 128);
  return {x};
}

/// What diagnose finds where the device has the network `device`; `tensors`: what it recorded.
backends::Diagnosis diagnosis_of(const IntGraph& device, const std::vector<std::string>& tensors) {
  const IntGraph graph = network();
  const backends::Profile profile =
      backends::load_profile(graph.profile, backends::ProfileSearch::standard());
  backends::NamedTensors golden;
  for (auto& [name, tensor] : dump(backends::lower(device, profile), images())) {
    if (std::find(tensors.begin(), tensors.end(), name) != tensors.end()) {
      golden.emplace_back(name, std::move(tensor));
    }
  }
  backends::DiagnoseOptions options;
  options.search = backends::ProfileSearch::standard();
  options.profile = graph.profile;
  options.pairs = backends::KnobPairs::never;
  options.work_limit = 1;  // no settings: findings are looked for after them
  return backends::Diagnoser(graph, options, no_other).run(images(), golden);
}

TEST_CASE("layer_findings: what the device leaves out or does elsewhere is said, by layer") {
  struct Row {
    const char* what;
    void (*change)(backends::IntNode&);
  };
  const Row rows[] = {
      {"the device adds no bias", [](backends::IntNode& conv) { conv.inputs.resize(2); }},
      {"the device does not apply the fused activation",
       [](backends::IntNode& conv) { conv.attributes.activation = backends::Activation::none; }},
      {"the device has the odd padding at the other side",
       [](backends::IntNode& conv) {
         conv.attributes.window.padding = {0, 0, 1, 0};
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    IntGraph device = network();
    row.change(device.nodes[0]);
    // From the layer's own output, and from what the layer after it makes of it.
    for (const char* recorded : {"y", "z"}) {
      CAPTURE(recorded);
      const backends::Diagnosis diagnosis = diagnosis_of(device, {recorded});
      CHECK(diagnosis.mismatches > 10);
      REQUIRE(diagnosis.findings.size() == 1);
      CHECK(diagnosis.findings[0].node == "conv");
      CHECK(diagnosis.findings[0].what == row.what);
      CHECK(diagnosis.findings[0].explained == diagnosis.mismatches);
      CHECK(diagnosis.findings[0].of == diagnosis.mismatches);
    }
  }
}

TEST_CASE("layer_findings: two things at once are no finding") {
  IntGraph device = network();
  device.nodes[0].inputs.resize(2);
  device.nodes[0].attributes.activation = backends::Activation::none;
  const backends::Diagnosis diagnosis = diagnosis_of(device, {"y", "z"});
  CHECK(diagnosis.mismatches > 10);
  CHECK(diagnosis.findings.empty());
}

}  // namespace
}  // namespace facsim::test
