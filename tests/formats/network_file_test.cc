// SPDX-License-Identifier: Apache-2.0
#include "backends/io/network_file.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>

#include "backends/io/npy.h"
#include "tests/formats/small_network.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

using test::contains;
using test::contents;
using test::error_text;
using test::TempFolder;

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_CASE("network_file: a network reads back as it was, floats to the bit") {
  const TempFolder folder;
  IntGraph graph = test::small_network();
  graph.tensors[0].qparams->scale = {std::numeric_limits<float>::min()};
  graph.tensors[1].qparams->scale = {0.1f, 1.0f / 3.0f, 3.4028234e38f};
  graph.preprocessing = Preprocessing{{0.286f}, {0.353f}};
  graph.layout = IntGraph::Layout::nchw;
  write_int_graph(folder / "n.json", graph);
  const IntGraph read = read_int_graph(folder / "n.json");
  CHECK(read.name == graph.name);
  CHECK(read.profile == graph.profile);
  CHECK(read.profile_fingerprint == graph.profile_fingerprint);
  CHECK(read.layout == graph.layout);
  CHECK(read.inputs == graph.inputs);
  CHECK(read.outputs == graph.outputs);
  REQUIRE(read.preprocessing);
  CHECK(same_bits(read.preprocessing->mean, graph.preprocessing->mean));
  CHECK(same_bits(read.preprocessing->std, graph.preprocessing->std));
  REQUIRE(read.tensors.size() == graph.tensors.size());
  for (size_t i = 0; i < read.tensors.size(); ++i) {
    const IntTensor& a = read.tensors[i];
    const IntTensor& b = graph.tensors[i];
    CAPTURE(b.name);
    CHECK(a.name == b.name);
    CHECK(a.dtype == b.dtype);
    CHECK(a.shape == b.shape);
    CHECK(a.qparams == b.qparams);
    if (b.qparams) CHECK(same_bits(a.qparams->scale, b.qparams->scale));
    REQUIRE(a.data.has_value() == b.data.has_value());
    if (b.data) CHECK(std::memcmp(a.data->raw(), b.data->raw(), b.data->bytes()) == 0);
  }
  REQUIRE(read.nodes.size() == graph.nodes.size());
  for (size_t i = 0; i < read.nodes.size(); ++i) {
    const IntNode& a = read.nodes[i];
    const IntNode& b = graph.nodes[i];
    CAPTURE(b.name);
    CHECK(a.name == b.name);
    CHECK(a.op == b.op);
    CHECK(a.inputs == b.inputs);
    CHECK(a.output == b.output);
    CHECK(a.profile == b.profile);
    CHECK(a.attributes.window.kernel == b.attributes.window.kernel);
    CHECK(a.attributes.window.stride == b.attributes.window.stride);
    CHECK(a.attributes.window.padding == b.attributes.window.padding);
    CHECK(a.attributes.activation == b.attributes.activation);
    CHECK(a.attributes.order == b.attributes.order);
  }
}

TEST_CASE("network_file: the same network gives the same bytes") {
  const TempFolder folder;
  write_int_graph(folder / "n.json", test::small_network());
  const std::string json = contents(folder / "n.json");
  const std::string npz = contents(folder / "n.npz");
  write_int_graph(folder / "n.json", test::small_network());
  CHECK(contents(folder / "n.json") == json);
  CHECK(contents(folder / "n.npz") == npz);
  CHECK(folder.files() == 2);
}

TEST_CASE("network_file: a changed or missing array file is refused") {
  const TempFolder folder;
  write_int_graph(folder / "n.json", test::small_network());
  std::string npz = contents(folder / "n.npz");
  npz[200] ^= 1;
  folder.write("n.npz", npz);
  CHECK(contains(error_text(ErrorCode::bad_value, [&] { read_int_graph(folder / "n.json"); }),
                 "hash differs"));
  std::filesystem::remove(folder / "n.npz");
  error_text(ErrorCode::io, [&] { read_int_graph(folder / "n.json"); });
}

