// SPDX-License-Identifier: Apache-2.0
#include "tests/backends/parity_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>

namespace facsim::test {

namespace {

using Json = nlohmann::json;
using backends::Profile;
using Level = Profile::Evidence::Level;

/// Sources of the recorded suite, by the first word of a case's name.
const std::map<std::string, std::string>& suite_sources() {
  static const std::map<std::string, std::string> sources = {
      {"cmsisnn", "CMSIS-NN 99f736a6"},         {"tflm", "tflite-micro 90b983c2"},
      {"tflmgen", "tflite-micro 90b983c2"},     {"seanet", "tflite-micro 90b983c2"},
      {"requant", "tflite-micro 90b983c2"},     {"ort", "ONNX Runtime 1.30.0, x86-64"},
      {"onnxnode", "ONNX f7546912 node tests"},
  };
  return sources;
}

/// The profile's word for an op of the suite.
std::string op_word(const std::string& suite_op) {
  static const std::map<std::string, std::string> words = {
      {"fully_connected", "linear"},
      {"average_pool2d", "avg_pool2d"},
      {"logistic", "sigmoid"},
      {"relu6", "relu"},
      {"strided_slice", "slice"},
      {"unidirectional_lstm", "lstm"},
      {"requant_scalar", "conv2d"},
      {"ConvInteger", "conv2d"},
      {"DequantizeLinear", "dequantize"},
      {"DynamicQuantizeLinear", "dynamic_quantize"},
      {"MatMulInteger", "linear"},
      {"QDQ_add", "add"},
      {"QDQ_averagepool", "avg_pool2d"},
      {"QDQ_conv", "conv2d"},
      {"QDQ_conv_relu", "conv2d"},
      {"QDQ_conv_relu_conv", "conv2d"},
      {"QDQ_gemm", "linear"},
      {"QGemm", "linear"},
      {"QLinearAdd", "add"},
      {"QLinearAveragePool", "avg_pool2d"},
      {"QLinearConv", "conv2d"},
      {"QLinearGlobalAveragePool", "global_avg_pool"},
      {"QLinearLeakyRelu", "leaky_relu"},
      {"QLinearMatMul", "linear"},
      {"QLinearMul", "mul"},
      {"QLinearSigmoid", "sigmoid"},
      {"QuantizeLinear", "quantize"},
  };
  const auto it = words.find(suite_op);
  return it == words.end() ? suite_op : it->second;
}

/// "depthwise convolution 3x3" -> depthwise_conv2d; the longer names come first.
std::string op_of_peer_layer(const std::string& name) {
  static const std::pair<const char*, const char*> words[] = {
      {"depthwise", "depthwise_conv2d"},
      {"transposed convolution", "transpose_conv2d"},
      {"convolution", "conv2d"},
      {"global average pool", "global_avg_pool"},
      {"average pool", "avg_pool2d"},
      {"max pool", "max_pool2d"},
      {"linear", "linear"},
      {"inner product", "linear"},
      {"addition", "add"},
      {"subtraction", "sub"},
      {"multiplication", "mul"},
      {"leaky relu", "leaky_relu"},
  };
  for (const auto& [text, op] : words) {
    if (name.find(text) != std::string::npos) return op;
  }
  return name.substr(0, name.find(' '));
}

std::string profile_of_peer(const std::string& peer) {
  static const std::map<std::string, std::string> profiles = {{"gemmlowp", "gemmlowp"},
                                                              {"XNNPACK", "xnnpack-x86"},
                                                              {"oneDNN", "onednn"},
                                                              {"QNNPACK", "qnnpack"}};
  const auto it = profiles.find(peer);
  return it == profiles.end() ? "" : it->second;
}

auto key_of(const ParityEvidence& e) { return std::tie(e.profile, e.op, e.recording, e.code); }

std::string_view level_word(Level level) {
  switch (level) {
    case Level::executed:
      return "executed";
    case Level::documented:
      return "documented";
    case Level::assumed:
      return "assumed";
  }
  return "?";
}

/// Base ops of a profile: variants are listed with their op.
std::vector<std::string> ops_of(const Profile& profile) {
  std::vector<std::string> ops;
  for (const auto& [name, rules] : profile.ops) {
    if (name.find(' ') == std::string::npos) ops.push_back(name);
  }
  return ops;
}

std::string base_op(const std::string& op) { return op.substr(0, op.find(' ')); }

using EvidenceByOp = std::map<std::string, std::vector<ParityEvidence>>;

EvidenceByOp evidence_of(const std::vector<ParityEvidence>& evidence, const std::string& profile) {
  EvidenceByOp by_op;
  for (const ParityEvidence& e : evidence) {
    if (e.profile == profile && e.cases > 0) by_op[base_op(e.op)].push_back(e);
  }
  return by_op;
}

/// 1234567 -> 1 234 567
std::string spaced(int64_t value) {
  std::string digits = std::to_string(value);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), " ");
  }
  return digits;
}

