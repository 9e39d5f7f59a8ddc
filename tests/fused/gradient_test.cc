// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "fused/conv2d_op.h"
#include "fused/nn/relu.h"
#include "fused/qat_fused_linear.h"
#include "tests/fused/pattern_tester.h"

using namespace facsim;
using namespace facsim::fused;
using fused::test::profile;
using fused::test::random_tensor;

namespace {

constexpr int64_t kN = 2, kH = 5, kW = 4, kIn = 2, kOut = 3;

using Doubles = std::vector<double>;

Doubles widened(const Tensor& t) {
  const auto v = t.values<float>();
  return {v.begin(), v.end()};
}

/// The seed's forward written again in float64, with the rounding of the weight quantizer held
/// fixed (its straight-through surrogate) and the output's mask held fixed:
///   loss = sum mask * gy * BN(conv(x, M w f + rest) / f + b)
struct Oracle {
  Doubles x, w, gamma, beta, bias, running_mean, running_var;
  Doubles mask_w, rest;  // weight quantizer: wq = mask_w * (w * f) + rest
  Doubles upstream;      // mask * gy
  double eps = 1e-5;
  bool normalises = true, batch = true;

  double loss() const {
    const int64_t taps = 9 * kIn, pixels = kN * kH * kW;
    double total = 0;
    for (int64_t o = 0; o < kOut; ++o) {
      const auto c = static_cast<size_t>(o);
      const double std = std::sqrt(running_var[c] + eps);
      const double f = normalises ? gamma[c] / std : 1.0;
      Doubles u;
      for (int64_t p = 0; p < pixels; ++p) {
        const int64_t n = p / (kH * kW), h = p / kW % kH, v = p % kW;
        double z = 0;
        for (int64_t t = 0; t < taps; ++t) {
          const int64_t ih = h + t / (3 * kIn) - 1, iw = v + t / kIn % 3 - 1;
          if (ih < 0 || ih >= kH || iw < 0 || iw >= kW) continue;
          const auto weight = static_cast<size_t>(o * taps + t);
          const double wq = mask_w[weight] * (w[weight] * f) + rest[weight];
          z += wq * x[static_cast<size_t>(((n * kH + ih) * kW + iw) * kIn + t % kIn)];
        }
        u.push_back(z / f + bias[c]);
      }
      double mean = running_mean[c], variance = running_var[c];
      if (batch) {
        mean = variance = 0;
        for (const double v : u) mean += v / static_cast<double>(pixels);
        for (const double v : u) variance += (v - mean) * (v - mean) / static_cast<double>(pixels);
      }
      for (int64_t p = 0; p < pixels; ++p) {
        const double v = u[static_cast<size_t>(p)];
        const double y =
            normalises ? gamma[c] * (v - mean) / std::sqrt(variance + eps) + beta[c] : v;
        total += upstream[static_cast<size_t>(p * kOut + o)] * y;
      }
    }
    return total;
  }

  /// Central differences of the loss by each element of one of its own vectors.
  Doubles gradient(Doubles Oracle::*member) {
    Doubles out;
    for (double& v : this->*member) {
      const double kept = v, step = 1e-5 * std::fmax(1.0, std::fabs(kept));
      v = kept + step;
      const double up = loss();
      v = kept - step;
      const double down = loss();
      v = kept;
      out.push_back((up - down) / (2 * step));
    }
    return out;
  }
};

void check_close(const char* what, const Tensor& got, const Doubles& expected) {
  CAPTURE(what);
  REQUIRE(got.numel() == static_cast<int64_t>(expected.size()));
  double largest = 1e-3;
  for (const double e : expected) largest = std::fmax(largest, std::fabs(e));
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(std::fabs(got.data<float>()[i] - expected[i]) < 2e-4 * largest);
  }
}

struct Case {
  ForwardMode mode;
  bool normalises;
  BatchNormMode batch_norm;
  bool relu;
};