TEST_CASE("network_file: bad JSON names place and value") {
  const TempFolder folder;
  write_int_graph(folder / "n.json", test::small_network());
  const std::string good = contents(folder / "n.json");
  struct Row {
    std::string from, to;
    ErrorCode code;
    std::string message;
  };
  const Row rows[] = {
      {"\"facsim-network\"", "\"other\"", ErrorCode::bad_value, "/format: \"other\""},
      {"\"version\": 1", "\"version\": 2", ErrorCode::unsupported, "version 2; expected 1..1"},
      {"\"version\": 1", "\"version\": \"1\"", ErrorCode::bad_value, "/version"},
      {"\"layout\"", "\"layuot\"", ErrorCode::missing_key, "did you mean \"layout\"?"},
      {"\"n.npz\"", "\"../n.npz\"", ErrorCode::bad_value, "/arrays/file: \"../n.npz\""},
      {"\"n.npz\"", "\"/n.npz\"", ErrorCode::bad_value, "/arrays/file"},
      {"\"conv2d\"", "\"conv3d\"", ErrorCode::bad_value, "did you mean \"conv2d\"?"},
      {"[\"x\",\"w\",\"b\"]", "[\"y\",\"w\",\"b\"]", ErrorCode::bad_value,
       "\"y\" is not made by an earlier node"},
      {"[\"x\",\"w\",\"b\"]", "[\"q\",\"w\",\"b\"]", ErrorCode::bad_value,
       "/nodes/0/inputs/0: \"q\" is not a tensor"},
      {"\"zero_point\":[-3]", "\"zero_point\":[300]", ErrorCode::bad_value, "tensor \"x\""},
      {"\"zero_point\":[-3]", "\"zero_point\":[0.5]", ErrorCode::bad_value, "/zero_point/0: 0.5"},
      {"\"scale\":[0.5]", "\"scale\":[0]", ErrorCode::bad_value, "tensor \"x\""},
      {"\"scale\":[0.5]", "\"scale\":[-0.5]", ErrorCode::bad_value, "tensor \"x\""},
      {"\"scale\":[0.5]", "\"scale\":[1e39]", ErrorCode::bad_value, "/scale/0"},
      {"\"stride\":[1,1]", "\"stride\":[0,1]", ErrorCode::bad_value, "/stride/0: 0"},
      {"\"groups\":1", "\"groups\":2", ErrorCode::shape_mismatch, "2 groups on 2 channels"},
      {"\"shape\":[1,4,4,2]", "\"shape\":[2,4,4,2]", ErrorCode::shape_mismatch, "batch 1"},
      {"\"shape\":[1,4,4,2]", "\"shape\":[1,0,4,2]", ErrorCode::bad_value, "/shape/1: 0"},
      {"\"shape\":[1,4,4,2]", "\"shape\":[1,5,4,2]", ErrorCode::shape_mismatch, "node \"conv\""},
      {"\"bits\":8", "\"bits\":16", ErrorCode::bad_value, "tensor \"x\""},
      {"\"name\":\"y\"", "\"name\":\"x\"", ErrorCode::duplicate_key, "a second tensor \"x\""},
      {"\"constant\":true", "\"constant\":1", ErrorCode::bad_value, "true or false"},
      {"\"constant\":true,", "", ErrorCode::bad_value, "n.npz"},
      {"{\n", "{\"name\": \"again\",\n", ErrorCode::duplicate_key, "name"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.from);
    CAPTURE(row.to);
    std::string text = good;
    const size_t at = text.find(row.from);
    REQUIRE(at != std::string::npos);
    text.replace(at, row.from.size(), row.to);
    folder.write("n.json", text);
    const std::string message = error_text(row.code, [&] { read_int_graph(folder / "n.json"); });
    CHECK_MESSAGE(contains(message, row.message), message);
    CHECK_MESSAGE(contains(message, folder.path().string()), message);
  }
}

TEST_CASE("network_file: no truncation of the JSON is accepted") {
  const TempFolder folder;
  write_int_graph(folder / "n.json", test::small_network());
  const std::string good = contents(folder / "n.json");
  for (size_t size = 0; size + 2 < good.size(); size += 7) {
    folder.write("n.json", std::string_view(good).substr(0, size));
    error_text(ErrorCode::bad_json, [&] { read_int_graph(folder / "n.json"); });
  }
}

