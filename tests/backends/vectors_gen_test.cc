// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/vectors_gen.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "backends/parity/vectors.h"
#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/error.h"
#include "sim/requantize/programs.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::backends {

namespace {

VectorGenOptions options_for(std::string profile, std::string op) {
  VectorGenOptions options;
  options.search = ProfileSearch::standard();
  options.profile = std::move(profile);
  options.op = std::move(op);
  options.count = 2;
  options.separate = false;
  return options;
}

bool has_state(const GeneratedSuite& suite, std::string_view step, Branch branch,
               BranchCoverage::State state) {
  return std::any_of(suite.coverage.begin(), suite.coverage.end(), [&](const auto& entry) {
    return entry.step.find(step) != std::string::npos && entry.branch == branch &&
           entry.state == state;
  });
}

VectorReport check_suite(const std::filesystem::path& folder, std::string profile = {}) {
  VectorOptions options;
  options.search = ProfileSearch::standard();
  options.profile = std::move(profile);
  return check_vectors(folder, options);
}

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

/// TFLite's double rounding with one multiplier.
sim::Requantizer double_rounding(int64_t multiplier, int64_t shift) {
  sim::Arguments arguments;
  arguments.integers = {{"multiplier", {multiplier}}, {"shift", {shift}},    {"left_shift", {0}},
                        {"zero_point", {0}},          {"clamp_min", {-128}}, {"clamp_max", {127}}};
  return {sim::programs::fixed_point_double(sim::kInt8), arguments, sim::kInt8};
}

}  // namespace

TEST_CASE("vectors gen: a tie of the first rounding is found by a congruence, and proved absent") {
  bool decided = false;
  // acc * 3 * 2^28 = 2^30 (mod 2^31): 3 acc = 4 (mod 8), so acc = 4 (mod 8).
  const auto tie =
      detail::first_tie(double_rounding(int64_t{3} << 28, 4), 0, 100, -1000, 1000, decided);
  REQUIRE(tie.has_value());
  CHECK(*tie == 100);
  CHECK(decided);
  const auto below =
      detail::first_tie(double_rounding(int64_t{3} << 28, 4), 0, -1, -1000, -1, decided);
  REQUIRE(below.has_value());
  CHECK(*below == -4);
  // An odd multiplier: acc = 2^30 (mod 2^31), far outside the range.
  CHECK_FALSE(
      detail::first_tie(double_rounding((int64_t{1} << 30) + 1, 4), 0, 0, -1000, 1000, decided)
          .has_value());
  CHECK(decided);
  const auto far = detail::first_tie(double_rounding((int64_t{1} << 30) + 1, 4), 0, 0, INT32_MIN,
                                     INT32_MAX, decided);
  REQUIRE(far.has_value());
  // Modulo 2^31 the product is what 64-bit arithmetic modulo 2^64 keeps of it.
  const uint64_t product = static_cast<uint64_t>(*far) * ((uint64_t{1} << 30) + 1);
  CHECK((product & 0x7fffffff) == uint64_t{1} << 30);
}

TEST_CASE("vectors gen: steered accumulators stand on both sides of output thresholds") {
  // y = acc / 16 rounded: thresholds at 8 (mod 16).
  const sim::Requantizer requantize = double_rounding(int64_t{1} << 30, 3);
  detail::VectorDice dice(3);
  const std::vector<int64_t> ties =
      detail::steered_accumulators(requantize, 0, VectorStrategy::ties, INT32_MIN, INT32_MAX, dice);
  REQUIRE(ties.size() > 20);
  int changes = 0, on_tie = 0;
  sim::Events events;
  for (const int64_t acc : ties) {
    changes += requantize.apply(acc, 0, events) != requantize.apply(acc - 1, 0, events);
    on_tie += ((acc % 16) + 16) % 16 == 8;
  }
  CHECK(changes >= 8);
  CHECK(on_tie >= 8);
}

