// SPDX-License-Identifier: Apache-2.0
#include "backends/io/provenance.h"

#include <doctest/doctest.h>

#include "backends/io/npy.h"
#include "tests/formats/small_network.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

TEST_CASE("provenance: a comment reads back, and anybody else's text is none") {
  const Provenance run{"0123", "tflite-micro", "89ab", "cdef"};
  CHECK(provenance_from_comment(to_comment(run)) == run);
  for (const std::string text :
       {"", "hello", "{\"format\":\"facsim-run\"", "{\"format\":\"facsim-run\"}",
        "{\"format\":\"facsim-run\",\"network\":1,\"profile\":\"\",\"profile_fingerprint\":\"\","
        "\"inputs\":\"\"}"}) {
    CAPTURE(text);
    CHECK_FALSE(provenance_from_comment(text).has_value());
  }
}

TEST_CASE("provenance: stands in the comment of an .npz, whose arrays stay readable") {
  const test::TempFolder folder;
  const Provenance run{"0123", "tflite-micro", "89ab", "cdef"};
  const Tensor x(DType::int8, {3});
  write_npz(folder / "a.npz", {{"x", x}}, to_comment(run));
  const NpzFile file(folder / "a.npz");
  CHECK(provenance_from_comment(file.comment()) == run);
  CHECK(file.read("x").shape() == x.shape());
  write_npz(folder / "b.npz", {{"x", x}});
  CHECK(NpzFile(folder / "b.npz").comment().empty());
}

TEST_CASE("provenance: a network's fingerprint follows what it computes and nothing else") {
  const IntGraph graph = test::small_network();
  const std::string print = fingerprint(graph);
  CHECK(print.size() == 32);
  IntGraph renamed = graph;
  renamed.name = "other";
  renamed.profile = "cmsis-nn";
  renamed.profile_fingerprint = "0";
  CHECK(fingerprint(renamed) == print);
  IntGraph weight = graph;
  weight.tensors[1].data = graph.tensors[1].data->clone();
  weight.tensors[1].data->set_int(5, 7);
  CHECK(fingerprint(weight) != print);
  IntGraph scale = graph;
  scale.tensors[3].qparams->scale = {0.250001f};
  CHECK(fingerprint(scale) != print);
  IntGraph attribute = graph;
  attribute.nodes[0].attributes.activation = Activation::none;
  CHECK(fingerprint(attribute) != print);
}

TEST_CASE("provenance: a fingerprint of tensors follows values, dtype and shape") {
  const auto print = [](DType dtype, Shape shape, int64_t value) {
    Tensor tensor(dtype, std::move(shape));
    tensor.set_int(1, value);
    return fingerprint(std::vector<Tensor>{tensor});
  };
  CHECK(print(DType::int8, {4}, 1) == print(DType::int8, {4}, 1));
  CHECK(print(DType::int8, {4}, 1) != print(DType::int8, {4}, 2));
  CHECK(print(DType::int8, {4}, 1) != print(DType::uint8, {4}, 1));
  CHECK(print(DType::int8, {4}, 1) != print(DType::int8, {2, 2}, 1));
}

}  // namespace
}  // namespace facsim::backends