std::string markdown(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
    text.insert(at, "\\");
  }
  return text;
}

void append_compared_profile(std::string& page, const Profile& profile, const EvidenceByOp& by_op) {
  page += fmt::format("\n### {}\n{}\n\n", profile.name, markdown(profile.title));
  page +=
      "| op | recording | cases | values | mismatches | real code |\n|---|---|--:|--:|--:|---|\n";
  for (const auto& [op, rows] : by_op) {
    for (const ParityEvidence& e : rows) {
      page +=
          fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", e.op, markdown(e.recording),
                      spaced(e.cases), spaced(e.compared), spaced(e.mismatches), markdown(e.code));
    }
  }
  std::vector<std::string> rest;
  for (const std::string& op : ops_of(profile)) {
    if (!by_op.contains(op)) rest.push_back("`" + op + "`");
  }
  if (rest.empty()) return;
  const Level level = profile.evidence.level == Level::assumed ? Level::assumed : Level::documented;
  page += fmt::format("\nNo recording, {}: {}.\n", level_word(level), fmt::join(rest, ", "));
}

constexpr const char* kIntroduction =
    R"(# What was compared with real code

Written by `tools/parity.sh` from what the tests compare; do not edit. Recordings are outputs of the
named code on the named version; live layers ran beside it in one process. *executed* means: values of
that op were compared and all are equal. An op of an executed profile that no recording covers is
*documented*: read in the source, not run. Profiles that are *assumed* say in `evidence.sources` whose
model they follow.
)";

}  // namespace

std::vector<ParityEvidence> evidence_of_vectors(const Json& report) {
  std::vector<ParityEvidence> evidence;
  for (const Json& result : report.at("cases")) {
    if (result.at("status") == "unsupported") continue;
    const std::string name = result.at("name");
    ParityEvidence e;
    e.profile = result.at("profile");
    e.op = op_word(result.at("op"));
    e.recording = "operator cases " + result.at("family").get<std::string>();
    const auto source = suite_sources().find(name.substr(0, name.find('_')));
    e.code = source == suite_sources().end() ? "unknown" : source->second;
    e.cases = 1;
    e.compared = result.at("compared");
    e.mismatches = result.at("mismatches");
    // A case that failed without a value to compare.
    if (result.at("status") == "failed" && e.mismatches == 0) e.mismatches = 1;
    evidence.push_back(std::move(e));
  }
  return evidence;
}

std::vector<ParityEvidence> evidence_of_log(std::string_view log) {
  static const std::regex line_of_test(R"(^(?:\d+: )?PARITY (\{.*\})$)");
  static const std::regex line_of_peer(
      R"(^(?:\d+: )?(\w+) (\S+) (.+): (\d+) layers, (\d+) values compared, (\d+) mismatches.*$)");
  std::vector<ParityEvidence> evidence;
  std::istringstream lines{std::string(log)};
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (line.size() > 4096) continue;
    if (std::regex_match(line, match, line_of_test)) {
      for (ParityEvidence& e : evidence_from_json(Json::array({Json::parse(match[1].str())}))) {
        evidence.push_back(std::move(e));
      }
    } else if (std::regex_match(line, match, line_of_peer)) {
      ParityEvidence e;
      e.profile = profile_of_peer(match[1]);
      if (e.profile.empty()) continue;
      e.recording = "live layers";
      std::string code = match[1].str() + " " + match[2].str();
      std::string name = match[3];
      if (const size_t limit = name.find(" ("); limit != std::string::npos) {
        e.recording += name.substr(limit);  // what the test leaves out
        name.resize(limit);
      }
      if (const size_t comma = name.rfind(", "); comma != std::string::npos) {
        e.op = name.substr(comma + 2);  // "QNNPACK of PyTorch 1.13.1, add"
        code += " " + name.substr(0, comma);
      } else if (match[2] == "of") {
        continue;  // the sum of such lines
      } else {
        e.op = op_of_peer_layer(name);
      }
      e.code = code + ", in process";
      e.cases = std::stoll(match[4]);
      e.compared = std::stoll(match[5]);
      e.mismatches = std::stoll(match[6]);
      evidence.push_back(std::move(e));
    }
  }
  return evidence;
}