TEST_CASE("vectors gen: a suite passes its own check and fails under a neighbour") {
  for (const std::string op : {"requantize", "conv2d", "depthwise_conv2d", "linear", "add",
                               "avg_pool2d", "quantize", "leaky_relu", "mul", "max_pool2d"}) {
    INFO(op);
    const TemporaryFolder folder;
    const GeneratedSuite suite = generate_vectors(options_for("xnnpack-x86", op));
    REQUIRE(suite.cases.size() >= 4);
    write_vectors(folder / "suite", suite, {});
    const VectorReport report = check_suite(folder / "suite");
    CHECK(report.count(VectorResult::Status::passed) == static_cast<int64_t>(suite.cases.size()));
    if (op == "max_pool2d") continue;  // every platform's maximum is the same
    // XNNPACK's average pool rounds as TFLite's where input and output share their scale.
    const std::string neighbour = op == "avg_pool2d" ? "onnxruntime-cpu" : "tflite-reference";
    const VectorReport other = check_suite(folder / "suite", neighbour);
    CHECK(other.count(VectorResult::Status::passed) < static_cast<int64_t>(suite.cases.size()));
  }
}

TEST_CASE("vectors gen: transposed convolutions, products of two operands and tables") {
  using State = BranchCoverage::State;
  struct Row {
    std::string op, profile, neighbour;
  };
  for (const Row& row : {Row{"transpose_conv2d", "tflite-reference", "tflite-single-rounding"},
                         Row{"transpose_conv2d", "xnnpack-x86", "tflite-reference"},
                         Row{"batch_matmul", "tflite-reference", "tflite-single-rounding"},
                         Row{"batch_matmul", "onednn", "tflite-reference"},
                         Row{"lut", "tflite-reference", ""}, Row{"reshape", "nvdla", ""},
                         Row{"lut int16", "tosa", ""}, Row{"lut int16", "ethos-u", ""}}) {
    INFO(row.op, " under ", row.profile);
    const TemporaryFolder folder;
    const GeneratedSuite suite = generate_vectors(options_for(row.profile, row.op));
    REQUIRE(suite.cases.size() >= 4);
    write_vectors(folder / "suite", suite, {});
    const VectorReport report = check_suite(folder / "suite");
    CHECK(report.count(VectorResult::Status::passed) == static_cast<int64_t>(suite.cases.size()));
    if (row.neighbour.empty()) {
      CHECK(suite.coverage.empty());
      if (row.op != "lut") continue;
      const auto all = std::find_if(suite.cases.begin(), suite.cases.end(), [](const auto& c) {
        return c.strategy == VectorStrategy::exhaustive8;
      });
      REQUIRE(all != suite.cases.end());
      CHECK(all->golden.numel() == 256);
      continue;
    }
    CHECK(suite.count(State::reached) > 2 * suite.count(State::not_reached));
    const VectorReport other = check_suite(folder / "suite", row.neighbour);
    CHECK(other.count(VectorResult::Status::passed) < static_cast<int64_t>(suite.cases.size()));
  }
}

TEST_CASE("vectors gen: coverage tells reached, unreachable and open branches apart") {
  using State = BranchCoverage::State;
  const GeneratedSuite suite = generate_vectors(options_for("tflite-reference", "requantize"));
  for (const Branch branch : {Branch::tie_positive, Branch::tie_negative, Branch::above_half,
                              Branch::below_half, Branch::exact}) {
    INFO(to_string(branch));
    CHECK(has_state(suite, "shr 31 half_up", branch, State::reached));
    CHECK(has_state(suite, "shr shift half_away_from_zero", branch, State::reached));
  }
  CHECK(has_state(suite, "resize int32 wrap", Branch::wrapped, State::reached));
  CHECK(has_state(suite, "resize int8 saturate", Branch::low, State::reached));
  CHECK(has_state(suite, "resize int8 saturate", Branch::high, State::reached));
  // A wrapped 32-bit value times a multiplier below 2^31, over 2^31: always 32 bits.
  CHECK(has_state(suite, "resize int32 saturate", Branch::low, State::unreachable));
  CHECK(has_state(suite, "resize int32 saturate", Branch::high, State::unreachable));

  VectorGenOptions random = options_for("tflite-reference", "conv2d");
  random.strategies = {VectorStrategy::random};
  random.count = 1;
  CHECK(generate_vectors(random).count(State::not_reached) > 0);
}

