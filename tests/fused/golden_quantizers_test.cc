// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "quant/fake_quantize/fixed.h"
#include "quant/fake_quantize/learnable.h"
#include "quant/observers/ema_min_max.h"
#include "quant/observers/min_max.h"
#include "quant/observers/moving_average_min_max.h"
#include "sim/rounding/rounding.h"
#include "tests/fused/golden_case.h"

using namespace facsim;
using test::GoldenCase;

namespace {

Tensor floats(std::span<const float> values) {
  return Tensor::from<float>({static_cast<int64_t>(values.size())}, values);
}
Tensor integers(std::span<const int64_t> values) {
  return Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values);
}

bool is_symmetric(const std::string& qscheme) {
  return qscheme.find("symmetric") != std::string::npos;
}
int axis_of(const nlohmann::json& attrs) {
  const auto& axis = attrs.contains("ch_axis") ? attrs.at("ch_axis") : nlohmann::json(-1);
  return axis.is_null() ? -1 : axis.get<int>();
}

/// One of PyTorch's or MQBench's observers by the case's op.
std::unique_ptr<quant::Observer> observer_of(const std::string& op, const nlohmann::json& attrs,
                                             int axis, int64_t channels) {
  if (op.find("EMAMinMax") != std::string::npos) {
    return std::make_unique<quant::EMAMinMaxObserver>(axis, channels,
                                                      attrs.value("ema_ratio", 0.9));
  }
  const bool moving =
      attrs.contains("averaging_constant") && !attrs.at("averaging_constant").is_null();
  if (moving) {
    return std::make_unique<quant::MovingAverageMinMaxObserver>(
        axis, channels, attrs.at("averaging_constant").get<double>());
  }
  return std::make_unique<quant::MinMaxObserver>(axis, channels);
}

/// The range's state at each batch was stored as a view of the observer's tensor, so PyTorch's
/// MinMax cases hold the last one under every number: compare where it is current.
void check_observer(GoldenCase& golden) {
  const auto& attrs = golden.attrs();
  const bool symmetric = attrs.contains("symmetric") ? attrs.at("symmetric").get<bool>()
                                                     : is_symmetric(attrs.at("qscheme"));
  const int axis = axis_of(attrs);
  auto spec = test::torch_spec(attrs.at("quant_min"), attrs.at("quant_max"), symmetric, axis);
  if (attrs.value("pot_scale", false)) spec.scale = quant::TensorSpec::Scale::nearest_power_of_two;
  const int64_t channels = axis < 0 ? 1 : golden.array("x0").shape()[axis];
  const auto observer = observer_of(golden.op(), attrs, axis, channels);
  const int batches = attrs.at("batches");
  for (int b = 0; b < batches; ++b) {
    const std::string n = std::to_string(b);
    observer->observe(golden.array("x" + n));
    const auto qparams = quant::choose_qparams(observer->min(), observer->max(), spec);
    golden.compare("scale" + n, floats(qparams.scale));
    golden.compare("zp" + n, integers(qparams.zero_point));
    const bool is_view = golden.op() == "MinMaxObserver" ||
                         golden.op() == "PerChannelMinMaxObserver" ||
                         golden.op().find("MovingAverage") != std::string::npos;
    if (is_view && b + 1 < batches) continue;
    golden.compare("min" + n, floats(observer->min()));
    golden.compare("max" + n, floats(observer->max()));
  }
  golden.finish();
}

quant::QParams qparams_of(const quant::TensorSpec& spec, std::span<const float> scale,
                          std::vector<int64_t> zero_point) {
  quant::QParams q;
  q.scale.assign(scale.begin(), scale.end());
  q.zero_point = std::move(zero_point);
  q.channel_axis =
      spec.granularity == quant::TensorSpec::Granularity::per_channel ? spec.channel_axis : -1;
  q.type = spec.type;
  q.quant_min = spec.quant_min();
  q.quant_max = spec.quant_max();
  return q;
}

void check_module(GoldenCase& golden) {
  const auto& attrs = golden.attrs();
  const int axis = axis_of(attrs);
  auto spec = test::torch_spec(attrs.at("quant_min"), attrs.at("quant_max"),
                               is_symmetric(attrs.at("qscheme")), axis);
  if (attrs.value("pot_scale", false)) spec.scale = quant::TensorSpec::Scale::nearest_power_of_two;
  if (golden.op() == "FusedMovingAvgObsFakeQuantize") {
    spec.range_rule = quant::TensorSpec::RangeRule::fbgemm;
  }
  const int64_t channels = axis < 0 ? 1 : golden.array("x0").shape()[axis];
  auto observer = observer_of(attrs.value("observer", std::string()), attrs, axis, channels);
  const bool learnable = golden.op() == "mqbench.LearnableFakeQuantize";
  std::unique_ptr<quant::FakeQuantizer> quantizer;
  if (learnable) {
    quantizer = std::make_unique<quant::LearnableFakeQuantize>(spec, std::move(observer));
  } else {
    quantizer = std::make_unique<quant::FixedFakeQuantize>(spec, std::move(observer));
  }
  for (int b = 0; b < attrs.at("batches").get<int>(); ++b) {
    const std::string n = std::to_string(b);
    const Tensor& x = golden.array("x" + n);
    const Tensor& dy = golden.array("gy" + n);
    if (b < attrs.at("observer_disabled_from").get<int>()) quantizer->observe(x);
    const auto forward = quantizer->forward(x);
    golden.compare("y" + n, forward.real);
    golden.compare("gx" + n, quantizer->backward(dy, x, forward));
    const quant::QParams qparams = quantizer->qparams();
    golden.compare("scale" + n, floats(qparams.scale));
    golden.compare("zp" + n, integers(qparams.zero_point));
    if (!learnable) continue;
    const auto gradient = quant::range_gradient(
        dy, x, forward, qparams,
        static_cast<quant::LearnableFakeQuantize&>(*quantizer).gradient_factor(x.numel()));
    golden.compare("g_scale" + n, floats(gradient.scale));
    golden.compare("g_zero_point" + n, floats(gradient.zero_point));
  }
  golden.finish();
}

}  // namespace

