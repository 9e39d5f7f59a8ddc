// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "fused/conv2d_op.h"
#include "fused/conv_transpose2d_op.h"
#include "fused/matmul_op.h"
#include "fused/nn/relu.h"
#include "fused/qat_fused_linear.h"
#include "quant/fake_quantize/fixed.h"
#include "quant/fake_quantize/learnable.h"
#include "quant/observers/min_max.h"
#include "quant/observers/moving_average_min_max.h"
#include "tests/fused/golden_case.h"

using namespace facsim;
using namespace facsim::fused;
using test::GoldenCase;

namespace {

constexpr double kAveraging = 0.01;

/// The weight quantizers of the manifest, by its words.
QConfig::Maker weight_maker(const std::string& word) {
  using quant::make_observer;
  const bool per_channel = word.starts_with("pc") || word.starts_with("learnable");
  const int axis = per_channel ? 0 : -1;
  if (word.starts_with("learnable")) {
    const bool int4 = word.find("[-8,7]") != std::string::npos;
    const auto spec =
        int4 ? test::torch_spec(-8, 7, true, 0) : test::torch_spec(-128, 127, true, 0);
    return [spec](int64_t channels) {
      return std::make_unique<quant::LearnableFakeQuantize>(
          spec, std::make_unique<quant::MinMaxObserver>(0, channels),
          quant::LearnableFakeQuantize::Count::whole_tensor);
    };
  }
  const std::string bits = word.substr(2);
  quant::TensorSpec spec;
  if (bits == "4") {
    spec = test::torch_spec(-8, 7, true, axis);
  } else if (bits == "8u") {
    spec = test::torch_spec(0, 255, false, axis);
  } else if (bits == "8n" || bits == "8mm") {
    spec = test::torch_spec(-127, 127, true, axis);
  } else {
    REQUIRE(bits == "8");
    spec = test::torch_spec(-128, 127, true, axis);
  }
  const bool running = bits == "8n" || bits == "8mm";
  return [=](int64_t channels) -> std::unique_ptr<quant::FakeQuantizer> {
    const int64_t scales = per_channel ? channels : 1;
    std::unique_ptr<quant::Observer> observer;
    if (running) {
      observer = std::make_unique<quant::MinMaxObserver>(axis, scales);
    } else {
      observer = std::make_unique<quant::MovingAverageMinMaxObserver>(axis, scales, kAveraging);
    }
    return std::make_unique<quant::FixedFakeQuantize>(spec, std::move(observer));
  };
}

std::array<int64_t, 2> pair(const nlohmann::json& j) { return {j.at(0), j.at(1)}; }

bool is_transposed(const GoldenCase& golden) {
  return golden.op().find("ConvTranspose") != std::string::npos;
}

/// PyTorch's weights of a transposed convolution, [IC, OC / groups, KH, KW], beside ours,
/// [OC, KH, KW, IC / groups]: copies every element one way or the other.
enum class Direction { to_ours, to_torch };
Tensor transposed_weights(const Tensor& from, const GoldenCase& golden, Direction direction) {
  const auto& a = golden.attrs();
  const int64_t groups = a.at("groups"), kh = a.at("kernel_size").at(0),
                kw = a.at("kernel_size").at(1);
  const int64_t in = a.at("in_channels").get<int64_t>() / groups,
                out = a.at("out_channels").get<int64_t>() / groups;
  const bool to_ours = direction == Direction::to_ours;
  Tensor result(DType::float32,
                to_ours ? Shape{groups * out, kh, kw, in} : Shape{groups * in, out, kh, kw});
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < in; ++i) {
        for (int64_t t = 0; t < kh * kw; ++t) {
          const int64_t ours = ((g * out + o) * kh * kw + t) * in + i;
          const int64_t torch = ((g * in + i) * out + o) * kh * kw + t;
          result.data<float>()[to_ours ? ours : torch] = from.data<float>()[to_ours ? torch : ours];
        }
      }
    }
  }
  return result;
}

/// A weight-shaped tensor as the golden arrays have it.
Tensor torch_weights(const Tensor& ours, const GoldenCase& golden) {
  return is_transposed(golden) ? transposed_weights(ours, golden, Direction::to_torch)
                               : nchw_from_nhwc(ours);
}

void load(Tensor& target, const Tensor& from) {
  const Tensor inside = nhwc_from_nchw(from);
  REQUIRE(inside.numel() == target.numel());
  if (target.dtype() == inside.dtype()) {
    std::memcpy(target.raw(), inside.raw(), inside.bytes());
    return;
  }
  for (int64_t i = 0; i < inside.numel(); ++i) target.set_int(i, inside.int_at(i));
}

