// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/vectors.h"

#include <doctest/doctest.h>

#include "backends/io/npy.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

using test::contains;
using test::error_text;
using test::TempFolder;
using Status = VectorResult::Status;

Tensor int8_tensor(Shape shape, std::initializer_list<int8_t> values) {
  return Tensor::from<int8_t>(std::move(shape), values);
}

/// Two passes, one failure and one op that is not computed; scalars of TFLite's double rounding
/// worked out by hand: 5 * 2^30 * 2^(1-31) = 5, so requantize is the identity.
std::string manifest(std::string_view pool_attributes =
                         R"("kernel": [1, 2], "strides": [1, 2], "pad_top": 0, "pad_left": 0,
                            "act_min": -128, "act_max": 127)") {
  const auto array = [](std::string_view role, std::string_view key, std::string_view shape) {
    return "\"" + std::string(role) + R"(": {"key": ")" + std::string(key) +
           R"(", "dtype": "int8", "shape": )" + std::string(shape) + "}";
  };
  const std::string pool =
      R"("op": "average_pool2d", "family": "pool", "profile": "tflite-micro", "npz": "s.npz",
         "golden": "golden", "attrs": {)" +
      std::string(pool_attributes) + "}";
  return R"({"format": "facsim-vectors-1", "cases": [
    {"name": "half_away", )" +
         pool + R"(, "arrays": {)" + array("input", "x", "[1, 1, 4, 1]") + ", " +
         array("golden", "right", "[1, 1, 2, 1]") + R"(}},
    {"name": "wrong", )" +
         pool + R"(, "arrays": {)" + array("input", "x", "[1, 1, 4, 1]") + ", " +
         array("golden", "wrong", "[1, 1, 2, 1]") + R"(}},
    {"name": "later", "op": "lrn", "family": "lrn", "profile": "tflite-micro",
     "npz": "s.npz", "golden": "golden", "attrs": {}, "arrays": {)" +
         array("golden", "right", "[1, 1, 2, 1]") + R"(}},
    {"name": "nobody", "op": "requantize", "family": "requantize", "profile": "no-such-chip",
     "npz": "s.npz", "golden": "golden", "attrs": {}, "arrays": {)" +
         array("golden", "right", "[1, 1, 2, 1]") + "}}]}";
}

/// Averages of (-3, -2) and (2, 3): -2.5 and 2.5 go away from zero.
void write_suite(const TempFolder& folder, std::string_view text) {
  write_npz(folder / "s.npz", {{"x", int8_tensor({1, 1, 4, 1}, {-3, -2, 2, 3})},
                               {"right", int8_tensor({1, 1, 2, 1}, {-3, 3})},
                               {"wrong", int8_tensor({1, 1, 2, 1}, {-3, 2})}});
  folder.write("manifest.json", text);
}

VectorReport check_suite(const TempFolder& folder, std::string profile = "") {
  VectorOptions options;
  options.search = ProfileSearch::standard();
  options.profile = std::move(profile);
  return check_vectors(folder.path(), options);
}

TEST_CASE("vectors: a case passes, fails with its first mismatch, or is unsupported") {
  const TempFolder folder;
  write_suite(folder, manifest());
  const VectorReport report = check_suite(folder);
  REQUIRE(report.cases.size() == 4);
  CHECK(report.cases[0].status == Status::passed);
  CHECK(report.cases[0].compared == 2);
  CHECK(report.cases[1].status == Status::failed);
  CHECK(report.cases[1].mismatches == 1);
  REQUIRE(report.cases[1].first);
  CHECK(report.cases[1].first->flat_index == 1);
  CHECK(report.cases[1].first->got == "3");
  CHECK(report.cases[1].first->expected == "2");
  CHECK(report.cases[2].status == Status::unsupported);
  CHECK(contains(report.cases[2].message, "lrn"));
  CHECK(report.cases[3].status == Status::unsupported);
  CHECK(contains(report.cases[3].message, "no-such-chip"));
}

TEST_CASE("vectors: a given profile selects the cases that name it, otherwise runs all") {
  const TempFolder folder;
  write_suite(folder, manifest());
  CHECK(check_suite(folder, "tflite-micro").cases.size() == 3);
  const VectorReport all = check_suite(folder, "tflite-single-rounding");
  CHECK(all.cases.size() == 4);
  CHECK(all.cases[3].profile == "tflite-single-rounding");
}

TEST_CASE("vectors: JUnit XML counts and escapes") {
  const TempFolder folder;
  write_suite(folder, manifest());
  const std::string xml = to_junit(check_suite(folder));
  CHECK(contains(xml, "tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"2\""));
  CHECK(contains(xml, "<testcase name=\"wrong\" classname=\"tflite-micro.pool\""));
  CHECK(contains(xml, "first at 1: got 3, expected 2"));
  CHECK(contains(xml, "<skipped message=\"no profile &quot;no-such-chip&quot;; --profile PATH "));
}

TEST_CASE("vectors: broken suites are errors") {
  const TempFolder folder;
  struct Row {
    std::string what, from, to;
    ErrorCode code;
    std::string message;
  };
  const Row rows[] = {
      {"format", "facsim-vectors-1", "facsim-vectors-9", ErrorCode::unsupported, "/format"},
      {"path up", "\"s.npz\"", "\"../s.npz\"", ErrorCode::bad_value, "/cases/0/npz"},
      {"absolute path", "\"s.npz\"", "\"/s.npz\"", ErrorCode::bad_value, "/cases/0/npz"},
      {"absent file", "\"s.npz\"", "\"t.npz\"", ErrorCode::io, "t.npz"},
      {"absent array", "\"key\": \"x\"", "\"key\": \"y\"", ErrorCode::missing_key, "\"y\""},
      {"other shape", "[1, 1, 4, 1]", "[1, 1, 5, 1]", ErrorCode::shape_mismatch,
       "/cases/0/arrays/input"},
      {"huge shape", "[1, 1, 4, 1]", "[1099511627776, 1099511627776]", ErrorCode::shape_mismatch,
       "/cases/0/arrays/input"},
      {"other dtype", "\"dtype\": \"int8\"", "\"dtype\": \"uint8\"", ErrorCode::shape_mismatch,
       "/cases/0/arrays"},
      {"no dtype", "\"dtype\": \"int8\"", "\"dtype\": \"object\"", ErrorCode::bad_value,
       "is not an element type"},
      {"golden role", "\"golden\": \"golden\"", "\"golden\": \"gold\"", ErrorCode::bad_value,
       "/cases/0/golden"},
      {"bad name", "half_away", "half away", ErrorCode::bad_value, "/cases/0/name"},
      {"name twice", "\"wrong\", ", "\"half_away\", ", ErrorCode::duplicate_key, "/cases/1/name"},
      {"no op", "\"op\": \"lrn\",", "", ErrorCode::missing_key, "\"op\""},
      {"no attributes", "\"attrs\": {}", "\"attrs\": []", ErrorCode::bad_value, "/cases/2/attrs"},
      {"not JSON", "]}", "]", ErrorCode::bad_json, "manifest.json"},
      {"no cases", "\"cases\"", "\"cass\"", ErrorCode::missing_key, "\"cases\""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    std::string text = manifest();
    const size_t at = row.what == "not JSON" ? text.rfind(row.from) : text.find(row.from);
    REQUIRE(at != std::string::npos);
    text.replace(at, row.from.size(), row.to);
    write_suite(folder, text);
    const std::string message = error_text(row.code, [&] { check_suite(folder); });
    CHECK_MESSAGE(contains(message, row.message), message);
  }
  error_text(ErrorCode::io, [&] { check_vectors(folder / "absent", {}); });
  write_suite(folder, R"({"format": "facsim-vectors-1", "cases": []})");
  CHECK(contains(error_text(ErrorCode::bad_value, [&] { check_suite(folder); }), "no cases"));
}

/// x + x of one scale; the sum's multiplier is 2^(out_shift - 1), derived from the scales 2^-19.
std::string sum_manifest(std::string_view out_shift, std::string_view golden) {
  const auto array = [](std::string_view role, std::string_view key) {
    return "\"" + std::string(role) + R"(": {"key": ")" + std::string(key) +
           R"(", "dtype": "int8", "shape": [4]})";
  };
  return R"({"format": "facsim-vectors-1", "cases": [{"name": "sum", "op": "add", "family": "add",
    "profile": "tflite-micro", "npz": "s.npz", "golden": "golden", "attrs": {
      "in1_zero_point": 0, "in2_zero_point": 0, "output_zero_point": 0, "left_shift": 20,
      "in1_multiplier": 1073741824, "in1_shift": 0, "in2_multiplier": 1073741824, "in2_shift": 0,
      "out_multiplier": 1073741824, "out_shift": )" +
         std::string(out_shift) + R"(, "act_min": -128, "act_max": 127,
      "in1_scale": 1.0, "in2_scale": 1.0, "output_scale": 1.0}, "arrays": {)" +
         array("input1", "x") + ", " + array("input2", "x") + ", " + array("golden", golden) +
         "}}]}";
}