TEST_CASE("goldens: MinMax and MovingAverage observers, per tensor and per channel") {
  for (GoldenCase& golden :
       test::golden_cases({"MinMaxObserver", "MovingAverageMinMaxObserver",
                           "PerChannelMinMaxObserver", "MovingAveragePerChannelMinMaxObserver",
                           "mqbench.MinMaxObserver", "mqbench.EMAMinMaxObserver"})) {
    check_observer(golden);
  }
}

TEST_CASE("goldens: fake_quantize per tensor and per channel") {
  for (GoldenCase& golden : test::golden_cases(
           {"fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine"})) {
    const auto& attrs = golden.attrs();
    const bool per_tensor = attrs.contains("scale");
    const auto spec = test::torch_spec(attrs.at("quant_min"), attrs.at("quant_max"), false,
                                       per_tensor ? -1 : attrs.at("axis").get<int>());
    std::vector<float> scale;
    std::vector<int64_t> zero_point;
    if (per_tensor) {
      scale = {attrs.at("scale").get<float>()};
      zero_point = {attrs.at("zero_point").get<int64_t>()};
    } else {
      for (const float s : golden.array("scale").values<float>()) scale.push_back(s);
      for (int64_t i = 0; i < golden.array("zero_point").numel(); ++i) {
        zero_point.push_back(golden.array("zero_point").int_at(i));
      }
    }
    const auto forward =
        quant::fake_quantize(golden.array("x"), qparams_of(spec, scale, zero_point), spec);
    golden.compare("y", forward.real);
    golden.compare("gx", quant::straight_through(golden.array("gy"), forward.inside));
    golden.finish();
  }
}

TEST_CASE("goldens: learnable fake_quantize per tensor and per channel") {
  for (GoldenCase& golden : test::golden_cases({"fake_quantize_learnable_per_tensor_affine",
                                                "fake_quantize_learnable_per_channel_affine"})) {
    const auto& attrs = golden.attrs();
    const bool per_tensor = !attrs.contains("axis");
    const auto spec = test::torch_spec(attrs.at("quant_min"), attrs.at("quant_max"), false,
                                       per_tensor ? -1 : attrs.at("axis").get<int>());
    std::vector<int64_t> forward_zero, backward_zero;
    for (const float z : golden.array("zero_point").values<float>()) {
      const float clamped =
          std::clamp(z, static_cast<float>(spec.quant_min()), static_cast<float>(spec.quant_max()));
      forward_zero.push_back(
          static_cast<int64_t>(sim::round_real(sim::Rounding::half_even, clamped)));
      // PyTorch's per-tensor backward rounds the zero point half up, its forward half to even.
      backward_zero.push_back(per_tensor ? static_cast<int64_t>(std::floor(clamped + 0.5f))
                                         : forward_zero.back());
    }
    const auto scale = golden.array("scale").values<float>();
    const Tensor& x = golden.array("x");
    const Tensor& dy = golden.array("gy");
    golden.compare("y", quant::fake_quantize(x, qparams_of(spec, scale, forward_zero), spec).real);
    const auto qparams = qparams_of(spec, scale, backward_zero);
    auto backward_spec = spec;  // and adds it before rounding, in one fused operation
    if (per_tensor)
      backward_spec.zero_point_add = quant::TensorSpec::ZeroPointAdd::before_rounding_fused;
    const auto forward = quant::fake_quantize(x, qparams, backward_spec);
    golden.compare("gx", quant::straight_through(dy, forward.inside));
    const auto gradient =
        quant::range_gradient(dy, x, forward, qparams, attrs.at("grad_factor").get<double>());
    golden.compare("gscale", floats(gradient.scale));
    golden.compare("gzero_point", floats(gradient.zero_point));
    golden.finish();
  }
}

TEST_CASE("goldens: FakeQuantize modules of PyTorch and MQBench") {
  for (GoldenCase& golden :
       test::golden_cases({"FakeQuantize", "FusedMovingAvgObsFakeQuantize",
                           "mqbench.FixedFakeQuantize", "mqbench.LearnableFakeQuantize"})) {
    if (golden.attrs().value("observer", std::string()) == "LSQObserver") {
      MESSAGE("unsupported: ", golden.id(), " (LSQObserver)");
      continue;
    }
    check_module(golden);
  }
}