void check_gradients(const Case& c) {
  LinearParts parts(std::make_shared<Conv2dOp>(Conv2dGeometry{
                        kIn, kOut, {3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, PaddingMode::zeros}),
                    LinearParts::Bias::present);
  parts.weight.value = random_tensor({kOut, 3, 3, kIn}, 11, 0.3f);
  parts.bias->value = random_tensor({kOut}, 12, 0.5f);
  if (c.normalises) {
    parts.bn.emplace(kOut, 1e-5f, 0.1f, "bn.");
    parts.bn->weight.value = Tensor::from<float>({kOut}, std::array{0.8f, -1.3f, 0.5f});
    parts.bn->bias.value = random_tensor({kOut}, 13, 0.5f);
    parts.bn->running_mean.value = random_tensor({kOut}, 14, 0.5f);
    parts.bn->running_var.value = Tensor::from<float>({kOut}, std::array{0.4f, 1.7f, 0.9f});
  }
  if (c.relu) parts.activation = activation_of<nn::ReLUForm>({});
  const auto rules = std::make_shared<const backends::Profile>(profile("tflite-micro"));
  QatFusedLinear module("test", parts.clone(), make_qconfig(rules, "conv2d"));

  const auto input = make_qconfig(rules, "quantize").activation(1);
  const Tensor real = random_tensor({kN, kH, kW, kIn}, 15);
  input->observe(real);
  const std::vector<Value> x{Value(input->forward(real).codes, input->qparams())};
  Context context;
  context.mode = c.mode;
  context.training = true;
  context.observe = true;
  context.batch_norm = c.batch_norm;

  Oracle oracle;
  oracle.normalises = c.normalises;
  oracle.batch = c.normalises && c.batch_norm == BatchNormMode::batch;
  oracle.gamma = oracle.beta = oracle.running_mean = Doubles(kOut, 0);
  oracle.running_var = Doubles(kOut, 1);
  if (c.normalises) {  // before the forward moves the statistics
    oracle.gamma = widened(parts.bn->weight.value);
    oracle.beta = widened(parts.bn->bias.value);
    oracle.running_mean = widened(parts.bn->running_mean.value);
    oracle.running_var = widened(parts.bn->running_var.value);
  }
  const Value y = module.forward(x, context);
  const Tensor gy = random_tensor(y.shape(), 16);
  const Tensor dx = module.backward(gy, context, true).front();

  oracle.x = widened(x[0].real());
  oracle.w = widened(parts.weight.value);
  oracle.bias = widened(parts.bias->value);
  const FoldedWeight& folded = module.folded_weight();
  for (int64_t i = 0; i < folded.scaled.numel(); ++i) {
    const bool inside = folded.quantized.inside.int_at(i) != 0;
    oracle.mask_w.push_back(inside ? 1 : 0);
    oracle.rest.push_back(double{folded.quantized.real.data<float>()[i]} -
                          (inside ? double{folded.scaled.data<float>()[i]} : 0.0));
  }
  const int64_t low = c.relu ? y.qparams().zero_point.front() : y.qparams().quant_min;
  int64_t passed = 0;
  for (int64_t i = 0; i < gy.numel(); ++i) {
    const int64_t code = y.codes().int_at(i);
    const bool passes = code > low && code < y.qparams().quant_max;
    passed += passes ? 1 : 0;
    oracle.upstream.push_back(passes ? double{gy.data<float>()[i]} : 0.0);
  }
  CHECK(passed > 0);
  CHECK(passed < gy.numel());
  check_close("x", dx, oracle.gradient(&Oracle::x));
  check_close("weight", module.parts().weight.grad, oracle.gradient(&Oracle::w));
  check_close("bias", module.parts().bias->grad, oracle.gradient(&Oracle::bias));
  if (!c.normalises) return;
  check_close("bn.weight", module.parts().bn->weight.grad, oracle.gradient(&Oracle::gamma));
  check_close("bn.bias", module.parts().bn->bias.grad, oracle.gradient(&Oracle::beta));
}

}  // namespace

TEST_CASE("QatFusedLinear: gradients equal finite differences of the float64 formula") {
  for (const auto mode : {ForwardMode::simulate, ForwardMode::fake_quantize}) {
    for (const bool relu : {false, true}) {
      for (const auto batch_norm : {BatchNormMode::batch, BatchNormMode::frozen}) {
        CAPTURE(static_cast<int>(mode));
        CAPTURE(relu);
        CAPTURE(static_cast<int>(batch_norm));
        check_gradients({mode, true, batch_norm, relu});
      }
      check_gradients({mode, false, BatchNormMode::batch, relu});
    }
  }
}
