// SPDX-License-Identifier: Apache-2.0
#include "fused/patterns/pattern_registry.h"

#include <doctest/doctest.h>

#include "fused/network.h"
#include "fused/nn/relu.h"
#include "sim/core/error.h"
#include "tests/fused/pattern_tester.h"

using namespace facsim;
using namespace facsim::fused;
using fused::test::batch_norm;
using fused::test::conv;
using fused::test::graph;
using fused::test::node;

namespace {

/// The message of the Error that f throws; empty if none.
template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

bool mentions(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (text.find(word) == std::string::npos) return false;
  }
  return true;
}

FusionPattern conv_relu(std::string name) {
  return make_pattern<nn::ReLUForm>(std::move(name),
                                    {{Role::linear, "Conv2d", {}}, {Role::activation, "ReLU", {}}});
}

}  // namespace

TEST_CASE("PatternRegistry: a duplicate name or the same ops is an error with both names") {
  PatternRegistry patterns = PatternRegistry::standard();
  CHECK(mentions(error_of([&] { patterns.add(conv_relu("ConvReLU2d")); }), {"ConvReLU2d"}));
  CHECK(mentions(error_of([&] { patterns.add(conv_relu("MyConvReLU")); }),
                 {"MyConvReLU", "ConvReLU2d", "same ops"}));
  CHECK(patterns.patterns().size() == PatternRegistry::standard().patterns().size());
}

TEST_CASE("PatternRegistry: roles come in order, and an activation needs its form") {
  PatternRegistry patterns;
  CHECK_FALSE(error_of([&] {
                patterns.add(make_pattern<>("Backwards", {{Role::affine, "BatchNorm2d", {}},
                                                          {Role::linear, "Conv2d", {}}}));
              }).empty());
  CHECK_FALSE(error_of([&] {
                patterns.add(make_pattern<>(
                    "NoForm", {{Role::linear, "Conv2d", {}}, {Role::activation, "ReLU", {}}}));
              }).empty());
  CHECK_FALSE(error_of([&] {
                patterns.add(make_pattern<nn::ReLUForm>("NoOp", {{Role::linear, "Conv2d", {}}}));
              }).empty());
  CHECK_FALSE(error_of([&] {
                patterns.add(make_pattern<>("", {{Role::linear, "Conv2d", {}}}));
              }).empty());
  CHECK(patterns.patterns().empty());
}

TEST_CASE("PatternRegistry: `only` keeps the named patterns and the single ops") {
  const PatternRegistry all = PatternRegistry::standard();
  const std::vector<std::string> names{"ConvReLU2d"};
  const PatternRegistry some = all.only(names);
  CHECK(some.find("ConvReLU2d") != nullptr);
  CHECK(some.find("Conv2d") != nullptr);
  CHECK(some.find("ConvBn2d") == nullptr);
  CHECK(all.only({}).patterns().size() == all.patterns().size());
  const std::vector<std::string> wrong{"ConvGelu"};
  CHECK(mentions(error_of([&] { all.only(wrong); }), {"ConvGelu"}));
}

TEST_CASE("fuse: two patterns that only predicates tell apart are an error where both match") {
  PatternRegistry patterns = PatternRegistry::standard();
  FusionPattern mine = conv_relu("Mine");
  mine.ops[0].accepts = [](const backends::FloatNode& n) { return n.groups == 1; };
  patterns.add(mine);
  Network one = Network::from_graph(
      graph({2, 4, 4}, {conv("c", "input", 2, 2, 3, 2), node("ReLU", "r", {"c"})}), 1);
  one.fuse(patterns);  // depthwise: only the library's matches
  CHECK(one.module_types() == std::vector<std::string>{"nni.ConvReLU2d"});
  Network two = Network::from_graph(
      graph({2, 4, 4}, {conv("c", "input", 2, 2), node("ReLU", "r", {"c"})}), 1);
  CHECK(mentions(error_of([&] { two.fuse(patterns); }), {"Mine", "ConvReLU2d"}));
}

TEST_CASE("fuse: the longest match wins, and a value used twice ends a match") {
  const auto types = [](std::vector<backends::FloatNode> nodes) {
    Network network = Network::from_graph(graph({2, 4, 4}, std::move(nodes)), 1);
    network.fuse(PatternRegistry::standard());
    return network.module_types();
  };
  using Types = std::vector<std::string>;
  CHECK(types({conv("c", "input", 2, 2), batch_norm("BatchNorm2d", "b", "c", 2),
               node("ReLU", "r", {"b"})}) == Types{"nni.ConvBnReLU2d"});
  CHECK(types({conv("c", "input", 2, 2), batch_norm("FrozenBatchNorm2d", "b", "c", 2)}) ==
        Types{"nni.ConvBn2d"});
  // b is read by the ReLU and by the addition.
  CHECK(types({conv("c", "input", 2, 2), batch_norm("BatchNorm2d", "b", "c", 2),
               node("ReLU", "r", {"b"}), node("Add", "s", {"r", "b"})}) ==
        Types{"nni.ConvBn2d", "nn.ReLU", "nn.Add"});
  // Both branches of the addition end in a convolution: it goes to the first, in whatever order it
  // names them.
  for (const auto& inputs : {std::vector<std::string>{"b", "d"}, {"d", "b"}}) {
    CHECK(types({conv("c", "input", 2, 2), batch_norm("BatchNorm2d", "b", "c", 2),
                 conv("d", "input", 2, 2), node("Add", "s", inputs), node("ReLU", "r", {"s"})}) ==
          Types{"nn.Conv2d", "nni.ConvBnAddReLU2d"});
  }
  // A node under another profile is not merged into its neighbour.
  auto relu = node("ReLU", "r", {"c"});
  relu.profile = "other";
  CHECK(types({conv("c", "input", 2, 2), relu}) == Types{"nn.Conv2d", "nn.ReLU"});
}