TEST_CASE("vectors gen: exhaustive8 holds every pair of codes") {
  VectorGenOptions options = options_for("onnxruntime-cpu", "add");
  options.strategies = {VectorStrategy::exhaustive8};
  const GeneratedSuite suite = generate_vectors(options);
  REQUIRE(suite.cases.size() == 2);
  std::set<std::pair<int64_t, int64_t>> pairs;
  const Tensor& a = member(suite.cases[0].arrays, "input1", "");
  const Tensor& b = member(suite.cases[0].arrays, "input2", "");
  for (int64_t i = 0; i < a.numel(); ++i) pairs.emplace(a.int_at(i), b.int_at(i));
  CHECK(pairs.size() == 65536);
}

TEST_CASE("vectors gen: neighbours are separated by a named case, equals are not") {
  VectorGenOptions options = options_for("tflite-reference", "conv2d");
  options.separate = true;
  const GeneratedSuite suite = generate_vectors(options);
  const auto verdict = [&](std::string_view name) {
    const auto found = std::find_if(suite.neighbours.begin(), suite.neighbours.end(),
                                    [&](const Neighbour& n) { return n.profile == name; });
    REQUIRE(found != suite.neighbours.end());
    return *found;
  };
  const Neighbour single = verdict("tflite-single-rounding");
  CHECK(single.verdict == Neighbour::Verdict::separated);
  CHECK(single.differing > 0);
  CHECK(single.case_name.starts_with("tflite_reference_conv2d_"));
  // tflite-micro sets nothing of its own for this op, cmsis-nn does.
  CHECK(verdict("tflite-micro").verdict == Neighbour::Verdict::same_rules);
  CHECK(verdict("tflite-micro").compared == 0);
  CHECK(verdict("cmsis-nn").verdict == Neighbour::Verdict::not_separated);
  CHECK(verdict("vitis-ai").verdict == Neighbour::Verdict::incomparable);
}

TEST_CASE("vectors gen: the same seed gives the same suite, another one another") {
  VectorGenOptions options = options_for("qnnpack", "conv2d");
  const GeneratedSuite first = generate_vectors(options);
  const GeneratedSuite second = generate_vectors(options);
  options.seed = 2;
  const GeneratedSuite third = generate_vectors(options);
  REQUIRE(first.cases.size() == second.cases.size());
  bool changed = first.cases.size() != third.cases.size();
  for (size_t i = 0; i < first.cases.size(); ++i) {
    const Tensor& a = first.cases[i].golden;
    const Tensor& b = second.cases[i].golden;
    REQUIRE(a.shape() == b.shape());
    for (int64_t k = 0; k < a.numel(); ++k) REQUIRE(a.int_at(k) == b.int_at(k));
    if (changed) continue;
    const Tensor& c = third.cases[i].golden;
    changed = a.shape() != c.shape();
    for (int64_t k = 0; !changed && k < a.numel(); ++k) changed = a.int_at(k) != c.int_at(k);
  }
  CHECK(changed);
}

