// SPDX-License-Identifier: Apache-2.0
// A network that is written and read again is the same: names, scales, codes, and what it computes.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "backends/io/npy.h"
#include "backends/onnx/quantized_network.h"
#include "backends/onnx/to_onnx.h"
#include "backends/tflite/read_tflite.h"
#include "backends/tflite/write_tflite.h"
#include "sim/core/error.h"
#include "tests/deployed/int_graph_maker.h"
#include "tests/deployed/run_int_graph.h"
#include "tests/formats/temp_folder.h"

namespace facsim::test {
namespace {

using backends::IntGraph;
using backends::IntTensor;

const IntTensor* find_tensor(const IntGraph& graph, const std::string& name) {
  const auto found = std::find_if(graph.tensors.begin(), graph.tensors.end(),
                                  [&](const IntTensor& t) { return t.name == name; });
  return found == graph.tensors.end() ? nullptr : &*found;
}

/// Every tensor of `graph` is in `read` with the same scales, shape and elements.
void check_tensors(const IntGraph& graph, const IntGraph& read) {
  for (const IntTensor& t : graph.tensors) {
    CAPTURE(t.name);
    const IntTensor* own = find_tensor(read, t.name);
    REQUIRE(own != nullptr);
    CHECK(to_string(own->dtype) == to_string(t.dtype));
    // TFLite: rows of weights with a scale each are those of a 1 x 1 convolution.
    const bool is_convolution = t.data && t.shape.rank() == 2 && own->shape.rank() == 4;
    const Shape shape = is_convolution ? Shape{t.shape[0], 1, 1, t.shape[1]} : t.shape;
    CHECK(to_string(own->shape) == to_string(shape));
    REQUIRE(own->qparams.has_value() == t.qparams.has_value());
    if (t.qparams) {
      CHECK(own->qparams->scale == t.qparams->scale);
      CHECK(own->qparams->zero_point == t.qparams->zero_point);
      CHECK(own->qparams->channel_axis == t.qparams->channel_axis);
      CHECK(own->qparams->type == t.qparams->type);
    }
    REQUIRE(own->data.has_value() == t.data.has_value());
    if (t.data) CHECK(differing(*own->data, t.data->reshaped(shape)) == 0);
  }
}

constexpr int kSeeds = 12;

/// Writes and reads drawn networks by `round_trip`; families of `left_out` are not read again.
template <class RoundTrip>
void check_round_trips(sim::IntType type, const std::string& profile,
                       const std::set<std::string>& left_out, RoundTrip round_trip) {
  int64_t computed = 0;
  for (const IntGraphFamily& family : int_graph_families()) {
    if (left_out.contains(family.name)) continue;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      CAPTURE(std::string(family.name));
      CAPTURE(seed);
      IntGraphMaker maker(seed, type);
      const IntGraph graph = family.make(maker);
      IntGraph read;
      try {
        read = round_trip(graph);
      } catch (const Error& error) {
        FAIL_CHECK(std::string(error.what()));
        continue;
      }
      check_tensors(graph, read);
      const std::vector<Tensor> inputs = random_inputs(graph, 2, seed);
      const auto expected = run_int_graph(graph, profile, inputs);
      if (!expected) continue;
      const auto got = run_int_graph(read, profile, inputs);
      REQUIRE(got.has_value());
      for (const auto& [name, tensor] : *expected) {
        CHECK(differing(got->at(name), tensor) == 0);
        computed += tensor.numel();
      }
    }
  }
  CHECK(computed > 20000);
}

IntGraph through_onnx(const IntGraph& graph, backends::OnnxForm form) {
  const std::string bytes = backends::onnx_bytes(backends::to_onnx(graph, form));
  backends::QuantizedNetworkOptions options;
  options.groups = backends::QdqGroups::every;
  return backends::quantized_network(backends::parse_onnx_model(bytes, "drawn.onnx"), options);
}

// Ops that ONNX Runtime leaves in float, and integer operators that the reader does not take.
const std::set<std::string> kNotRead{"sub", "minimum", "maximum",  "mean", "tanh",
                                     "lut", "clamp",   "pad_value"};  // ONNX files say real 0 alone

TEST_CASE("round trip: ONNX, QDQ") {
  for (const sim::IntType type : {sim::kUint8, sim::kInt8}) {
    check_round_trips(type, "onnxruntime-cpu", kNotRead, [](const IntGraph& graph) {
      return through_onnx(graph, backends::OnnxForm::qdq);
    });
  }
}

TEST_CASE("round trip: ONNX, QOperator") {
  // Nothing in this form says the scale of codes that are only moved.
  std::set<std::string> left_out = kNotRead;
  left_out.insert({"max_pool2d", "pad", "concat", "slice", "transpose", "reshape", "linear_rows"});
  for (const sim::IntType type : {sim::kUint8, sim::kInt8}) {
    check_round_trips(type, "onnxruntime-cpu", left_out, [](const IntGraph& graph) {
      return through_onnx(graph, backends::OnnxForm::qoperator);
    });
  }
}

TEST_CASE("round trip: TFLite") {
  // A table has no operator; global_avg_pool is written as MEAN and read as mean, whose rule is its
  // own.
  check_round_trips(sim::kInt8, "tflite-reference", {"lut", "global_avg_pool"},
                    [](const IntGraph& graph) {
                      return backends::parse_tflite(backends::tflite_bytes(graph), "drawn.tflite");
                    });
}

/// What a writer says about a network.
template <class Write>
ErrorInfo refusal(const IntGraph& graph, Write write) {
  try {
    write(graph);
  } catch (const Error& error) {
    return error.infos().front();
  }
  FAIL("no error");
  return {};
}

IntGraph drawn_layer() {
  IntGraphMaker maker(1, sim::kInt8);
  const int x = maker.input({1, 6}, maker.centred(1));
  return maker.take({maker.layer("linear", x, {4, 6}, {}, true)});
}

/// Changes that neither format can say: the error is `unsupported` and names the node or tensor.
TEST_CASE("writers: refuse what the format cannot say") {
  struct Row {
    const char* reason;
    void (*change)(IntGraph&);
    const char* place;
  };
  static const Row rows[] = {
      {"a scale per channel of an activation",
       [](IntGraph& g) {
         IntTensor& x = g.tensors[0];
         x.qparams->scale.assign(6, 0.1f);
         x.qparams->zero_point.assign(6, 0);
         x.qparams->channel_axis = 1;
       },
       "tensor \"x0\""},
      {"codes narrower than their type",
       [](IntGraph& g) { g.tensors[0].qparams->quant_min = -127; }, "tensor \"x0\""},
      {"3-bit activations",
       [](IntGraph& g) {
         quant::QParams& q = *g.tensors[0].qparams;
         q = {{0.1f}, {0}, -1, {3, true}, -4, 3};
       },
       "tensor \"x0\""},
      {"a real bias",
       [](IntGraph& g) {
         g.tensors[2].qparams.reset();
         g.tensors[2].dtype = DType::float32;
         g.tensors[2].data = Tensor(DType::float32, g.tensors[2].shape);
       },
       "node \"linear3\" (linear)"},
      {"a bias that is not in accumulator units",
       [](IntGraph& g) { g.tensors[2].qparams->scale[1] *= 2; }, "node \"linear3\" (linear)"},
      {"bias codes of more than 32 bits",
       [](IntGraph& g) {
         IntTensor& bias = g.tensors[2];
         bias.qparams->type = {64, true};
         bias.qparams->quant_min = INT64_MIN;
         bias.qparams->quant_max = INT64_MAX;
         bias.dtype = DType::int64;
         bias.data = Tensor(DType::int64, bias.shape);
         bias.data->set_int(2, int64_t{1} << 40);
       },
       "node \"linear3\" (linear)"},
      {"a constant as an output", [](IntGraph& g) { g.outputs = {1}; }, "network output \"c1\""},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.reason));
    IntGraph graph = drawn_layer();
    row.change(graph);
    const auto check_one = [&](auto write) {
      const ErrorInfo info = refusal(graph, write);
      CAPTURE(to_string(info));
      CHECK(info.code == ErrorCode::unsupported);
      CHECK(info.place == row.place);
    };
    check_one([](const IntGraph& g) { backends::tflite_bytes(g); });
    check_one([](const IntGraph& g) { backends::to_onnx(g, backends::OnnxForm::qdq); });
    check_one([](const IntGraph& g) { backends::to_onnx(g, backends::OnnxForm::qoperator); });
  }
}

