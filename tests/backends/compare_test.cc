// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/compare.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <random>

#include "sim/core/error.h"

namespace facsim::backends {

namespace {

template <class T>
Tensor tensor(const Shape& shape, const std::vector<T>& values) {
  return Tensor::from<T>(shape, values);
}

using Kind = StructuralDifference::Kind;
using Histogram = std::map<int64_t, int64_t>;

}  // namespace

TEST_CASE("compare: counts, largest difference, histogram and first mismatches with their index") {
  const Tensor got = tensor<int8_t>({2, 3}, {1, 2, 3, 4, 5, 127});
  const Tensor expected = tensor<int8_t>({2, 3}, {1, 3, 3, 2, 5, -128});
  const ComparisonReport report = compare({{"y", got}}, {{"y", expected}}, 2);
  REQUIRE(report.tensors.size() == 1);
  const TensorComparison& t = report.tensors[0];
  CHECK(t.name == "y");
  CHECK(t.compared == 6);
  CHECK(t.mismatches == 3);
  CHECK(t.rate() == 0.5);
  CHECK(t.max_difference == 255);
  CHECK(t.histogram == Histogram{{-1, 1}, {0, 3}, {2, 1}, {255, 1}});
  REQUIRE(t.first.size() == 2);
  CHECK(t.first[0].index == std::vector<int64_t>{0, 1});
  CHECK(t.first[0].flat_index == 1);
  CHECK(t.first[0].got == "2");
  CHECK(t.first[0].expected == "3");
  CHECK(t.first[0].difference == -1);
  CHECK(t.first[1].index == std::vector<int64_t>{1, 0});
  CHECK(t.argmax.images == 2);
  CHECK(t.argmax.flips == 2);
  CHECK_FALSE(report.equal());
}

TEST_CASE("compare: equal tensors are equal, and nothing compared is not") {
  const Tensor x = tensor<int32_t>({2, 2}, {INT32_MIN, 0, 1, INT32_MAX});
  CHECK(compare({{"x", x}}, {{"x", x.clone()}}).equal());
  CHECK_FALSE(compare({}, {}).equal());
  const Tensor none(DType::int8, {0, 3});
  CHECK_FALSE(compare({{"x", none}}, {{"x", none}}).equal());
}

TEST_CASE("compare: differences beyond the histogram and beyond 64 bits") {
  const Tensor a = tensor<int64_t>({4}, {INT64_MAX, INT64_MIN, 300, -300});
  const Tensor b = tensor<int64_t>({4}, {INT64_MIN, INT64_MAX, 0, 0});
  const TensorComparison t = compare({{"x", a}}, {{"x", b}}).tensors[0];
  CHECK(t.histogram == Histogram{{-256, 2}, {256, 2}});
  CHECK(t.max_difference == uint64_t{1} << 63);
  CHECK(t.first[0].difference == INT64_MAX);
  CHECK(t.first[1].difference == INT64_MIN);
}

TEST_CASE("compare: float32 differences count representable values") {
  const float next = std::nextafter(1.0f, 2.0f);
  const float tiny = std::numeric_limits<float>::denorm_min();
  const Tensor a = tensor<float>({6}, {1.0f, 0.0f, tiny, NAN, NAN, INFINITY});
  const Tensor b = tensor<float>({6}, {next, -0.0f, -tiny, -NAN, 1.0f, INFINITY});
  const TensorComparison t = compare({{"x", a}}, {{"x", b}}).tensors[0];
  CHECK(t.mismatches == 3);
  REQUIRE(t.first.size() == 3);
  CHECK(t.first[0].difference == -1);
  CHECK(t.first[0].expected == "1.0000001");
  CHECK(t.first[1].difference == 2);
  CHECK(t.first[2].got == "nan");
}

TEST_CASE("compare: names, shapes and dtypes that differ are structural differences") {
  const Tensor x = tensor<int8_t>({2}, {1, 2});
  const ComparisonReport report = compare({{"same", x}, {"only_a", x}, {"shape", x}, {"dtype", x}},
                                          {{"same", x},
                                           {"shape", tensor<int8_t>({1, 2}, {1, 2})},
                                           {"dtype", tensor<int16_t>({2}, {1, 2})},
                                           {"only_b", x}});
  CHECK(report.tensors.size() == 1);
  REQUIRE(report.structure.size() == 4);
  CHECK(report.structure[0].kind == Kind::missing_in_expected);
  CHECK(report.structure[1].kind == Kind::shape);
  CHECK(report.structure[2].kind == Kind::dtype);
  CHECK(report.structure[3].kind == Kind::missing_in_got);
  CHECK(to_string(report.structure[1]) == "shape: shape (2,); expected (1, 2)");
  CHECK(to_string(report.structure[2]) == "dtype: dtype int8; expected int16");
  CHECK_FALSE(report.equal());
}

TEST_CASE("compare: pieces give the same result as the whole (seed 7)") {
  std::mt19937 random(7);
  Tensor a(DType::int16, {40, 3, 700}), b(DType::int16, {40, 3, 700});
  for (int64_t i = 0; i < a.numel(); ++i) {
    const auto value = static_cast<int64_t>(random() % 1000);
    a.set_int(i, value);
    b.set_int(i, random() % 100 == 0 ? value + static_cast<int64_t>(random() % 5) - 2 : value);
  }
  TensorComparator whole("x", a.dtype(), a.shape(), 10), pieces("x", a.dtype(), a.shape(), 10);
  whole.add(a, b);
  for (int64_t begin = 0; begin < 40;) {
    const int64_t count = std::min<int64_t>(40 - begin, 1 + static_cast<int64_t>(random() % 9));
    pieces.add(a.slice(begin, count), b.slice(begin, count));
    begin += count;
  }
  const TensorComparison& w = whole.result();
  const TensorComparison& p = pieces.result();
  CHECK(w.mismatches > 0);
  CHECK(p.compared == w.compared);
  CHECK(p.mismatches == w.mismatches);
  CHECK(p.histogram == w.histogram);
  REQUIRE(p.first.size() == 10);
  for (size_t i = 0; i < 10; ++i) {
    CHECK(p.first[i].index == w.first[i].index);
    const int64_t flat = w.first[i].flat_index;
    CHECK(a.int_at(flat) - b.int_at(flat) == w.first[i].difference);
  }
}

TEST_CASE("compare: argmax takes the first of equal scores, for [N, C] and [N, 1, 1, C]") {
  const Tensor a = tensor<int8_t>({3, 1, 1, 3}, {5, 5, 1, 1, 2, 3, 9, 0, 9});
  const Tensor b = tensor<int8_t>({3, 1, 1, 3}, {4, 5, 1, 1, 2, 3, 9, 0, 8});
  const TensorComparison t = compare({{"x", a}}, {{"x", b}}).tensors[0];
  CHECK(t.argmax.images == 3);
  CHECK(t.argmax.flips == 1);
  const Tensor map(DType::int8, {1, 2, 2, 3});
  CHECK(compare({{"x", map}}, {{"x", map}}).tensors[0].argmax.images == 0);
}

TEST_CASE("compare: tolerances") {
  const auto report = [](std::vector<int8_t> got) {
    return compare({{"x", tensor<int8_t>({1, 4}, got)}},
                   {{"x", tensor<int8_t>({1, 4}, {1, 2, 3, 9})}});
  };
  struct Case {
    const char* tolerance;
    std::vector<int8_t> got;
    bool accepted;
  };
  const Case cases[] = {
      {"any", {1, 2, 3, 9}, true},        {"any", {1, 2, 4, 9}, false},
      {"lsb:1", {2, 1, 3, 9}, true},      {"lsb:1", {3, 2, 3, 9}, false},
      {"rate:0.25", {50, 2, 3, 9}, true}, {"rate:0.25", {0, 0, 3, 9}, false},
      {"rate:0", {1, 2, 3, 9}, true},     {"argmax", {0, 0, 0, 9}, true},
      {"argmax", {1, 2, 10, 9}, false},   {"never", {0, 0, 0, 0}, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.tolerance);
    CHECK(accepts(tolerance_from_string(c.tolerance), report(c.got)) == c.accepted);
  }
  const ComparisonReport nothing;
  for (const char* text : {"any", "lsb:9", "rate:1", "argmax"}) {
    CHECK_FALSE(accepts(tolerance_from_string(text), nothing));
  }
  const Tensor flat = tensor<int8_t>({4}, {1, 2, 3, 4});
  CHECK_FALSE(accepts(tolerance_from_string("argmax"), compare({{"x", flat}}, {{"x", flat}})));
  ComparisonReport structural = compare({{"x", flat}, {"y", flat}}, {{"x", flat}});
  CHECK_FALSE(accepts(tolerance_from_string("lsb:99"), structural));
  for (const char* text :
       {"", "some", "lsb", "lsb:", "lsb:-1", "lsb:1x", "lsb:99999999999999999999", "rate:2",
        "rate:-1", "rate:nan", "rate:x", "any:1"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(tolerance_from_string(text), Error);
  }
}

}  // namespace facsim::backends