TEST_CASE("vectors: scales count only where the case's multipliers are derived from them") {
  const TempFolder folder;
  write_npz(folder / "s.npz",
            {{"x", int8_tensor({4}, {-3, -2, 2, 3})}, {"twice", int8_tensor({4}, {-6, -4, 4, 6})}});
  const auto checked = [&](std::string_view out_shift, std::string_view golden) {
    folder.write("manifest.json", sum_manifest(out_shift, golden));
    return check_suite(folder).cases.at(0);
  };
  const VectorResult both = checked("-18", "twice");
  CHECK_MESSAGE(both.status == Status::passed, both.message);
  CHECK(both.compared == 8);
  const VectorResult given = checked("-19", "x");
  CHECK_MESSAGE(given.status == Status::passed, given.message);
  CHECK(given.compared == 4);
  CHECK(checked("-18", "x").status == Status::failed);
}

TEST_CASE("vectors: broken attributes are invalid cases, with their place, and take no memory") {
  const TempFolder folder;
  struct Row {
    std::string attributes, message;
  };
  const std::string good = R"("kernel": [1, 2], "strides": [1, 2], "pad_top": 0, "pad_left": 0)";
  const std::string rest = R"(, "act_min": -128, "act_max": 127)";
  const Row rows[] = {
      {R"("kernel": [1, 2], "strides": [0, 2], "pad_top": 0, "pad_left": 0)" + rest,
       "/cases/0/attrs/strides: 0; expected 1..16777216"},
      {R"("kernel": [0, 2], "strides": [1, 2])" + rest, "/cases/0/attrs/kernel: 0; expected 1.."},
      {R"("kernel": [1, 4294967296], "strides": [1, 4294967296])" + rest,
       "/cases/0/attrs/kernel: 4294967296"},
      {R"("kernel": [1, 2], "strides": [1, 2], "pad_top": 0, "pad_left": 4294967296)" + rest,
       "/cases/0"},
      {R"("kernel": [1, 2], "strides": [1, 2], "pad_top": 0, "pad_left": -4)" + rest, "/cases/0"},
      {R"("kernel": [1, 2], "strides": [1, 2], "pad_top": 0)" + rest,
       "/cases/0/attrs: no \"pad_left\""},
      {R"("kernel": [1, 2, 3])" + rest, "/cases/0/attrs/kernel: a list of 3; expected 2 integers"},
      {R"("kernel": "3")" + rest, "/cases/0/attrs/kernel: \"3\"; expected 2 integers"},
      {R"("kernel": [1, true, null])" + rest, "kernel"},
      {R"("kernel": [1, "2"], "strides": [1, 2])" + rest, "expected a list of integers"},
      {R"("kernel": [1, 2])" + rest,
       "/cases/0/attrs: no \"strides\", which average_pool2d needs; expected 2 integers"},
      {R"("kernel": [1, 2], "stride": [1, 2])" + rest, "is it \"stride\" misspelt?"},
      {rest.substr(2), "no \"kernel\""},
      {good + R"(, "act_min": 5, "act_max": -5)", "/cases/0/attrs/act_min: 5"},
      {good + R"(, "act_min": -500, "act_max": 127)", "/cases/0"},
      {good + R"(, "act_min": 1.5, "act_max": 127)", "/cases/0/attrs/act_min: 1.5"},
      {R"("kernel": [1, 2], "strides": [1, 1], "pad_top": 0, "pad_left": 0)" + rest,
       "/cases/0, output: (1, 1, 3, 1) by the attributes; expected (1, 1, 2, 1)"},
      {good + R"(, "output_shape": [1, 1, 3, 1])" + rest,
       "/cases/0/attrs/output_shape: (1, 1, 3, 1); expected (1, 1, 2, 1), the shape of golden"},
      {good + R"(, "output_shape": [])" + rest, "/cases/0/attrs/output_shape"},
      {good + R"(, "output_shape": "1x2")" + rest, "expected a list of integers"},
      {good + R"(, "padding": "smae")" + rest,
       "/cases/0/attrs/padding: \"smae\"; expected one of same, SAME, valid, VALID"},
      {R"("kernel": [1, 4], "strides": [1, 2], "pad_top": 0, "pad_left": 2, "padding": "same")" +
           rest,
       "/cases/0/attrs/padding: \"same\"; expected the word for 0 rows and 2 columns before"},
      {good + R"(, "data_layout": "NWHC")" + rest, "/cases/0/attrs/data_layout: \"NWHC\""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.attributes);
    write_suite(folder, manifest(row.attributes));
    const VectorReport report = check_suite(folder);
    const VectorResult& result = report.cases[0];
    CHECK(result.status == Status::invalid);
    REQUIRE_FALSE(result.errors.empty());
    CHECK(contains(result.errors.front().place, "manifest.json:"));
    CHECK_MESSAGE(contains(result.message, row.message), result.message);
    CHECK(report.cases[2].status == Status::unsupported);  // the other cases ran
    CHECK(contains(to_junit(report), "errors=\"2\""));
  }
  write_suite(folder, manifest(good + R"(, "output_shape": [1, 1, 2, 1], "padding": "VALID",
                                          "data_layout": "NHWC")" +
                               rest));
  CHECK(check_suite(folder).cases[0].status == Status::passed);
  write_suite(folder, manifest(good + R"(, "data_layout": "NCHW")" + rest));
  CHECK(check_suite(folder).cases[0].status == Status::unsupported);
}