TEST_CASE("write_tflite: uint8 codes become int8 where TFLite's rule allows it") {
  IntGraphMaker maker(3, sim::kUint8);
  const int x = maker.input({1, 5, 5, 2}, maker.centred(1));
  backends::NodeAttributes attributes;
  attributes.window.kernel = {3, 3};
  const int y = maker.layer("conv2d", x, {3, 3, 3, 2}, attributes, true);
  const IntGraph graph = maker.take({y});
  const IntGraph read = backends::parse_tflite(backends::tflite_bytes(graph), "net.tflite");
  for (const int t : {x, y}) {
    const IntTensor& before = graph.tensors[static_cast<size_t>(t)];
    const IntTensor* after = find_tensor(read, before.name);
    REQUIRE(after != nullptr);
    CHECK(after->qparams->type == sim::kInt8);
    CHECK(after->qparams->scale == before.qparams->scale);
    CHECK(after->qparams->zero_point[0] == before.qparams->zero_point[0] - 128);
  }

  IntGraphMaker other(3, sim::kUint8);
  const int pooled_input = other.input({1, 4, 4, 2}, other.centred(1));
  attributes.window.kernel = {2, 2};
  const IntGraph pool = other.take(
      {other.node("avg_pool2d", {pooled_input}, attributes, other.qparams(pooled_input))});
  const ErrorInfo info = refusal(pool, [](const IntGraph& g) { backends::tflite_bytes(g); });
  CHECK(info.code == ErrorCode::unsupported);
  CHECK(info.place == "node \"avg_pool2d1\" (avg_pool2d)");
}

