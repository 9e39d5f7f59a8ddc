// SPDX-License-Identifier: Apache-2.0
// Modules that are no fused linear op: gradients against finite differences, and the quantized ones
// in a network against the deployed graph.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "fused/conv_transpose2d_op.h"
#include "fused/nn/concat.h"
#include "fused/nn/conv_transpose2d.h"
#include "fused/nn/hardswish.h"
#include "fused/nn/leaky_relu.h"
#include "fused/nn/sigmoid.h"
#include "fused/nn/upsample.h"
#include "fused/nn/zero_pad2d.h"
#include "fused/nnqat/concat.h"
#include "fused/nnqat/hardswish.h"
#include "fused/patterns/pattern_registry.h"
#include "sim/core/error.h"
#include "tests/fused/pattern_tester.h"

using namespace facsim;
using namespace facsim::fused;
using fused::test::conv;
using fused::test::conv_transpose;
using fused::test::graph;
using fused::test::node;
using fused::test::random_tensor;

namespace {

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.numel(); ++i) sum += double{a.data<float>()[i]} * b.data<float>()[i];
  return sum;
}

/// The gradient of sum gy * module(x) by every element of `target` (an input or a parameter) equals
/// central differences. Inputs are of order 1 and the step is 1/64, so that the float32 rounding of
/// the outputs (2^-24 of them) moves a quotient by less than 1e-4; `bend` is the third derivative's
/// part, step^2 / 6 of it.
void check_by_differences(Module& module, const std::vector<Value>& x, const Tensor& gy,
                          Tensor target, const Tensor& gradient, double bend) {
  constexpr float kStep = 0x1p-6f;
  for (int64_t i = 0; i < target.numel(); ++i) {
    float& v = target.data<float>()[i];
    const float kept = v;
    v = kept + kStep;
    const double up = dot(module.forward(x, {}).real(), gy);
    v = kept - kStep;
    const double down = dot(module.forward(x, {}).real(), gy);
    v = kept;
    CAPTURE(i);
    const double quotient = (up - down) / (2 * double{kStep});
    CHECK(std::fabs(gradient.data<float>()[i] - quotient) < 2e-4 + bend);
  }
}

void check_module_gradients(Module& module, std::vector<Tensor> inputs, double bend = 0) {
  std::vector<Value> x;
  for (const Tensor& input : inputs) x.emplace_back(input);
  const Tensor gy = random_tensor(module.forward(x, {}).shape(), 21, 0.5f);
  const std::vector<Tensor> dx = module.backward(gy, {}, true);
  REQUIRE(dx.size() == inputs.size());
  std::vector<Tensor> gradients;
  for (Parameter* p : module.parameters()) gradients.push_back(p->grad.clone());
  for (size_t k = 0; k < inputs.size(); ++k) {
    CAPTURE(k);
    REQUIRE(dx[k].shape() == inputs[k].shape());
    check_by_differences(module, x, gy, inputs[k], dx[k], bend);
  }
  const auto parameters = module.parameters();
  for (size_t k = 0; k < parameters.size(); ++k) {
    CAPTURE(parameters[k]->name);
    check_by_differences(module, x, gy, parameters[k]->value, gradients[k], bend);
  }
  const std::vector<Tensor> none = module.backward(gy, {}, false);
  CHECK(none.size() == inputs.size());
  CHECK(none[0].empty());
}

/// z[n, i * stride + k * dilation - padding] += x[n, i] w[oc, k, ic], from the definition.
Tensor transposed_by_definition(const ConvTranspose2dGeometry& g, const Tensor& x, const Tensor& w,
                                const Shape& out) {
  std::vector<double> z(static_cast<size_t>(out.numel()), 0);
  const Shape& s = x.shape();
  const int64_t group_in = g.in_channels / g.groups, group_out = g.out_channels / g.groups;
  for (int64_t n = 0; n < s[0]; ++n) {
    for (int64_t ih = 0; ih < s[1]; ++ih) {
      for (int64_t iw = 0; iw < s[2]; ++iw) {
        for (int64_t kh = 0; kh < g.kernel_size[0]; ++kh) {
          for (int64_t kw = 0; kw < g.kernel_size[1]; ++kw) {
            const int64_t oh = ih * g.stride[0] + kh * g.dilation[0] - g.padding[0];
            const int64_t ow = iw * g.stride[1] + kw * g.dilation[1] - g.padding[1];
            if (oh < 0 || oh >= out[1] || ow < 0 || ow >= out[2]) continue;
            for (int64_t oc = 0; oc < g.out_channels; ++oc) {
              for (int64_t i = 0; i < group_in; ++i) {
                const int64_t ic = oc / group_out * group_in + i;
                const int64_t tap =
                    ((oc * g.kernel_size[0] + kh) * g.kernel_size[1] + kw) * group_in;
                z[static_cast<size_t>(((n * out[1] + oh) * out[2] + ow) * out[3] + oc)] +=
                    double{x.data<float>()[((n * s[1] + ih) * s[2] + iw) * s[3] + ic]} *
                    w.data<float>()[tap + i];
              }
            }
          }
        }
      }
    }
  }
  Tensor result(DType::float32, out);
  for (size_t i = 0; i < z.size(); ++i) {
    result.data<float>()[i] = static_cast<float>(z[i]);
  }
  return result;
}

