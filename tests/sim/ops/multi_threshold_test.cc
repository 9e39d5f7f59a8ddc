// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/multi_threshold.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {
namespace {

TEST_CASE("multi_threshold: the result counts the thresholds that are reached") {
  MultiThresholdParams p;
  p.thresholds = {{-5, 0, 0, 7}};
  p.bias = -2;
  const MultiThreshold op(p);
  const Tensor x = tensor<int32_t>({1, 7}, {INT32_MIN, -6, -5, -1, 0, 6, 7});
  CHECK(ints(run_everywhere(op, {&x})) == std::vector<int64_t>{-2, -2, -1, -1, 1, 1, 2});
}

TEST_CASE("multi_threshold: channels of the last axis have their own thresholds, outputs a step") {
  MultiThresholdParams p;
  p.input_type = kInt8;
  p.output_type = kUint8;
  p.thresholds = {{0, 10}, {-10, 100}};
  p.scale = 3;
  p.bias = 1;
  const MultiThreshold op(p);
  const Tensor x = tensor<int8_t>({2, 1, 1, 2}, {10, 10, -1, -11});
  CHECK(ints(run_everywhere(op, {&x})) == std::vector<int64_t>{7, 4, 1, 1});
  CHECK_THROWS_AS(op.output_shape(std::vector<Shape>{{1, 3}}), Error);
}

TEST_CASE("multi_threshold: no thresholds give the bias") {
  MultiThresholdParams p;
  p.thresholds = {{}};
  p.bias = 5;
  const Tensor x = tensor<int32_t>({1, 2}, {1, -1});
  CHECK(ints(run_everywhere(MultiThreshold(p), {&x})) == std::vector<int64_t>{5, 5});
}

TEST_CASE("multi_threshold: errors") {
  const auto refused = [](const std::function<void(MultiThresholdParams&)>& change) {
    MultiThresholdParams p;
    p.thresholds = {{1, 2}};
    change(p);
    CHECK_THROWS_AS(MultiThreshold{p}, Error);
  };
  refused([](auto& p) { p.thresholds = {}; });
  refused([](auto& p) { p.thresholds = {{2, 1}}; });
  refused([](auto& p) { p.thresholds = {{1}, {1, 2}}; });
  refused([](auto& p) { p.bias = 126; });
  refused([](auto& p) { p.scale = -100; });
  refused([](auto& p) { p.scale = INT64_MAX; });
  refused([](auto& p) { p.input_type = {33, true}; });
}

}  // namespace
}  // namespace facsim::sim::test