LinearParts parts_of(const GoldenCase& golden) {
  const auto& a = golden.attrs();
  std::shared_ptr<const LinearOp> op;
  if (a.contains("in_features")) {
    op = std::make_shared<MatmulOp>(a.at("in_features"), a.at("out_features"));
  } else if (is_transposed(golden)) {
    op = std::make_shared<ConvTranspose2dOp>(ConvTranspose2dGeometry{
        a.at("in_channels"), a.at("out_channels"), pair(a.at("kernel_size")), pair(a.at("stride")),
        pair(a.at("padding")), pair(a.at("output_padding")), pair(a.at("dilation")),
        a.at("groups")});
  } else {
    const bool reflect = a.value("padding_mode", "zeros") == "reflect";
    op = std::make_shared<Conv2dOp>(
        Conv2dGeometry{a.at("in_channels"), a.at("out_channels"), pair(a.at("kernel_size")),
                       pair(a.at("stride")), pair(a.at("padding")), pair(a.at("dilation")),
                       a.at("groups"), reflect ? PaddingMode::reflect : PaddingMode::zeros});
  }
  LinearParts parts(
      op, a.at("bias").get<bool>() ? LinearParts::Bias::present : LinearParts::Bias::absent);
  const Tensor& weight = golden.array("init_weight");
  if (is_transposed(golden)) {
    parts.weight.value = transposed_weights(weight, golden, Direction::to_ours);
  } else {
    load(parts.weight.value, weight);
  }
  if (parts.bias) load(parts.bias->value, golden.array("init_bias"));
  if (golden.has("init_gamma")) {
    std::optional<float> momentum;
    if (!a.at("momentum").is_null()) momentum = a.at("momentum").get<float>();
    parts.bn.emplace(op->out_channels(), a.at("eps").get<float>(), momentum, "bn.");
    load(parts.bn->weight.value, golden.array("init_gamma"));
    load(parts.bn->bias.value, golden.array("init_beta"));
    load(parts.bn->running_mean.value, golden.array("init_rm"));
    load(parts.bn->running_var.value, golden.array("init_rv"));
    load(parts.bn->num_batches_tracked.value, golden.array("init_nbt"));
    parts.bn->frozen =
        a.value("freeze_bn", false) || golden.op().find("Freezebn") != std::string::npos;
  }
  if (a.at("relu").get<bool>()) parts.activation = activation_of<nn::ReLUForm>({});
  return parts;
}

quant::QParams given_qparams(const quant::FakeQuantizer& quantizer, const Tensor& scale,
                             const Tensor* zero_point) {
  const quant::TensorSpec& spec = quantizer.spec();
  quant::QParams q;
  q.type = spec.type;
  q.quant_min = spec.quant_min();
  q.quant_max = spec.quant_max();
  q.channel_axis = quantizer.observer().channel_axis();
  q.scale.assign(scale.values<float>().begin(), scale.values<float>().end());
  q.zero_point.assign(q.scale.size(), 0);
  for (size_t c = 0; zero_point != nullptr && c < q.scale.size(); ++c) {
    q.zero_point[c] = zero_point->int_at(static_cast<int64_t>(c));
  }
  return q;
}

/// torch.optim.SGD: v = momentum * v + (g + weight_decay * p), the first v = g; p -= lr * v.
class Sgd {
 public:
  explicit Sgd(const nlohmann::json& options)
      : lr_(options.at("lr")),
        momentum_(options.at("momentum")),
        weight_decay_(options.value("weight_decay", 0.0f)) {}

  void step(const std::vector<Parameter*>& parameters) {
    const bool first = velocity_.empty();
    velocity_.resize(parameters.size());
    for (size_t k = 0; k < parameters.size(); ++k) {
      const auto g = parameters[k]->grad.values<float>();
      const auto p = parameters[k]->value.values<float>();
      velocity_[k].resize(p.size());
      for (size_t i = 0; i < p.size(); ++i) {
        const float gradient = g[i] + weight_decay_ * p[i];
        velocity_[k][i] = first ? gradient : momentum_ * velocity_[k][i] + gradient;
        p[i] -= lr_ * velocity_[k][i];
      }
    }
  }

 private:
  float lr_, momentum_, weight_decay_;
  std::vector<std::vector<float>> velocity_;
};

