// SPDX-License-Identifier: Apache-2.0
// Random small networks in QDQ and QOperator form: what quantized_network makes of them, under
// onnxruntime-cpu, against ONNX Runtime itself (tools/runtimes, onnxruntime-node). Every output
// must be equal.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <sstream>

#include "backends/io/npy.h"
#include "backends/onnx/quantized_network.h"
#include "tests/backends/report_parity.h"
#include "tests/formats/temp_folder.h"
#include "tests/onnx/drawn_networks.h"
#include "tests/onnx/run_network.h"

namespace facsim::test {
namespace {

namespace fs = std::filesystem;
using backends::OnnxType;
using Integers = std::vector<int64_t>;

/// FACSIM_RUNTIMES, or build/runtimes of the source tree, with onnxruntime-node; empty: not there.
fs::path runtimes() {
  const char* given = std::getenv("FACSIM_RUNTIMES");
  for (const fs::path& folder :
       {fs::path(given == nullptr ? "" : given), fs::path(FACSIM_SOURCE_DIR) / "build/runtimes"}) {
    if (!folder.empty() && fs::exists(folder / "node_modules/onnxruntime-node")) return folder;
  }
  return {};
}

std::string runtime_version(const fs::path& packages) {
  const std::string text =
      backends::read_file(packages / "node_modules/onnxruntime-node/package.json");
  return nlohmann::json::parse(text).at("version");
}

/// node run_onnx.mjs in `folder`.
std::string runtime_command(const fs::path& packages, const fs::path& folder) {
  return "cd '" + folder.string() + "' && FACSIM_RUNTIMES='" + packages.string() + "' node '" +
         FACSIM_SOURCE_DIR + "/tools/runtimes/run_onnx.mjs'";
}

struct Drawn {
  const Family* family;
  uint64_t seed;
  std::string stem;
  std::vector<std::pair<std::string, Tensor>> inputs;
};

TEST_CASE("onnx runtime: random networks give what ONNX Runtime gives") {
  const fs::path packages = runtimes();
  if (packages.empty()) {
    std::cout << "SKIPPED: no onnxruntime-node (tools/runtimes/install.sh, FACSIM_RUNTIMES)\n";
    return;
  }
  const char* first_seed = std::getenv("FACSIM_ONNX_SEED");
  const uint64_t base = first_seed == nullptr ? 1 : std::strtoull(first_seed, nullptr, 10);
  const char* only = std::getenv("FACSIM_ONNX_FAMILY");
  const TempFolder folder;
  std::vector<Drawn> drawn;
  for (const Family& family : families()) {
    if (only != nullptr && std::string(family.name).find(only) == std::string::npos) continue;
    for (int i = 0; i < family.networks; ++i) {
      Drawn one{&family,
                base * 1'000'003 + static_cast<uint64_t>(i),
                "n" + std::to_string(drawn.size()),
                {}};
      NetworkMaker maker(one.seed);
      family.make(maker);
      write_onnx_model(folder / (one.stem + ".onnx"), maker.model());
      backends::write_npz(folder / (one.stem + ".in.npz"), maker.inputs());
      one.inputs = maker.inputs();
      drawn.push_back(std::move(one));
    }
  }
  // Networks in groups of one call each: a command line has a limit.
  constexpr size_t kPerCall = 200;
  for (size_t i = 0; i < drawn.size(); i += kPerCall) {
    std::string command = runtime_command(packages, folder.path());
    for (size_t k = i; k < std::min(drawn.size(), i + kPerCall); ++k) {
      const std::string& stem = drawn[k].stem;
      command += " " + stem + ".onnx " + stem + ".in.npz " + stem + ".out.npz";
    }
    command += " --config session.qdqisint8allowed=1 > log.txt";
    REQUIRE(std::system(command.c_str()) == 0);
  }
  struct Count {
    int64_t networks = 0, compared = 0, different = 0;
  };
  std::map<std::string, Count> counts;
  for (const Drawn& one : drawn) {
    CAPTURE(std::string(one.family->name));
    CAPTURE(one.seed);
    Count& count = counts[one.family->name];
    ++count.networks;
    std::map<std::string, Tensor> ours;
    try {
      std::vector<Tensor> inputs;
      for (const auto& input : one.inputs) inputs.push_back(input.second);
      ours = run_network(
          backends::quantized_network(backends::read_onnx_model(folder / (one.stem + ".onnx"))),
          "onnxruntime-cpu", inputs);
    } catch (const Error& error) {
      FAIL_CHECK(std::string(error.what()));
      continue;
    }
    for (const auto& [name, expected] : backends::read_npz(folder / (one.stem + ".out.npz"))) {
      CAPTURE(name);
      REQUIRE(ours.contains(name));
      const Tensor& got = ours.at(name);
      REQUIRE(got.dtype() == expected.dtype());
      REQUIRE(to_string(got.shape()) == to_string(expected.shape()));
      int64_t different = 0;
      for (int64_t k = 0; k < got.numel(); ++k) {
        different += got.dtype() == DType::float32
                         ? got.data<float>()[k] != expected.data<float>()[k]
                         : got.int_at(k) != expected.int_at(k);
      }
      CHECK(different == 0);
      count.compared += got.numel();
      count.different += different;
    }
  }
  for (const Family& family : families()) {
    const auto found = counts.find(family.name);
    if (found == counts.end()) continue;
    const Count& count = found->second;
    MESSAGE(std::string(family.name), ": ", count.networks, " networks, ", count.compared,
            " values, ", count.different, " different");
    report_parity({{"profile", "onnxruntime-cpu"},
                   {"op", family.op},
                   {"recording", "random networks: " + std::string(family.name)},
                   {"code", "onnxruntime-node " + runtime_version(packages)},
                   {"cases", count.networks},
                   {"compared", count.compared},
                   {"mismatches", count.different}});
  }
}

/// Op types of the network that ONNX Runtime executes, after its optimizations.
std::string optimized_ops(const NetworkMaker& maker, const fs::path& packages,
                          const TempFolder& folder) {
  write_onnx_model(folder / "m.onnx", maker.model());
  backends::write_npz(folder / "m.in.npz", maker.inputs());
  const std::string command = runtime_command(packages, folder.path()) +
                              " m.onnx m.in.npz m.out.npz --optimized o.onnx"
                              " --config session.qdqisint8allowed=1 > log.txt";
  REQUIRE(std::system(command.c_str()) == 0);
  std::string ops;
  for (const backends::OnnxNode& node : backends::read_onnx_model(folder / "o.onnx").graph.nodes) {
    ops += " " + node.op_type + " ";
  }
  return ops;
}

/// The float ops that a group of README.md's table leaves no trace of.
constexpr std::initializer_list<const char*> kGroupOps = {
    "Conv", "FusedConv", "Gemm",      "FusedGemm",   "MatMul",  "MatMulIntegerToFloat",
    "Add",  "Mul",       "LeakyRelu", "AveragePool", "Sigmoid", "GlobalAveragePool",
    "Relu", "Clip",      "Softmax"};

TEST_CASE("onnx runtime: the groups that are one op here are one op on codes there") {
  const fs::path packages = runtimes();
  if (packages.empty()) {
    std::cout << "SKIPPED: no onnxruntime-node (tools/runtimes/install.sh, FACSIM_RUNTIMES)\n";
    return;
  }
  const TempFolder folder;
  for (const Family& family : families()) {
    const std::string name = family.name;
    if (!name.starts_with("QDQ") && !name.starts_with("residual")) continue;
    for (uint64_t seed = 1; seed <= 2; ++seed) {
      CAPTURE(name);
      CAPTURE(seed);
      NetworkMaker maker(seed);
      family.make(maker);
      const std::string ops = optimized_ops(maker, packages, folder);
      CAPTURE(ops);
      for (const char* op : kGroupOps) {
        CHECK_MESSAGE(ops.find(std::string(" ") + op + " ") == std::string::npos, std::string(op));
      }
    }
  }
}

/// A convolution of 4 channels in reals.
std::string float_conv(NetworkMaker& m, const std::string& x, OnnxType weights = OnnxType::int8) {
  const auto layer = m.layer(weights, {6, 4, 3, 3}, 0, false, 0.02f, 0.5f);
  return m.node("Conv",
                {x, m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point})});
}

