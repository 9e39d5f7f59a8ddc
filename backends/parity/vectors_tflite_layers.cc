// SPDX-License-Identifier: Apache-2.0
// conv2d, depthwise_conv2d and fully_connected as TFLite, TFLite Micro and CMSIS-NN record them:
// NHWC data, weights OHWI, 1HWC or OI, a multiplier and shift per tensor or channel.
#include <algorithm>
#include <array>

#include "backends/graph/permute.h"
#include "backends/lower/tensor_ops.h"
#include "backends/parity/vectors_tflite-internal.h"

namespace facsim::backends::detail {

int64_t whole_right_shift(int64_t tflite_shift) {
  if (tflite_shift < -64 || tflite_shift > 64) {
    throw Error({ErrorCode::bad_value, "shift", std::to_string(tflite_shift), "-64..64", ""});
  }
  return 31 - tflite_shift;
}

GivenMultiplier given_multiplier(std::vector<int64_t> multiplier, std::vector<int64_t> tflite_shift,
                                 int64_t zero_point, const ClampBounds& clamp,
                                 sim::IntType output) {
  GivenMultiplier given;
  given.multiplier = std::move(multiplier);
  given.shift = std::move(tflite_shift);
  for (int64_t& shift : given.shift) shift = whole_right_shift(shift);
  given.zero_point = zero_point;
  given.clamp = clamp;
  given.output = output;
  return given;
}

namespace {

/// TFLite ComputePaddingWithOffset: same puts the smaller half before the image, valid nothing.
void check_padding_word(const CaseData& data, const sim::Window2d& window) {
  const std::string_view word = data.word("padding", {"same", "SAME", "valid", "VALID"});
  if (word.empty()) return;
  const bool is_valid = word == "valid" || word == "VALID";
  const auto& pad = window.padding;
  const auto agrees = [&](int64_t before, int64_t after) {
    return is_valid ? before == 0 && after == 0 : before == (before + after) / 2;
  };
  if (agrees(pad.top, pad.bottom) && agrees(pad.left, pad.right)) return;
  data.fail("padding", "\"" + std::string(word) + "\"",
            "the word for " + std::to_string(pad.top) + " rows and " + std::to_string(pad.left) +
                " columns before the image, " + std::to_string(pad.bottom) + " and " +
                std::to_string(pad.right) + " after it");
}

}  // namespace

sim::Window2d read_window(const CaseData& data, Pair kernel, const Shape& input,
                          const Shape& output) {
  if (input.rank() != 4 || output.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "", to_string(input) + " to " + to_string(output),
                 "rank 4 (N, H, W, C)", ""});
  }
  sim::Window2d window;
  window.kernel = kernel;
  window.stride = data.steps("strides");
  window.dilation = data.steps("dilations", Pair{1, 1});
  const auto rest = [&](int axis, int64_t before) {
    const auto i = static_cast<size_t>(axis - 1);
    const int64_t reach = window.dilation[i] * (window.kernel[i] - 1) + 1;
    return std::max<int64_t>(0,
                             (output[axis] - 1) * window.stride[i] + reach - input[axis] - before);
  };
  const int64_t top = data.integer("pad_top");
  const int64_t left = data.integer("pad_left");
  window.padding = {top, left, rest(1, top), rest(2, left)};
  check_padding_word(data, window);
  return window;
}

Activation read_activation(const CaseData& data) {
  constexpr std::array<Activation, 4> kCodes{Activation::none, Activation::relu,
                                             Activation::relu_n1_to_1, Activation::relu6};
  const int64_t code = data.integer("fused_activation", 0);
  if (code < 0 || code >= static_cast<int64_t>(kCodes.size())) {
    data.fail("fused_activation", std::to_string(code), "0..3");
  }
  return kCodes[static_cast<size_t>(code)];
}

quant::QParams tensor_qparams(float scale, int64_t zero_point, sim::IntType type) {
  return make_qparams({scale}, {zero_point}, type, -1);
}

ClampBounds read_clamp(const CaseData& data) {
  const ClampBounds clamp{data.integer("act_min"), data.integer("act_max")};
  if (clamp.min > clamp.max) {
    data.fail("act_min", std::to_string(clamp.min), "at most act_max");
  }
  return clamp;
}