const std::vector<ConvTranspose2dGeometry>& geometries() {
  static const std::vector<ConvTranspose2dGeometry> all = {
      {4, 6, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 2},
      {3, 2, {2, 4}, {2, 3}, {0, 2}, {0, 2}, {1, 1}, 1},
      {4, 4, {3, 2}, {1, 2}, {1, 0}, {0, 0}, {2, 1}, 4},
      {2, 3, {1, 1}, {3, 1}, {0, 0}, {2, 0}, {1, 1}, 1},
      {2, 2, {3, 3}, {1, 1}, {2, 2}, {0, 0}, {1, 1}, 1},
  };
  return all;
}

/// x -> conv -> the ops of `nodes` in a network quantized for each profile that has them.
void check_in_network(const std::vector<backends::FloatNode>& nodes, const std::string& qat_type,
                      const std::vector<std::string>& profiles) {
  const backends::FloatGraph g = graph({3, 4, 5}, nodes);
  const Tensor x = random_tensor({2, 4, 5, 3}, 3);
  for (const std::string& name : profiles) {
    CAPTURE(name);
    const backends::Profile rules = test::profile(name);
    Network network = Network::from_graph(g, 1);
    test::disturb(network, 2);
    const PatternRegistry patterns = PatternRegistry::standard();
    network.fuse(patterns);
    network.prepare_qat(rules, patterns);
    const auto types = network.module_types();
    CHECK(std::find(types.begin(), types.end(), qat_type) != types.end());
    Context context;
    context.observe = true;
    network.forward(x, context);
    test::check_deployed(network, rules, x);
    context.training = true;
    for (const auto mode : {ForwardMode::simulate, ForwardMode::fake_quantize}) {
      context.mode = mode;
      const Tensor y = network.forward(x, context).real();
      network.backward(random_tensor(y.shape(), 5), context);
      for (Parameter* p : network.parameters()) {
        double norm = 0;
        for (int64_t i = 0; i < p->grad.numel(); ++i) {
          REQUIRE(std::isfinite(p->grad.data<float>()[i]));
          norm += std::fabs(p->grad.data<float>()[i]);
          p->value.data<float>()[i] -= 0.01f * p->grad.data<float>()[i];
        }
        CAPTURE(p->name);
        CHECK(norm > 0);
      }
    }
    test::check_deployed(network, rules, x);
  }
}

}  // namespace

TEST_CASE("ConvTranspose2d: forward is the definition") {
  for (const ConvTranspose2dGeometry& g : geometries()) {
    const ConvTranspose2dOp op(g);
    const Tensor x = random_tensor({2, 3, 4, g.in_channels}, 31);
    const Tensor w = random_tensor(op.weight_shape(), 32);
    const Tensor z = op.forward(x, w, nullptr);
    const Tensor expected = transposed_by_definition(g, x, w, op.output_shape(x.shape()));
    REQUIRE(z.shape() == expected.shape());
    for (int64_t i = 0; i < z.numel(); ++i) {
      // At most 36 products of order 3 in another order: 36 * 9 * 2^-24.
      CHECK(std::fabs(z.data<float>()[i] - expected.data<float>()[i]) < 2e-5f);
    }
  }
}

TEST_CASE("ConvTranspose2d: gradients equal finite differences") {
  for (const ConvTranspose2dGeometry& g : geometries()) {
    nn::ConvTranspose2d module(g, LinearParts::Bias::present);
    Random random(33);
    module.reset_parameters(random);
    check_module_gradients(module, {random_tensor({2, 3, 4, g.in_channels}, 34, 0.5f)});
  }
}

