// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/lower/lower.h"

namespace facsim::backends {
namespace {

using Json = nlohmann::json;

/// The recorded suite (format of facsim-vectors-1), or nothing: then the tests say so and pass.
class Suite {
 public:
  Suite() {
    const char* folder = std::getenv("FACSIM_VECTORS_DIR");
    if (folder == nullptr) return;
    folder_ = folder;
    manifest_ = Json::parse(read_file(folder_ / "manifest.json"));
  }
  bool present() const { return !folder_.empty(); }
  const Json& cases() const { return manifest_["cases"]; }

  std::vector<int64_t> integers(const Json& c, const std::string& role) {
    const Tensor t = array(c, role);
    std::vector<int64_t> out;
    for (int64_t i = 0; i < t.numel(); ++i) out.push_back(t.int_at(i));
    return out;
  }
  std::vector<float> reals(const Json& c, const std::string& role) {
    const Tensor t = array(c, role);
    return {t.data<float>(), t.data<float>() + t.numel()};
  }

  Tensor array(const Json& c, const std::string& role) {
    const std::string npz = c["npz"];
    auto [it, is_new] = files_.try_emplace(npz);
    if (is_new) it->second = read_npz(folder_ / npz);
    return member(it->second, c["arrays"][role]["key"].get<std::string>(), npz);
  }

 private:
  std::filesystem::path folder_;
  Json manifest_;
  std::map<std::string, NamedTensors> files_;
};

Suite& suite() {
  static Suite s;
  return s;
}

#define REQUIRE_SUITE()                                      \
  if (!suite().present()) {                                  \
    std::cout << "SKIPPED: FACSIM_VECTORS_DIR is not set\n"; \
    return;                                                  \
  }

/// TFLite's exponent for our whole right shift.
int64_t tflite_shift(int64_t multiplier, int64_t shift) { return multiplier == 0 ? 0 : 31 - shift; }

TEST_CASE("lower: layer multipliers are those TFLite Micro derived from the same scales") {
  REQUIRE_SUITE();
  const Profile profile = load_profile("tflite-micro", ProfileSearch::standard());
  int cases = 0;
  int channels = 0;
  for (const Json& c : suite().cases()) {
    const std::string op = c["op"];
    const bool is_layer = op == "conv2d" || op == "depthwise_conv2d" || op == "fully_connected";
    const Json& attrs = c["attrs"];
    if (c["part"] != "tflm" || !is_layer || !c["arrays"].contains("weight_scales") ||
        !attrs.contains("input_scale")) {
      continue;
    }
    const std::vector<float> weight_scales = suite().reals(c, "weight_scales");
    const std::vector<int64_t> multiplier = suite().integers(c, "multiplier");
    const std::vector<int64_t> shift = suite().integers(c, "shift");
    CAPTURE(c["name"].get<std::string>());
    REQUIRE(multiplier.size() <= weight_scales.size());
    ++cases;
    for (size_t i = 0; i < multiplier.size(); ++i) {
      const quant::MultiplierSpec& spec = profile.rules("conv2d").multiplier;
      const double real =
          quant::real_multiplier(attrs["input_scale"].get<float>(), weight_scales[i],
                                 attrs["output_scale"].get<float>(), spec.scale_product);
      const quant::Multiplier derived = quant::derive_multiplier(real, spec);
      CHECK(derived.multiplier == multiplier[i]);
      CHECK(tflite_shift(derived.multiplier, derived.shift) == shift[i]);
      ++channels;
    }
  }
  MESSAGE(cases, " cases, ", channels, " channels");
  CHECK(cases > 40);
}

/// The parameters of an activation, from attributes such as in1_scale and in1_zero_point.
quant::QParams qparams(const Json& attrs, const std::string& prefix, DType dtype) {
  quant::QParams q;
  q.type = sim::full_range(dtype);
  q.quant_min = q.type.min();
  q.quant_max = q.type.max();
  q.scale = {attrs.value(prefix + "_scale", 1.0f)};
  q.zero_point = {attrs[prefix + "_zero_point"].get<int64_t>()};
  return q;
}

void check_run(const sim::Op& op, std::vector<const Tensor*> inputs, const Tensor& golden) {
  std::vector<Shape> shapes;
  for (const Tensor* input : inputs) shapes.push_back(input->shape());
  Tensor output(op.output_dtype(), op.output_shape(shapes));
  op.run(inputs, output, {.isa = sim::Isa::scalar});
  REQUIRE(output.dtype() == golden.dtype());
  REQUIRE(output.numel() == golden.numel());
  int64_t mismatches = 0;
  for (int64_t i = 0; i < golden.numel(); ++i) mismatches += output.int_at(i) != golden.int_at(i);
  CHECK(mismatches == 0);
}

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu_n1_to_1,
                                       Activation::relu6};

TEST_CASE("lower: ADD from scales gives the codes and bounds of TFLite Micro") {
  REQUIRE_SUITE();
  const Profile profile = load_profile("tflite-micro", ProfileSearch::standard());
  int cases = 0;
  for (const Json& c : suite().cases()) {
    const Json& attrs = c["attrs"];
    if (c["part"] != "tflm" || c["family"] != "add_s8") continue;
    CAPTURE(c["name"].get<std::string>());
    ++cases;
    const quant::QParams lhs = qparams(attrs, "in1", DType::int8);
    const quant::QParams rhs = qparams(attrs, "in2", DType::int8);
    const quant::QParams output = qparams(attrs, "output", DType::int8);
    const Activation activation = kActivations[attrs["fused_activation"].get<size_t>()];
    const ClampBounds clamp = clamp_bounds(profile.rules("add"), activation, output);
    CHECK(clamp.min == attrs["act_min"].get<int64_t>());
    CHECK(clamp.max == attrs["act_max"].get<int64_t>());
    const Tensor a = suite().array(c, "input1");
    const Tensor b = suite().array(c, "input2");
    if (a.shape() != b.shape()) continue;  // broadcasting is the op's own test
    check_run(*lower_add(profile, lhs, rhs, output, activation), {&a, &b},
              suite().array(c, "golden"));
  }
  CHECK(cases == 20);
}

TEST_CASE(
    "lower: RELU, requantizing and quantizing QUANTIZE from scales give TFLite Micro's codes") {
  REQUIRE_SUITE();
  const Profile profile = load_profile("tflite-micro", ProfileSearch::standard());
  std::map<std::string, int> cases;
  for (const Json& c : suite().cases()) {
    const std::string op = c["op"];
    const Json& attrs = c["attrs"];
    if (c["part"] != "tflm" || (op != "relu" && op != "requantize" && op != "quantize")) continue;
    CAPTURE(c["name"].get<std::string>());
    ++cases[op];
    const Tensor input = suite().array(c, "input");
    const Tensor golden = suite().array(c, "golden");
    const quant::QParams output = qparams(attrs, "output", golden.dtype());
    if (op == "quantize") {
      check_run(*lower_quantize(profile, output), {&input}, golden);
      continue;
    }
    const Activation activation = op == "relu" ? Activation::relu : Activation::none;
    check_run(
        *lower_requantize(profile, op, qparams(attrs, "input", input.dtype()), output, activation),
        {&input}, golden);
  }
  CHECK(cases["relu"] == 8);
  CHECK(cases["requantize"] == 6);
  CHECK(cases["quantize"] == 3);
}

}  // namespace
}  // namespace facsim::backends