namespace {

/// A layer with unit scales: what is the same for given and derived multipliers.
struct Layer {
  std::string_view op;  ///< of the profile's rules
  Tensor weights;       ///< OHWI or [O, I]
  quant::QParams input, weight, output;
  LayerBias bias;
  GivenMultiplier given;
};

Layer read_layer(const CaseData& data, std::string_view op, std::string_view weight_layout,
                 Tensor weights) {
  Layer layer;
  layer.op = op;
  data.require_layout("data_layout", "NHWC");
  data.require_layout("weight_layout", weight_layout);
  const Tensor& input = data.array("input");
  layer.input = tensor_qparams(1.0f, data.integer("input_zero_point", 0), code_type(input));
  sim::IntType weight_type = code_type(weights);
  const int64_t weight_bits = data.integer("weight_bits", weight_type.bits);
  if (weight_bits < 2 || weight_bits > weight_type.bits) {
    data.fail("weight_bits", std::to_string(weight_bits), "2.." + std::to_string(weight_type.bits));
  }
  weight_type.bits = static_cast<int>(weight_bits);
  layer.weight = tensor_qparams(1.0f, data.integer("weight_zero_point", 0), weight_type);
  layer.output =
      tensor_qparams(1.0f, data.integer("output_zero_point", 0), code_type(data.golden()));
  if (const Tensor* bias = data.find({"bias"})) {
    layer.bias.codes = *bias;
  } else if (code_type(input).bits > 8 && data.has("acc_bits") && data.integer("acc_bits") == 32) {
    // Without a bias the case says in acc_bits which type it would have had (CMSIS-NN's
    // is_int32_bias), and with it how sums are taken.
    layer.bias.codes = Tensor(DType::int32, Shape{weights.shape()[0]});
  }
  layer.given =
      given_multiplier(integers_of(data.array("multiplier")), integers_of(data.array("shift")),
                       layer.output.zero_point.front(), read_clamp(data), layer.output.type);
  layer.weights = std::move(weights);
  return layer;
}

const OpRules& rules_of(const CaseRun& run, const Layer& layer) {
  std::optional<DType> bias;
  if (!layer.bias.codes.empty()) bias = layer.bias.codes.dtype();
  return run.profile.rules_for(layer.op, layer.input.type, bias, layer.weight.type);
}

bool has_scales(const CaseData& data) {
  return data.has("input_scale") && data.has("output_scale") && data.find({"weight_scales"});
}

/// Puts the case's scales in place of the unit ones.
void set_scales(const CaseData& data, Layer& layer) {
  layer.input.scale = {data.real("input_scale")};
  layer.output.scale = {data.real("output_scale")};
  layer.weight = make_qparams(reals_of(data.array("weight_scales")), layer.weight.zero_point,
                              layer.weight.type, 0);
  layer.bias.qparams.scale.clear();
  for (const float scale : layer.weight.scale) {
    layer.bias.qparams.scale.push_back(layer.input.scale.front() * scale);
  }
}

std::vector<Computed> convolution(const CaseRun& run, std::string_view op, Tensor weights,
                                  int64_t groups) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  const std::string_view layout = op == "conv2d" ? "OHWI" : "1HWC";
  Layer layer = read_layer(data, op, layout, std::move(weights));
  const Shape& w = layer.weights.shape();
  const sim::Window2d window =
      read_window(data, {w[1], w[2]}, input.shape(), data.golden().shape());
  const auto lower = [&](Activation activation) {
    return lower_conv2d(run.profile, window, groups, layer.input, layer.weights, layer.weight,
                        layer.bias, layer.output, activation);
  };
  const auto compute = [&](sim::Conv2dParams params) {
    return execute(sim::Conv2d(std::move(params)), {&input}, data.golden().shape(), run.context);
  };
  return given_and_derived(
      has_scales(data),
      [&] {
        sim::Conv2dParams params = lower(Activation::none);
        params.requantize = make_requantizer(rules_of(run, layer), layer.given);
        return compute(std::move(params));
      },
      [&] {
        set_scales(data, layer);
        return compute(lower(read_activation(data)));
      });
}

std::vector<Computed> conv2d(const CaseRun& run) {
  const Tensor& weights = run.data.array("weights");
  return convolution(run, "conv2d", weights, run.data.integer("groups", 1));
}

std::vector<Computed> depthwise_conv2d(const CaseRun& run) {
  const Shape& input = run.data.array("input").shape();
  if (input.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "input", to_string(input), "(N, H, W, C)", ""});
  }
  return convolution(run, "depthwise_conv2d", permuted(run.data.array("weights"), kOneHwcToOhwi),
                     input[3]);
}

/// Any leading axes of the input are rows.
std::vector<Computed> fully_connected(const CaseRun& run) {
  const CaseData& data = run.data;
  Layer layer = read_layer(data, "linear", "OI", data.array("weights"));
  const Shape& w = layer.weights.shape();
  const Tensor& input = data.array("input");
  if (w.rank() != 2 || w[1] < 1 || input.numel() % w[1] != 0) {
    throw Error({ErrorCode::shape_mismatch, "weights",
                 to_string(w) + " on input " + to_string(input.shape()), "(O, I)", ""});
  }
  const Tensor rows = input.reshaped({input.numel() / w[1], w[1]});
  const auto lower = [&](Activation activation) {
    return lower_linear(run.profile, layer.input, layer.weights, layer.weight, layer.bias,
                        layer.output, activation);
  };
  const auto compute = [&](sim::LinearParams params) {
    const Tensor output =
        execute(sim::Linear(std::move(params)), {&rows}, {rows.shape()[0], w[0]}, run.context);
    if (output.numel() != data.golden().numel()) {
      throw Error({ErrorCode::shape_mismatch, "output", to_string(output.shape()),
                   to_string(data.golden().shape()), ""});
    }
    return output.reshaped(data.golden().shape());
  };
  return given_and_derived(
      has_scales(data),
      [&] {
        sim::LinearParams params = lower(Activation::none);
        params.requantize = make_requantizer(rules_of(run, layer), layer.given);
        return compute(std::move(params));
      },
      [&] {
        set_scales(data, layer);
        return compute(lower(read_activation(data)));
      });
}