TEST_CASE("vectors: a value that only another profile refuses makes a case unsupported") {
  const TempFolder folder;
  write_npz(folder / "s.npz",
            {{"x", int8_tensor({4}, {-3, -2, 2, 3})}, {"twice", int8_tensor({4}, {-6, -4, 4, 6})}});
  const auto checked = [&](std::string_view multiplier, std::string profile) {
    std::string text = sum_manifest("-18", "twice");
    const std::string from = R"("in1_multiplier": 1073741824)";
    text.replace(text.find(from), from.size(), R"("in1_multiplier": )" + std::string(multiplier));
    folder.write("manifest.json", text);
    return check_suite(folder, std::move(profile)).cases.at(0);
  };
  CHECK(checked("1073741824", "").status == Status::passed);
  const VectorResult other = checked("1073741824", "nvdla");  // multipliers of 16 bits
  CHECK_MESSAGE(other.status == Status::unsupported, other.message);
  const VectorResult own = checked("4294967296", "");
  CHECK(own.status == Status::invalid);
  CHECK_MESSAGE(contains(own.message, "/cases/0, multiplier, channel 0: 4294967296"), own.message);
  CHECK(checked("\"half\"", "nvdla").status == Status::invalid);
}

}  // namespace
}  // namespace facsim::backends