TEST_CASE("vectors gen: hex words are two's complement, C arrays parse") {
  const TemporaryFolder folder;
  GeneratedSuite suite;
  suite.profile = "p";
  suite.op = "requantize";
  GeneratedCase made;
  made.name = "one";
  made.op = "requantize_accumulator";
  made.arrays = {{"accumulator", Tensor::from<int32_t>({2}, std::vector<int32_t>{-2, INT32_MIN})},
                 {"scale", Tensor::from<float>({1}, std::vector<float>{0.5f})}};
  made.golden = Tensor::from<int8_t>({2}, std::vector<int8_t>{-1, 127});
  suite.cases.push_back(made);
  write_vectors(folder / "out", suite, {.npz = false, .hex = true, .c = true});
  const std::string golden = text_of(folder / "out" / "one_golden.hex");
  CHECK(golden.starts_with("// one golden: int8 [2], 2 words of 8 bits"));
  CHECK(golden.ends_with("\nff\n7f\n"));
  CHECK(text_of(folder / "out" / "one_accumulator.hex").ends_with("\nfffffffe\n80000000\n"));
  CHECK(text_of(folder / "out" / "one_scale.hex").ends_with("\n3f000000\n"));
  const std::string c = text_of(folder / "out" / "vectors.h");
  CHECK(c.find("static const int32_t one_accumulator[2] = {\n    -2, INT32_MIN,\n};") !=
        std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / "out" / "manifest.json"));
}

TEST_CASE("vectors gen: what cannot be made is refused with a reason") {
  const auto code_of = [](VectorGenOptions options) {
    try {
      generate_vectors(options);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::io;
  };
  CHECK(code_of(options_for("nvdla", "no_such_op")) == ErrorCode::unsupported);
  CHECK(code_of(options_for("gemmlowp", "conv2d")) == ErrorCode::unsupported);
  VectorGenOptions none = options_for("tflite-reference", "conv2d");
  none.count = 0;
  CHECK(code_of(none) == ErrorCode::bad_value);
  VectorGenOptions pairs = options_for("tflite-reference", "conv2d");
  pairs.strategies = {VectorStrategy::exhaustive8};
  CHECK(code_of(pairs) == ErrorCode::unsupported);
  CHECK_THROWS_AS(vector_strategy_from_string("tie"), Error);
}

TEST_CASE("vectors gen: a variant that layers do not select is refused by its phrase") {
  const auto message_of = [](std::string profile, std::string op) -> std::string {
    try {
      generate_vectors(options_for(std::move(profile), std::move(op)));
    } catch (const Error& error) {
      return error.code() == ErrorCode::unsupported ? error.what() : "another code";
    }
    return "";
  };
  const auto contains = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(contains(message_of("gemmlowp", "gemm legacy uint8"),
                 "facsim requantize --op \"gemm legacy uint8\""));
  CHECK(contains(message_of("xnnpack-x86", "leaky_relu ae108ef"), "without `when`"));
  CHECK(contains(message_of("tosa", "rescale single_round"), "without `when`"));
  CHECK(contains(message_of("ruy", "linear int32"), "without `when`"));
  CHECK(contains(message_of("tflite-reference", "mul int16_to_int8"), "without `when`"));
  CHECK(message_of("tflite-reference", "conv2d int16x8").empty());
  CHECK(contains(message_of("qonnx", "requantize"), "op requantize"));
  CHECK(contains(message_of("cmsis-nn", "svdf"), "one of depthwise_conv2d, conv2d"));

  // One scale selects per_tensor: the layers must have it.
  const GeneratedSuite suite = generate_vectors(options_for("xnnpack-arm", "linear per_tensor"));
  for (const GeneratedCase& made : suite.cases) {
    const auto weights =
        std::find_if(made.graph.tensors.begin(), made.graph.tensors.end(),
                     [](const IntTensor& tensor) { return tensor.name == "weights"; });
    REQUIRE(weights != made.graph.tensors.end());
    CHECK(weights->qparams->scale.size() == 1);
  }
}

TEST_CASE("vectors gen: a type word is the type of operands and output") {
  for (const std::string op : {"linear uint8", "add uint8", "avg_pool2d uint8"}) {
    INFO(op);
    const GeneratedSuite suite = generate_vectors(options_for("xnnpack-x86", op));
    for (const GeneratedCase& made : suite.cases) {
      CHECK(made.arrays.front().second.dtype() == DType::uint8);
      CHECK(made.golden.dtype() == DType::uint8);
    }
  }
}

TEST_CASE("vectors gen: a strategy named twice counts once") {
  VectorGenOptions options = options_for("nvdla", "conv2d");
  options.strategies = {VectorStrategy::ties, VectorStrategy::random, VectorStrategy::ties};
  CHECK(generate_vectors(options).cases.size() == 4);
}

TEST_CASE("vectors gen: stops where progress throws, in cases, searches and files") {
  struct Stop {};
  VectorGenOptions options = options_for("tflite-reference", "conv2d");
  options.strategies = {VectorStrategy::ties};
  options.count = 3;
  int64_t calls = 0, stop_at = 2;
  options.progress = [&](int64_t done, int64_t total) {
    CHECK(done <= total);
    if (++calls == stop_at) throw Stop{};
  };
  CHECK_THROWS_AS(generate_vectors(options), Stop);
  options.separate = true;
  calls = 0;
  stop_at = 8;  // three cases, then their comparison with neighbours
  CHECK_THROWS_AS(generate_vectors(options), Stop);
  options.separate = false;
  options.progress = {};
  const GeneratedSuite suite = generate_vectors(options);
  const TemporaryFolder folder;
  int files = 0;
  const auto before_file = [&] {
    if (++files == 3) throw Stop{};
  };
  CHECK_THROWS_AS(write_vectors(folder / "suite", suite, {}, before_file), Stop);
  CHECK_FALSE(std::filesystem::exists(folder / "suite" / "manifest.json"));
}

TEST_CASE("vectors gen: only an empty or new folder is written to") {
  VectorGenOptions options = options_for("nvdla", "requantize");
  options.strategies = {VectorStrategy::random};
  options.count = 1;
  const GeneratedSuite suite = generate_vectors(options);
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "suite");
  write_vectors(folder / "suite", suite, {});
  for (const VectorFormats& formats : {VectorFormats{}, VectorFormats{false, true, false}}) {
    try {
      write_vectors(folder / "suite", suite, formats);
      FAIL("written twice");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::bad_value);
      CHECK(std::string(error.what()).find("empty or new folder") != std::string::npos);
    }
  }
  CHECK_THROWS_AS(require_new_folder(folder / "suite" / "manifest.json"), Error);
}