TEST_CASE("write_tflite: a table, and scales that TFLite fixes") {
  IntGraphMaker maker(1, sim::kInt8);
  const int x = maker.input({1, 4}, maker.centred(1));
  const IntGraph graph = maker.take({maker.node("sigmoid", {x}, {}, maker.qparams(x))});
  const ErrorInfo info = refusal(graph, [](const IntGraph& g) { backends::tflite_bytes(g); });
  CHECK(info.code == ErrorCode::unsupported);
  CHECK(info.place == "node \"sigmoid1\" (sigmoid)");
  CHECK(info.expected.find("0.00390625 and -128") != std::string::npos);
}

/// Weights [c, 3, 3, 1] as c filters of one channel, and as a filter for each of c channels.
IntGraph one_weight_in_two_layouts() {
  IntGraphMaker maker(5, sim::kInt8);
  const int64_t channels = 4;
  const int x = maker.input({1, 6, 6, 1}, maker.centred(1));
  backends::NodeAttributes attributes;
  attributes.window.kernel = {3, 3};
  const int y = maker.layer("conv2d", x, {channels, 3, 3, 1}, attributes, true);
  attributes.groups = channels;
  const int z =
      maker.node("conv2d", {y, maker.graph().nodes[0].inputs[1]}, attributes, maker.any(20));
  return maker.take({z});
}

/// Weights [4, 6] over rows and over one row.
IntGraph one_weight_over_rows_and_a_row() {
  IntGraphMaker maker(6, sim::kInt8);
  const int rows = maker.input({1, 3, 6}, maker.centred(1));
  const int row = maker.input({1, 6}, maker.qparams(rows));
  const int y = maker.layer("linear", rows, {4, 6}, {}, true);
  const auto& inputs = maker.graph().nodes[0].inputs;
  return maker.take({y, maker.node("linear", {row, inputs[1], inputs[2]}, {}, maker.qparams(y))});
}

TEST_CASE("round trip: weights that layers take in different layouts") {
  const auto check = [](const IntGraph& graph, const IntGraph& read, const std::string& profile) {
    const std::vector<Tensor> inputs = random_inputs(graph, 2, 1);
    const auto expected = run_int_graph(graph, profile, inputs);
    const auto got = run_int_graph(read, profile, inputs);
    REQUIRE(expected.has_value());
    REQUIRE(got.has_value());
    for (const auto& [name, tensor] : *expected) CHECK(differing(got->at(name), tensor) == 0);
  };
  for (const auto make : {one_weight_in_two_layouts, one_weight_over_rows_and_a_row}) {
    const IntGraph graph = make();
    const std::string file = backends::tflite_bytes(graph);
    check(graph, backends::parse_tflite(file, "shared.tflite"), "tflite-reference");
    check(graph, through_onnx(graph, backends::OnnxForm::qdq), "onnxruntime-cpu");
  }
}

TEST_CASE("writers: files appear whole or not at all") {
  const TempFolder folder;
  const IntGraph graph = drawn_layer();
  backends::write_tflite(folder / "net.tflite", graph);
  CHECK(backends::read_file(folder / "net.tflite") == backends::tflite_bytes(graph));
  CHECK_THROWS_AS(backends::write_tflite(folder / "absent" / "net.tflite", graph), Error);
  IntGraph bad = graph;
  bad.outputs = {1};
  CHECK_THROWS_AS(backends::write_tflite(folder / "net.tflite", bad), Error);
  CHECK(backends::read_file(folder / "net.tflite") == backends::tflite_bytes(graph));
}

}  // namespace
}  // namespace facsim::test