TEST_CASE("ConvTranspose2d: PyTorch's initial range, bad geometries are Errors") {
  const ConvTranspose2dOp op({4, 6, {3, 2}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 2});
  CHECK(op.fan_in() == 3 * 3 * 2);
  const auto refused = [](const ConvTranspose2dGeometry& g) {
    CHECK_THROWS_AS(ConvTranspose2dOp{g}, Error);
  };
  refused({4, 6, {3, 3}, {2, 2}, {1, 1}, {2, 0}, {1, 1}, 1});
  refused({4, 6, {3, 3}, {2, 0}, {1, 1}, {0, 0}, {1, 1}, 1});
  refused({4, 6, {3, 3}, {1, 1}, {-1, 1}, {0, 0}, {1, 1}, 1});
  refused({4, 6, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 4});
  const ConvTranspose2dOp small({1, 1, {1, 1}, {1, 1}, {2, 2}, {0, 0}, {1, 1}, 1});
  CHECK_THROWS_AS(small.output_shape({1, 3, 3, 1}), Error);
  CHECK_THROWS_AS(small.output_shape({1, 9, 9, 2}), Error);
}

TEST_CASE("Concat: values side by side, the gradient goes to each input") {
  nn::Concat module;
  check_module_gradients(module, {random_tensor({2, 3, 2, 2}, 41), random_tensor({2, 3, 2, 1}, 42),
                                  random_tensor({2, 3, 2, 3}, 43)});
  const std::vector<Value> x{
      Value(Tensor::from<float>({2, 1}, std::array{1.0f, 2.0f})),
      Value(Tensor::from<float>({2, 2}, std::array{3.0f, 4.0f, 5.0f, 6.0f}))};
  const Tensor y = module.forward(x, {}).real();
  CHECK(y.shape() == Shape{2, 3});
  const std::vector<float> expected{1, 3, 4, 2, 5, 6};
  CHECK(std::vector<float>(y.values<float>().begin(), y.values<float>().end()) == expected);
  const std::vector<Value> odd{Value(Tensor(DType::float32, {2, 3, 2, 2})),
                               Value(Tensor(DType::float32, {2, 2, 2, 2}))};
  CHECK_THROWS_AS(module.forward(odd, {}), Error);
}

TEST_CASE("activations: gradients equal finite differences away from their corners") {
  // Of order 1, no closer than 1/32 to -3, 0 and 3.
  Tensor x = random_tensor({2, 3, 2, 4}, 51, 1.5f);
  for (float& v : x.values<float>()) {
    for (const float corner : {-3.0f, 0.0f, 3.0f}) {
      if (std::fabs(v - corner) < 0x1p-5f) v = corner + 0x1p-4f;
    }
  }
  nn::Hardswish hardswish;
  check_module_gradients(hardswish, {x});
  nn::Sigmoid sigmoid;
  check_module_gradients(sigmoid, {x}, 1e-5);  // |f'''| <= 1/8
  nn::LeakyReLU leaky(0.2f);
  check_module_gradients(leaky, {x});
}

TEST_CASE("Upsample: PyTorch's values, gradients equal finite differences") {
  using Mode = nn::Upsample::Mode;
  using Corners = nn::Upsample::Corners;
  const std::vector<Value> x{
      Value(Tensor::from<float>({1, 2, 2, 1}, std::array{1.0f, 2.0f, 3.0f, 4.0f}))};
  struct Row {
    Mode mode;
    Corners corners;
    std::vector<float> first_row;
  };
  // torch.nn.Upsample(scale_factor=2, mode=…, align_corners=…) of [[1, 2], [3, 4]], row 1.
  const Row rows[] = {
      {Mode::nearest, Corners::free, {1, 1, 2, 2}},
      {Mode::bilinear, Corners::free, {1.5f, 1.75f, 2.25f, 2.5f}},
      {Mode::bilinear, Corners::aligned, {1 + 2.0f / 3, 2, 2 + 1.0f / 3, 2 + 2.0f / 3}}};
  for (const Row& row : rows) {
    nn::Upsample module({2, 2}, row.mode, row.corners);
    const Tensor y = module.forward(x, {}).real();
    REQUIRE(y.shape() == Shape{1, 4, 4, 1});
    for (size_t i = 0; i < 4; ++i) {
      CHECK(y.data<float>()[4 + i] == doctest::Approx(row.first_row[i]).epsilon(1e-6));
    }
    nn::Upsample uneven({3, 2}, row.mode, row.corners);
    check_module_gradients(uneven, {random_tensor({2, 3, 4, 2}, 61)});
  }
  CHECK_THROWS_AS(nn::Upsample({0, 2}, Mode::nearest, Corners::free), Error);
}