void check_module(GoldenCase& golden) {
  const auto& a = golden.attrs();
  QConfig qconfig;
  qconfig.weight = weight_maker(a.at("weight_fq"));
  QatFusedLinear module(golden.op(), parts_of(golden), qconfig);
  LinearParts& parts = module.parts();
  quant::FakeQuantizer& weight = module.weight_fake_quant();
  const bool observer = a.value("observer_enabled", true);
  const bool learned = !weight.learned().empty();
  if (learned) {
    weight.set_qparams(given_qparams(weight, golden.array("init_wscale"), nullptr));
  } else if (!observer) {
    weight.set_qparams(given_qparams(weight, golden.array("wscale0"), &golden.array("wzp0")));
  }
  Context context;
  context.mode = ForwardMode::fake_quantize;
  context.training = a.value("training", true);
  context.observe = observer && !learned;
  std::optional<Sgd> sgd;
  if (a.contains("sgd") && !a.at("sgd").is_null()) sgd.emplace(a.at("sgd"));
  const auto input = [&](const std::string& name) { return Value::from_nchw(golden.array(name)); };
  const int steps = a.at("steps");
  for (int s = 0; s < steps; ++s) {
    const std::string n = std::to_string(s);
    const std::vector<Value> x{input("x" + n)};
    golden.compare("y" + n, module.forward(x, context).to_nchw());
    const Tensor dx =
        module.backward(nhwc_from_nchw(golden.array("gy" + n)), context, true).front();
    golden.compare("gx" + n, nchw_from_nhwc(dx));
    golden.compare("gweight" + n, torch_weights(parts.weight.grad, golden));
    golden.compare("wscaled" + n, torch_weights(module.folded_weight().scaled, golden));
    golden.compare("wfq" + n, torch_weights(module.folded_weight().quantized.real, golden));
    const quant::QParams& used = module.folded_weight().qparams;
    golden.compare("wscale" + n,
                   Tensor::from<float>({static_cast<int64_t>(used.scale.size())}, used.scale));
    golden.compare("wzp" + n, Tensor::from<int64_t>({static_cast<int64_t>(used.zero_point.size())},
                                                    used.zero_point));
    const bool noise = parts.bias && parts.bn && parts.bn->uses_batch(context);
    if (noise) {
      // In front of the batch's own mean the bias has gradient 0, which we return. What PyTorch
      // stored is the rounding noise of its sum, and its optimizer followed it: so must ours to
      // compare on.
      for (const float g : parts.bias->grad.values<float>()) REQUIRE(g == 0.0f);
      for (const float g : golden.array("gbias" + n).values<float>()) REQUIRE(std::fabs(g) < 1e-3f);
      parts.bias->grad = golden.array("gbias" + n).clone();
    } else if (parts.bias) {
      golden.compare("gbias" + n, parts.bias->grad);
    }
    if (parts.bn) {
      golden.compare("ggamma" + n, parts.bn->weight.grad);
      golden.compare("gbeta" + n, parts.bn->bias.grad);
      golden.compare("rm" + n, parts.bn->running_mean.value);
      golden.compare("rv" + n, parts.bn->running_var.value);
      golden.compare("nbt" + n, parts.bn->num_batches_tracked.value);
    }
    if (learned) golden.compare("gwscale" + n, weight.learned().front().grad);
    if (sgd) sgd->step(module.parameters());
    golden.compare("pweight" + n, torch_weights(parts.weight.value, golden));
    if (parts.bias) golden.compare("pbias" + n, parts.bias->value);
    if (parts.bn) {
      golden.compare("pgamma" + n, parts.bn->weight.value);
      golden.compare("pbeta" + n, parts.bn->bias.value);
    }
    if (learned) golden.compare("pwscale" + n, weight.learned().front().value);
  }
  Context eval = context;
  eval.training = false;
  eval.observe = false;
  const std::vector<Value> x{input("x0")};
  golden.compare("y_eval", module.forward(x, eval).to_nchw());
  golden.finish();
}

void check_all(const std::vector<std::string>& ops) {
  for (GoldenCase& golden : test::golden_cases(ops)) {
    if (golden.skips_everything()) {
      MESSAGE("skipped by the manifest: ", golden.id());
      continue;
    }
    const auto& a = golden.attrs();
    if (a.value("path", "approximate") == "slow" && !a.value("freeze_bn", false)) {
      // Statistics of a second, float convolution: not one of our forward modes.
      MESSAGE("unsupported: ", golden.id(), " (slow path with batch statistics)");
      continue;
    }
    if (a.contains("bias_fq")) {
      MESSAGE("unsupported: ", golden.id(), " (quantized bias inside the fake_quantize forward)");
      continue;
    }
    check_module(golden);
  }
}

}  // namespace

TEST_CASE("goldens: nniqat.ConvBn2d and ConvBnReLU2d") {
  check_all({"nniqat.ConvBn2d", "nniqat.ConvBnReLU2d"});
}
TEST_CASE("goldens: nniqat.ConvReLU2d and nnqat.Conv2d") {
  check_all({"nniqat.ConvReLU2d", "nnqat.Conv2d"});
}
TEST_CASE("goldens: nniqat.LinearBn1d, LinearReLU and nnqat.Linear") {
  check_all({"nniqat.LinearBn1d", "nniqat.LinearReLU", "nnqat.Linear"});
}
TEST_CASE("goldens: MQBench's ConvTransposeBn2d and ConvTransposeBnReLU2d") {
  check_all({"hand_ConvTransposeBn2d", "hand_ConvTransposeBnReLU2d"});
}
TEST_CASE("goldens: MQBench's modules with frozen batch norm") {
  check_all({"qnniqat.ConvFreezebn2d", "qnniqat.ConvFreezebnReLU2d", "qnniqat.ConvBn2d",
             "qnniqat.ConvBnReLU2d"});
}