/// Groups that quantized_network refuses, with the op that ONNX Runtime runs in float.
struct FloatCase {
  const char* name;
  const char* ops;  ///< one of them is in the optimized network
  void (*make)(NetworkMaker&, const std::string& real, const CodeScale& scale);
};

const std::vector<FloatCase>& float_cases() {
  using Real = const std::string&;
  static const std::vector<FloatCase> all = {
      {"Relu with a zero point that is not the lowest code", "Conv FusedConv",
       [](NetworkMaker& m, Real x, const CodeScale& s) {
         m.output(m.quantize(m.node("Relu", {float_conv(m, x)}), s), s.type);
       }},
      {"Clip that cuts", "Conv FusedConv",
       [](NetworkMaker& m, Real x, const CodeScale& s) {
         m.output(m.quantize(m.node("Clip", {float_conv(m, x), m.scalar(0), m.scalar(1)}), s),
                  s.type);
       }},
      {"Flatten between Conv and QuantizeLinear", "Conv",
       [](NetworkMaker& m, Real x, const CodeScale& s) {
         m.output(m.quantize(m.node("Flatten", {float_conv(m, x)}), s), s.type);
       }},
      {"Flatten between DequantizeLinear and Gemm", "Gemm",
       [](NetworkMaker& m, Real x, const CodeScale& s) {
         const auto layer = m.layer(OnnxType::int8, {4 * 6 * 7, 5}, 1, false, 0.02f, 0.5f);
         const std::string w =
             m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point});
         m.output(m.quantize(m.node("Gemm", {m.node("Flatten", {x}), w}), s), s.type);
       }},
      {"another type of output", "Conv",
       [](NetworkMaker& m, Real x, const CodeScale&) {
         m.output(m.quantize(float_conv(m, x), {0.5f, 0, OnnxType::int8}), OnnxType::int8);
       }},
      {"weights of int4", "Conv",
       [](NetworkMaker& m, Real x, const CodeScale& s) {
         m.output(m.quantize(float_conv(m, x, OnnxType::int4), s), s.type);
       }},
      {"codes of int16", "Conv",
       [](NetworkMaker& m, Real x, const CodeScale&) {
         const CodeScale wide{0.001f, 0, OnnxType::int16};
         const std::string codes = m.quantize(x, wide);
         m.output(m.quantize(float_conv(m, m.dequantize(codes, wide)), wide), OnnxType::int16);
       }},
      {"two readers of the result", "Conv",
       [](NetworkMaker& m, Real x, const CodeScale& s) {
         const std::string y = float_conv(m, x);
         m.output(m.quantize(y, s), s.type);
         m.output(m.quantize(y, {s.scale * 2, s.zero_point, s.type}), s.type);
       }},
      {"Pad of channels in front of Conv", "Conv",
       [](NetworkMaker& m, Real x, const CodeScale& s) {
         const std::string padded =
             m.node("Pad", {x, m.int64s({0, 0, 0, 0, 0, 1, 0, 0}), m.scalar(0)});
         const auto layer = m.layer(OnnxType::int8, {2, 5, 1, 1}, 0, false, 0.02f, 0.5f);
         const std::string w =
             m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point});
         m.output(m.quantize(m.node("Conv", {padded, w}), s), s.type);
       }},
      {"no QuantizeLinear", "Conv",
       [](NetworkMaker& m, Real x, const CodeScale&) {
         m.output(float_conv(m, x), OnnxType::float32);
       }},
      {"an operand without DequantizeLinear", "Add",
       [](NetworkMaker& m, Real x, const CodeScale& s) {
         m.output(m.quantize(m.node("Add", {x, m.scalar(1.5f)}), s), s.type);
       }},
  };
  return all;
}

TEST_CASE("onnx runtime: what is refused as float stays in float there") {
  const fs::path packages = runtimes();
  if (packages.empty()) {
    std::cout << "SKIPPED: no onnxruntime-node (tools/runtimes/install.sh, FACSIM_RUNTIMES)\n";
    return;
  }
  const TempFolder folder;
  for (const FloatCase& one : float_cases()) {
    CAPTURE(std::string(one.name));
    NetworkMaker maker(11, 21);
    const CodeScale scale{0.02f, 100, OnnxType::uint8};
    const test::MadeCodes x = maker.input_codes({0, 4, 6, 7}, scale);
    one.make(maker, maker.dequantize(x.name, scale), scale);
    CHECK(contains(
        error_text(ErrorCode::unsupported, [&] { backends::quantized_network(maker.model()); }),
        "stays in float in ONNX Runtime"));
    const std::string ops = optimized_ops(maker, packages, folder);
    CAPTURE(ops);
    bool found = false;
    std::istringstream names(one.ops);
    for (std::string op; names >> op;) found |= ops.find(" " + op + " ") != std::string::npos;
    CHECK(found);
  }
}

}  // namespace
}  // namespace facsim::test