TEST_CASE("ZeroPad2d: PyTorch's order of sides, the gradient of the inside") {
  nn::ZeroPad2d module({1, 0, 2, 0});
  const std::vector<Value> x{Value(Tensor::from<float>({1, 1, 2, 1}, std::array{5.0f, 6.0f}))};
  const Tensor y = module.forward(x, {}).real();
  CHECK(y.shape() == Shape{1, 3, 3, 1});
  CHECK(y.data<float>()[7] == 5);
  CHECK(y.data<float>()[8] == 6);
  CHECK(y.data<float>()[6] == 0);
  nn::ZeroPad2d all({1, 2, 3, 0});
  check_module_gradients(all, {random_tensor({2, 3, 2, 2}, 71)});
  CHECK_THROWS_AS(nn::ZeroPad2d({1, 0, -1, 0}), Error);
}

TEST_CASE("quantized Concat, Upsample, ZeroPad2d and activations deploy to the bit") {
  const std::vector<std::string> tflite{"tflite-micro", "tflite-single-rounding", "tflite-builtin"};
  auto nearest = node("Upsample", "up", {"a"});
  nearest.scale_factor = {2, 3};
  auto bilinear = nearest;
  bilinear.mode = backends::ResizeAttributes::Mode::bilinear;
  auto padded = node("ZeroPad2d", "p", {"a"});
  padded.pad = {0, 1, 2, 1};
  check_in_network({conv("a", "input", 3, 4), conv("b", "input", 3, 2),
                    node("Concat", "cat", {"a", "input", "b"}), conv("d", "cat", 9, 2)},
                   "nnqat.Concat", {"tflite-micro", "onnxruntime-cpu", "cmsis-nn"});
  check_in_network({conv("a", "input", 3, 4), nearest, conv("d", "up", 4, 2)}, "nn.Upsample",
                   tflite);
  check_in_network({conv("a", "input", 3, 4), bilinear, conv("d", "up", 4, 2)}, "nn.Upsample",
                   tflite);
  check_in_network({conv("a", "input", 3, 4), padded, conv("d", "p", 4, 2)}, "nn.ZeroPad2d",
                   tflite);
  check_in_network({conv("a", "input", 3, 4), node("Hardswish", "h", {"a"}), conv("d", "h", 4, 2)},
                   "nnqat.Hardswish", tflite);
  check_in_network({conv("a", "input", 3, 4), node("Sigmoid", "s", {"a"}), conv("d", "s", 4, 2)},
                   "nnqat.Sigmoid", {"tflite-micro", "cmsis-nn"});
  check_in_network({conv("a", "input", 3, 4), node("LeakyReLU", "l", {"a"}), conv("d", "l", 4, 2)},
                   "nnqat.LeakyReLU", tflite);
}

TEST_CASE("nnqat.Hardswish: the gradient is the real function's where the code is inside") {
  const auto rules = std::make_shared<const backends::Profile>(test::profile("tflite-micro"));
  const auto module = nnqat::Hardswish::from_float({}, make_qconfig(rules, "hard_swish"));
  const auto quantizer = make_qconfig(rules, "quantize").activation(1);
  const Tensor real = random_tensor({2, 3, 4, 5}, 81, 2.0f);
  quantizer->observe(real);
  const std::vector<Value> x{Value(quantizer->forward(real).codes, quantizer->qparams())};
  Context context;
  context.training = true;
  context.observe = true;
  const Value y = module->forward(x, context);
  const Tensor gy = random_tensor(y.shape(), 82);
  const Tensor dx = module->backward(gy, context, true).front();
  int64_t stopped = 0;
  for (int64_t i = 0; i < gy.numel(); ++i) {
    const double v = x[0].real().data<float>()[i];
    const double slope = v < -3 ? 0 : v <= 3 ? v / 3 + 0.5 : 1;
    const int64_t code = y.codes().int_at(i);
    const bool inside = code > y.qparams().quant_min && code < y.qparams().quant_max;
    stopped += inside ? 0 : 1;
    CHECK(dx.data<float>()[i] == (inside ? gy.data<float>()[i] * static_cast<float>(slope) : 0.0f));
    // The platform's own arithmetic is within two codes of the real function.
    const double value = v * std::clamp(v + 3, 0.0, 6.0) / 6;
    CHECK(std::fabs(y.real().data<float>()[i] - value) < 2.01 * double{y.qparams().scale[0]});
  }
  CHECK(stopped > 0);
  CHECK(stopped < gy.numel());
}