TEST_CASE("int_graph: invalid graphs are refused with the node or tensor named") {
  struct Row {
    std::string what;
    void (*change)(IntGraph&);
    ErrorCode code;
    std::string message;
  };
  const Row rows[] = {
      {"no inputs", [](IntGraph& g) { g.inputs.clear(); }, ErrorCode::bad_value, "no inputs"},
      {"no outputs", [](IntGraph& g) { g.outputs.clear(); }, ErrorCode::bad_value, "no outputs"},
      {"index", [](IntGraph& g) { g.outputs = {99}; }, ErrorCode::bad_value, "tensor number 99"},
      {"negative index", [](IntGraph& g) { g.nodes[0].inputs[0] = -1; }, ErrorCode::bad_value,
       "node \"conv\": tensor number -1"},
      {"order", [](IntGraph& g) { std::swap(g.nodes[0], g.nodes[1]); }, ErrorCode::bad_value,
       "topological order"},
      {"output twice", [](IntGraph& g) { g.nodes[1].output = g.nodes[0].output; },
       ErrorCode::bad_value, "exists already"},
      {"weights not constant", [](IntGraph& g) { g.tensors[1].data.reset(); },
       ErrorCode::shape_mismatch, "tensor \"w\""},
      {"no qparams", [](IntGraph& g) { g.tensors[0].qparams.reset(); }, ErrorCode::bad_value,
       "no quantization parameters"},
      {"one scale too many",
       [](IntGraph& g) {
         g.tensors[1].qparams->scale.push_back(1);
         g.tensors[1].qparams->zero_point.push_back(0);
       },
       ErrorCode::shape_mismatch, "4 scales on axis 0"},
      {"one input", [](IntGraph& g) { g.nodes[0].inputs.resize(1); }, ErrorCode::bad_value,
       "1 inputs of conv2d; expected 2 to 3"},
      {"bias length",
       [](IntGraph& g) {
         g.tensors[2].shape = {4};
         g.tensors[2].data = Tensor(DType::int32, {4});
       },
       ErrorCode::shape_mismatch, "bias of shape (4,)"},
      {"data of another shape", [](IntGraph& g) { g.tensors[2].data = Tensor(DType::int32, {4}); },
       ErrorCode::shape_mismatch, "tensor \"b\""},
      {"name twice", [](IntGraph& g) { g.tensors[1].name = "x"; }, ErrorCode::bad_value,
       "used twice"},
      {"op", [](IntGraph& g) { g.nodes[0].op = "convv2d"; }, ErrorCode::bad_value,
       "did you mean \"conv2d\"?"},
      {"huge window", [](IntGraph& g) { g.nodes[0].attributes.window.stride[0] = INT64_MAX; },
       ErrorCode::bad_value, "1..65536"},
      {"std 0",
       [](IntGraph& g) {
         g.preprocessing = Preprocessing{{0}, {0}};
       },
       ErrorCode::bad_value, "std > 0"},
  };
  CHECK_NOTHROW(check(test::small_network()));
  for (const Row& row : rows) {
    CAPTURE(row.what);
    IntGraph graph = test::small_network();
    row.change(graph);
    const std::string text = error_text(row.code, [&] { check(graph); });
    CHECK_MESSAGE(contains(text, row.message), text);
  }
}

TEST_CASE("network file: a network that cannot be written leaves no file and no old one changed") {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "net.json");
  error_text(ErrorCode::io, [&] { write_int_graph(folder / "net.json", test::small_network()); });
  CHECK_FALSE(std::filesystem::exists(folder / "net.npz"));

  write_int_graph(folder / "good.json", test::small_network());
  IntGraph bad = test::small_network();
  bad.tensors[0].name = "\xff";  // no JSON text
  CHECK_THROWS(write_int_graph(folder / "good.json", bad));
  CHECK_NOTHROW(read_int_graph(folder / "good.json"));
  for (const auto& entry : std::filesystem::directory_iterator(folder / ".")) {
    CHECK(entry.path().string().find(".tmp-") == std::string::npos);
  }
}

}  // namespace
}  // namespace facsim::backends