std::vector<ParityEvidence> merged(std::vector<ParityEvidence> evidence) {
  std::stable_sort(evidence.begin(), evidence.end(),
                   [](const auto& a, const auto& b) { return key_of(a) < key_of(b); });
  std::vector<ParityEvidence> rows;
  for (ParityEvidence& e : evidence) {
    if (!rows.empty() && key_of(rows.back()) == key_of(e)) {
      rows.back().cases += e.cases;
      rows.back().compared += e.compared;
      rows.back().mismatches += e.mismatches;
    } else {
      rows.push_back(std::move(e));
    }
  }
  return rows;
}

nlohmann::ordered_json to_json(const std::vector<ParityEvidence>& evidence) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const ParityEvidence& e : evidence) {
    rows.push_back({{"profile", e.profile},
                    {"op", e.op},
                    {"recording", e.recording},
                    {"code", e.code},
                    {"cases", e.cases},
                    {"compared", e.compared},
                    {"mismatches", e.mismatches}});
  }
  return rows;
}

std::vector<ParityEvidence> evidence_from_json(const Json& json) {
  std::vector<ParityEvidence> evidence;
  for (const Json& row : json) {
    evidence.push_back({row.at("profile"), row.at("op"), row.at("recording"), row.at("code"),
                        row.at("cases"), row.at("compared"), row.at("mismatches")});
  }
  return evidence;
}

std::string parity_page(const std::vector<ParityEvidence>& evidence,
                        const backends::ProfileSearch& search) {
  std::string page = kIntroduction;
  std::string compared, others;
  page += "\n| profile | evidence | ops compared | values | mismatches |\n|---|---|--:|--:|--:|\n";
  for (const std::string& name : backends::list_profiles(search)) {
    const Profile profile = backends::load_profile(name, search);
    const EvidenceByOp by_op = evidence_of(evidence, name);
    int64_t values = 0, mismatches = 0;
    for (const auto& [op, rows] : by_op) {
      for (const ParityEvidence& e : rows) {
        values += e.compared;
        mismatches += e.mismatches;
      }
    }
    const std::string_view level = level_word(profile.evidence.level);
    const std::vector<std::string> ops = ops_of(profile);
    page += fmt::format("| `{}` | {} | {} of {} | {} | {} |\n", name, level, by_op.size(),
                        ops.size(), spaced(values), spaced(mismatches));
    if (by_op.empty()) {
      others += fmt::format("| `{}` | {} | {} | {} |\n", name, level, fmt::join(ops, " "),
                            markdown(fmt::format("{}", fmt::join(profile.evidence.sources, "; "))));
    } else {
      append_compared_profile(compared, profile, by_op);
    }
  }
  page += "\n## Compared with real code\n" + compared;
  page += "\n## Without recordings\n\n| profile | evidence | ops | sources |\n|---|---|---|---|\n";
  return page + others;
}

std::vector<std::string> parity_problems(const std::vector<ParityEvidence>& evidence,
                                         const backends::ProfileSearch& search) {
  std::vector<std::string> problems;
  std::set<std::string> names;
  for (const std::string& name : backends::list_profiles(search)) {
    names.insert(name);
    const Profile profile = backends::load_profile(name, search);
    const EvidenceByOp by_op = evidence_of(evidence, name);
    if (profile.evidence.level == Level::executed && by_op.empty()) {
      problems.push_back(name + ": called executed, but nothing was compared");
    }
    for (const auto& [op, rows] : by_op) {
      if (!profile.ops.contains(op)) {
        problems.push_back(name + ": evidence of " + op + ", which it does not have");
      }
      for (const ParityEvidence& e : rows) {
        if (e.code == "unknown") {
          problems.push_back(name + " " + e.op + ": evidence from unknown code");
        }
        if (e.mismatches == 0 && e.compared > 0) continue;
        problems.push_back(fmt::format("{} {}: {} mismatches of {} values ({}, {})", name, e.op,
                                       e.mismatches, e.compared, e.recording, e.code));
      }
    }
  }
  for (const ParityEvidence& e : evidence) {
    if (!names.contains(e.profile)) problems.push_back("no profile \"" + e.profile + "\"");
  }
  return problems;
}

}  // namespace facsim::test
