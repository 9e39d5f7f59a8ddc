// SPDX-License-Identifier: Apache-2.0
// Every shipped profile: readable, checked, honest about its evidence, and there.
#include <doctest/doctest.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include "backends/io/npy.h"
#include "backends/profile/algorithms-internal.h"
#include "backends/profile/profile_file.h"
#include "sim/core/error.h"
#include "tests/backends/parity_page.h"

namespace facsim::backends {
namespace {

using Level = Profile::Evidence::Level;

const std::filesystem::path kConfigs = std::filesystem::path(FACSIM_SOURCE_DIR) / "configs";

const ProfileSearch& shipped_profiles() {
  static const ProfileSearch search{{kConfigs / "profiles"}};
  return search;
}

std::vector<test::ParityEvidence> recorded_evidence() {
  return test::evidence_from_json(nlohmann::json::parse(read_file(kConfigs / "parity.json")));
}

/// Platforms and training schemes that must be there, and the evidence they may claim at most.
struct Shipped {
  const char* name;
  Level level;
};
constexpr Shipped kShipped[] = {
    // TensorFlow Lite and its kernels
    {"tflite-reference", Level::documented},
    {"tflite-micro", Level::executed},
    {"tflite-single-rounding", Level::executed},
    {"tflite-builtin", Level::executed},
    {"cmsis-nn", Level::executed},
    {"gemmlowp", Level::executed},
    {"ruy", Level::executed},
    {"csi-nn2", Level::documented},
    {"xtensa-hifi", Level::documented},
    {"ethos-u", Level::documented},
    {"tosa", Level::executed},
    // float32 scaling
    {"xnnpack-x86", Level::executed},
    {"xnnpack-arm", Level::executed},
    {"qnnpack", Level::executed},
    {"fbgemm", Level::documented},
    {"fbgemm-avx2", Level::documented},
    {"fbgemm-acc16", Level::documented},
    {"onnxruntime-cpu", Level::executed},
    {"onnx-reference", Level::executed},
    {"onednn", Level::executed},
    {"onednn-v3", Level::documented},
    {"openvino", Level::documented},
    {"tensorrt", Level::documented},
    {"ncnn", Level::documented},
    {"tengine", Level::documented},
    {"mnn", Level::assumed},
    {"fake-quant", Level::executed},
    {"aimet", Level::documented},
    {"snpe", Level::assumed},
    {"hexagon-htp", Level::assumed},
    {"rknn", Level::assumed},
    {"ascend", Level::assumed},
    {"ppl-cuda", Level::assumed},
    {"ppl-dsp", Level::assumed},
    {"pplw8a16", Level::assumed},
    {"metax", Level::assumed},
    {"ti", Level::assumed},
    {"tenstorrent", Level::documented},
    // shifts and narrow multipliers
    {"vitis-ai", Level::documented},
    {"nvdla", Level::executed},
    {"nvdla-int16", Level::documented},
    {"dla", Level::assumed},
    {"nxp", Level::assumed},
    {"fpga", Level::assumed},
    {"tpu-mlir-bm1684", Level::documented},
    {"tpu-mlir-bm1684x", Level::documented},
    {"cv18xx", Level::documented},
    {"nemo", Level::documented},
    {"pulp-nn", Level::documented},
    {"deeploy", Level::documented},
    {"hls4ml", Level::executed},
    {"k210", Level::documented},
    // other codes
    {"qonnx", Level::executed},
    {"brevitas", Level::documented},
    {"finn", Level::documented},
    {"nnie", Level::documented},
    // MQBench's backends
    {"mqbench-academic", Level::assumed},
    {"mqbench-academic-nlp", Level::assumed},
    {"mqbench-tensorrt", Level::documented},
    {"mqbench-tensorrt-nlp", Level::documented},
    {"mqbench-qdq", Level::documented},
    {"mqbench-openvino", Level::documented},
    {"mqbench-snpe", Level::assumed},
    {"mqbench-pplw8a16", Level::assumed},
    {"mqbench-pplcuda", Level::assumed},
    {"mqbench-stpu", Level::assumed},
    {"mqbench-nnie", Level::documented},
    {"mqbench-vitis", Level::documented},
    {"mqbench-onnx-qnn", Level::documented},
    {"mqbench-tengine-u8", Level::documented},
    // the walk-through
    {"example-chip", Level::assumed},
};

TEST_CASE("shipped profiles: each platform and each of MQBench's backends is there") {
  const std::vector<std::string> names = list_profiles(shipped_profiles());
  for (const Shipped& expected : kShipped) {
    CAPTURE(std::string(expected.name));
    REQUIRE(std::find(names.begin(), names.end(), expected.name) != names.end());
    const Profile profile = load_profile(expected.name, shipped_profiles());
    // executed < documented < assumed: never more than the table allows.
    CHECK(profile.evidence.level >= expected.level);
  }
}

TEST_CASE("shipped profiles: each loads, lints without errors, says what it is and from where") {
  for (const std::string& name : list_profiles(shipped_profiles())) {
    CAPTURE(name);
    const Profile profile = load_profile(name, shipped_profiles());
    CHECK(profile.name == name);
    CHECK(profile.file.filename() == name + ".json");
    CHECK(profile.title.size() > 10);
    REQUIRE_FALSE(profile.evidence.sources.empty());
    for (const std::string& source : profile.evidence.sources) CHECK(source.size() > 10);
    CHECK_FALSE(profile.ops.empty());
    for (const LintFinding& finding : lint_profile(name, shipped_profiles())) {
      CAPTURE(finding.message);
      CHECK_FALSE(finding.is_error);
    }
    // What nobody confirmed is not promised to the bit.
    if (profile.evidence.level == Level::assumed && name != "example-chip") {
      CHECK_FALSE(profile.bit_exact);
    }
  }
}

TEST_CASE("shipped profiles: each file is as `facsim profile fmt` leaves it") {
  for (const std::string& name : list_profiles(shipped_profiles())) {
    CAPTURE(name);
    CHECK_FALSE(format_profile(load_profile(name, shipped_profiles()).file).changed);
  }
}

TEST_CASE("shipped profiles: executed only where values of real code were compared and are equal") {
  const std::vector<test::ParityEvidence> evidence = recorded_evidence();
  CHECK(evidence.size() > 50);
  for (const std::string& problem : test::parity_problems(evidence, shipped_profiles())) {
    FAIL_CHECK(problem);
  }
}

TEST_CASE("shipped profiles: configs/PARITY.md is the page of configs/parity.json") {
  const std::string page = read_file(kConfigs / "PARITY.md");
  for (const std::string& name : list_profiles(shipped_profiles())) {
    CAPTURE(name);
    // Where this fails, a profile was added without tools/parity.sh.
    CHECK(page.find("| `" + name + "` |") != std::string::npos);
  }
  for (const test::ParityEvidence& e : recorded_evidence()) {
    CAPTURE(e.profile);
    CHECK(page.find("| `" + e.op + "` | " + e.recording + " |") != std::string::npos);
  }
}

/// The lines of configs/README.md from a heading of a table to the next empty one.
std::vector<std::string> guide_table(const std::string& heading) {
  const std::string guide = read_file(kConfigs / "README.md");
  std::istringstream lines(guide.substr(std::min(guide.find(heading), guide.size())));
  std::vector<std::string> rows;
  for (std::string line; std::getline(lines, line) && !line.empty();) rows.push_back(line);
  REQUIRE(rows.size() > 2);
  return {rows.begin() + 2, rows.end()};
}

TEST_CASE("profile guide: its first table puts every profile under its evidence") {
  std::map<std::string, size_t> levels;  // column of executed, documented, assumed
  for (const std::string& row :
       guide_table("| requantization | executed | documented | assumed |")) {
    std::istringstream cells(row);
    std::string cell;
    std::getline(cells, cell, '|');
    std::getline(cells, cell, '|');
    for (size_t level = 0; std::getline(cells, cell, '|'); ++level) {
      for (size_t at = cell.find('`'); at != std::string::npos; at = cell.find('`', at + 1)) {
        const size_t end = cell.find('`', at + 1);
        const std::string name = cell.substr(at + 1, end - at - 1);
        CHECK_MESSAGE(levels.emplace(name, level).second, name, " is there twice");
        at = end;
      }
    }
  }
  for (const std::string& name : list_profiles(shipped_profiles())) {
    if (name.starts_with("mqbench-")) continue;
    CAPTURE(name);
    REQUIRE(levels.contains(name));
    const Level level = load_profile(name, shipped_profiles()).evidence.level;
    CHECK(levels.extract(name).mapped() == static_cast<size_t>(level));
  }
  for (const auto& [name, level] : levels) FAIL_CHECK(name, " is no shipped profile");
}

TEST_CASE("profile guide: the table of named algorithms is that of this build") {
  const std::vector<std::string> rows = guide_table("| algorithm | ops | params |");
  CHECK(rows.size() == detail::algorithms().size());
  for (const detail::Algorithm& algorithm : detail::algorithms()) {
    std::string text;
    for (const char c : algorithm.description) {
      if (c == '|' || c == '*' || c == '_') text += '\\';
      text += c;
    }
    const std::string row = fmt::format(
        "| `{}` | {} | {} | {} |", algorithm.name, fmt::join(algorithm.ops, " "),
        algorithm.params.empty() ? "–" : fmt::format("{}", fmt::join(algorithm.params, " ")), text);
    CHECK_MESSAGE(std::find(rows.begin(), rows.end(), row) != rows.end(), row);
  }
}

TEST_CASE("parity evidence: a claim without a comparison, a mismatch, an unknown op are problems") {
  std::vector<test::ParityEvidence> evidence = recorded_evidence();
  REQUIRE(test::parity_problems(evidence, shipped_profiles()).empty());
  std::erase_if(evidence, [](const auto& e) { return e.profile == "ruy"; });
  CHECK(test::parity_problems(evidence, shipped_profiles()) ==
        std::vector<std::string>{"ruy: called executed, but nothing was compared"});
  evidence.push_back({"ruy", "linear", "requantization rows", "ruy 1", 1, 10, 2});
  CHECK(test::parity_problems(evidence, shipped_profiles()) ==
        std::vector<std::string>{
            "ruy linear: 2 mismatches of 10 values (requantization rows, ruy 1)"});
  evidence.back().mismatches = 0;
  evidence.back().op = "softmax";
  CHECK(test::parity_problems(evidence, shipped_profiles()) ==
        std::vector<std::string>{"ruy: evidence of softmax, which it does not have"});
  evidence.back().op = "linear";
  evidence.back().code = "unknown";
  CHECK(test::parity_problems(evidence, shipped_profiles()) ==
        std::vector<std::string>{"ruy linear: evidence from unknown code"});
}

TEST_CASE("parity evidence: what tests print, one row per profile, op, recording and code") {
  const std::string log =
      "7: PARITY {\"profile\":\"ruy\",\"op\":\"linear\",\"recording\":\"rows\",\"code\":\"ruy 1\","
      "\"cases\":1,\"compared\":5,\"mismatches\":0}\n"
      "PARITY {\"profile\":\"ruy\",\"op\":\"linear\",\"recording\":\"rows\",\"code\":\"ruy 1\","
      "\"cases\":1,\"compared\":6,\"mismatches\":1}\n"
      "12: XNNPACK ae108ef depthwise convolution: 1500 layers, 12000 values compared, 0 "
      "mismatches, 3 "
      "refused by both, 1.2 s\n"
      "QNNPACK of PyTorch 1.13.1: 6000 layers, 9 values compared, 0 mismatches, 0 refused by both, "
      "2.8 s\n"
      "QNNPACK of PyTorch 1.13.1, add: 700 layers, 8000 values compared, 0 mismatches\n"
      "PARITY is not at the start of this line, nor is that a peer: 5 layers\n";
  const auto evidence = test::merged(test::evidence_of_log(log));
  REQUIRE(evidence.size() == 3);
  CHECK(evidence[0].profile == "qnnpack");
  CHECK(evidence[0].op == "add");
  CHECK(evidence[0].cases == 700);
  CHECK(evidence[0].code == "QNNPACK of PyTorch 1.13.1, in process");
  CHECK(evidence[1].profile == "ruy");
  CHECK(evidence[1].cases == 2);
  CHECK(evidence[1].compared == 11);
  CHECK(evidence[1].mismatches == 1);
  CHECK(evidence[2].profile == "xnnpack-x86");
  CHECK(evidence[2].op == "depthwise_conv2d");
  CHECK(evidence[2].cases == 1500);
  CHECK(evidence[2].code == "XNNPACK ae108ef, in process");
}

}  // namespace
}  // namespace facsim::backends