/// Bottom and right padding, or rows and columns added there, follow from the output.
std::vector<Computed> transpose_conv2d(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  const Shape& in = input.shape();
  const Shape& out = data.golden().shape();
  Layer layer = read_layer(data, "transpose_conv2d", "OHWI", data.array("weights"));
  const Shape& w = layer.weights.shape();
  if (in.rank() != 4 || out.rank() != 4 || w.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "", to_string(in) + " to " + to_string(out),
                 "rank 4 (N, H, W, C)", ""});
  }
  sim::Window2d window;
  window.kernel = {w[1], w[2]};
  window.stride = data.steps("strides");
  window.dilation = data.steps("dilations", Pair{1, 1});
  const Pair before{data.integer("pad_top"), data.integer("pad_left")};
  Pair after{}, output_padding{};
  constexpr int64_t kLargest = int64_t{1} << 24;  // so that no product below leaves 64 bits
  for (size_t axis = 0; axis < 2; ++axis) {
    const int spatial = static_cast<int>(axis) + 1;
    if (before[axis] < 0 || before[axis] > kLargest) {
      data.fail(axis == 0 ? "pad_top" : "pad_left", std::to_string(before[axis]),
                "0.." + std::to_string(kLargest));
    }
    if (in[spatial] > kLargest) {
      throw Error({ErrorCode::shape_mismatch, "input", to_string(in),
                   "extents up to " + std::to_string(kLargest), ""});
    }
    const int64_t whole = (in[spatial] - 1) * window.stride[axis] +
                          (window.kernel[axis] - 1) * window.dilation[axis] + 1 - before[axis];
    after[axis] = std::max<int64_t>(0, whole - out[spatial]);
    output_padding[axis] = std::max<int64_t>(0, out[spatial] - whole);
  }
  window.padding = {before[0], before[1], after[0], after[1]};
  const auto lower = [&](Activation activation) {
    return lower_transpose_conv2d(run.profile, window, output_padding, data.integer("groups", 1),
                                  layer.input, layer.weights, layer.weight, layer.bias,
                                  layer.output, activation);
  };
  const auto compute = [&](sim::TransposeConv2dParams params) {
    return execute(sim::TransposeConv2d(std::move(params)), {&input}, out, run.context);
  };
  return given_and_derived(
      has_scales(data),
      [&] {
        sim::TransposeConv2dParams params = lower(Activation::none);
        params.layer.requantize = make_requantizer(rules_of(run, layer), layer.given);
        return compute(std::move(params));
      },
      [&] {
        set_scales(data, layer);
        return compute(lower(read_activation(data)));
      });
}

std::vector<Computed> batch_matmul(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& lhs = data.array("lhs");
  const Tensor& rhs = data.array("rhs");
  const int64_t zero_point = data.integer("output_zero_point", 0);
  const sim::IntType output = code_type(data.golden());
  sim::BatchMatmulParams params = lower_batch_matmul(
      run.profile, tensor_qparams(1.0f, data.integer("lhs_zero_point", 0), code_type(lhs)),
      tensor_qparams(1.0f, data.integer("rhs_zero_point", 0), code_type(rhs)),
      tensor_qparams(1.0f, zero_point, output), Activation::none);
  params.transpose_lhs = data.integer("adj_x", 0) != 0;
  params.transpose_rhs = data.integer("adj_y", 0) != 0;
  params.requantize = make_requantizer(
      run.profile.rules_for("batch_matmul", code_type(lhs)),
      given_multiplier(integers_of(data.array("multiplier")), integers_of(data.array("shift")),
                       zero_point, read_clamp(data), output));
  const sim::BatchMatmul op(std::move(params));
  return {{"", execute(op, {&lhs, &rhs}, data.golden().shape(), run.context)}};
}

constexpr std::array<AdapterEntry, 5> kTfliteLayers{{
    {"conv2d", conv2d},
    {"transpose_conv2d", transpose_conv2d},
    {"batch_matmul", batch_matmul},
    {"depthwise_conv2d", depthwise_conv2d},
    {"fully_connected", fully_connected},
}};

}  // namespace

std::span<const AdapterEntry> tflite_layer_adapters() { return kTfliteLayers; }

}  // namespace facsim::backends::detail