TEST_CASE("vectors gen: a suite does not call itself verified") {
  VectorGenOptions options = options_for("nvdla", "requantize");
  options.strategies = {VectorStrategy::random};
  options.count = 1;
  const TemporaryFolder folder;
  write_vectors(folder / "suite", generate_vectors(options), {});
  std::ifstream file(folder / "suite" / "manifest.json");
  std::ostringstream manifest;
  manifest << file.rdbuf();
  const std::string text = manifest.str();
  CHECK(text.find("\"verified\": false") != std::string::npos);
  CHECK(text.find("\"verified\": true") == std::string::npos);
  CHECK(text.find("\"unverified_reason\": \"computed by facsim's scalar norm alone\"") !=
        std::string::npos);
}

TEST_CASE("vectors check: says that the profile changed since the suite was made") {
  VectorGenOptions options = options_for("nvdla", "requantize");
  options.strategies = {VectorStrategy::random};
  options.count = 1;
  GeneratedSuite suite = generate_vectors(options);
  const TemporaryFolder folder;
  write_vectors(folder / "same", suite, {});
  CHECK(check_suite(folder / "same").notes.empty());
  const std::string now = suite.fingerprint;
  suite.fingerprint = "0123456789abcdef";
  write_vectors(folder / "old", suite, {});
  const VectorReport report = check_suite(folder / "old");
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes.front() ==
        "generated under nvdla with fingerprint 0123456789abcdef, now " + now);
  CHECK(check_suite(folder / "old", "tflite-reference").notes.empty());
}

}  // namespace facsim::backends
