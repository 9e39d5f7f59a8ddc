// SPDX-License-Identifier: Apache-2.0
#include "fused/integer_linear.h"

#include <algorithm>

#include "fused/kernels/channel_pass.h"
#include "sim/kernels/requantize.h"
#include "sim/ops/conv2d_range.h"

namespace facsim::fused {

namespace {

/// Accumulators of a block of rows with the bias added and the silent channels at 0.
void add_bias(const int64_t* acc, int64_t rows, const std::vector<int64_t>& bias,
              const std::vector<int64_t>& keep, int64_t* out) {
  const size_t channels = bias.size();
  for (int64_t r = 0; r < rows; ++r, acc += channels, out += channels) {
    for (size_t c = 0; c < channels; ++c) out[c] = (acc[c] & keep[c]) + bias[c];
  }
}
void add_bias(const int32_t* acc, int64_t rows, const std::vector<int32_t>& bias,
              const std::vector<int32_t>& keep, int32_t* out) {
  kernels::add_bias(rows, static_cast<int64_t>(bias.size()), acc, keep.data(), bias.data(), out);
}

template <class Acc>
void requantize_rows(const Tensor& values, const std::vector<int64_t>& bias,
                     const std::vector<bool>& silent, const sim::RequantizeKernel& kernel,
                     Tensor& codes, const Context& context) {
  const auto channels = static_cast<int64_t>(bias.size());
  const int64_t rows = values.numel() / channels;
  const int64_t block = std::max<int64_t>(1, 8192 / channels);
  const size_t code_bytes = size_of(codes.dtype());
  const bool plain =
      silent.empty() && std::all_of(bias.begin(), bias.end(), [](int64_t b) { return b == 0; });
  const std::vector<Acc> added(bias.begin(), bias.end());
  std::vector<Acc> keep(bias.size(), static_cast<Acc>(-1));
  for (size_t c = 0; c < silent.size(); ++c) keep[c] = silent[c] ? 0 : -1;
  sim::parallel_for(context.pool, (rows + block - 1) / block, [&](int64_t number) {
    const int64_t first = number * block;
    const int64_t count = std::min(block, rows - first);
    const Acc* acc = values.data<Acc>() + first * channels;
    static thread_local std::vector<Acc> biased;  // kept: no zeros to fill, no memory to ask for
    if (!plain) {
      biased.resize(std::max(biased.size(), static_cast<size_t>(count * channels)));
      add_bias(acc, count, added, keep, biased.data());
      acc = biased.data();
    }
    kernel.run(
        acc, channels, count, 0, channels,
        static_cast<std::byte*>(codes.raw()) + static_cast<size_t>(first * channels) * code_bytes,
        channels, context.isa, false);
  });
}

}  // namespace

sim::Conv2dParams accumulator_params(const LinearOp& op, const backends::OpRules& rules,
                                     const quant::QParams& input, const FoldedWeight& weight,
                                     Tensor bias) {
  op.integer_node();  // refuses what has no integer form
  sim::Conv2dParams params;
  params.window = op.window();
  params.groups = op.groups();
  params.input_type = input.type;
  params.weight_type = weight.qparams.type;
  params.input_zero_point = input.zero_point.front();
  params.weight_zero_point = weight.qparams.zero_point;
  params.padding_value = rules.padding_value(input.zero_point.front());
  params.accumulator = rules.accumulator;
  params.weights = op.accumulator_weights(weight.quantized.codes);
  params.bias = std::move(bias);
  return params;
}

Accumulators accumulate(const LinearOp& op, const sim::Conv2dParams& params, const Tensor& codes,
                        const Context& context) {
  const Shape out = op.output_shape(codes.shape());
  const Tensor input = op.accumulator_image(codes, params.input_zero_point);
  const auto extent = params.window.output_extent(input.shape()[1], input.shape()[2]);
  const Shape shape{input.shape()[0], extent[0], extent[1], op.out_channels()};
  Accumulators result;
  result.values = Tensor::uninitialized(sim::accumulator_dtype(params.accumulator), shape);
  sim::conv2d_accumulate(params, input, result.values, result.statistics,
                         {context.isa, context.pool, false});
  result.values = result.values.reshaped(out);
  return result;
}

bool accumulator_is_exact(const sim::Conv2dParams& params) {
  return sim::Conv2dRange(params).exact(params.accumulator);
}

Tensor exact_accumulators(const LinearOp& op, const sim::Conv2dParams& params, const Tensor& codes,
                          const Tensor& device_values, const Context& context) {
  sim::Conv2dParams wide = params;
  wide.accumulator = kExactAccumulator;
  if (params.accumulator.term) {  // the same unit and rounding, without the overflow
    wide.accumulator.term = params.accumulator.term;
    wide.accumulator.term->bits = 62;
  }
  const Tensor exact = accumulate(op, wide, codes, context).values;
  Tensor equal = Tensor::uninitialized(DType::uint8, exact.shape());
  for (int64_t i = 0; i < exact.numel(); ++i) {
    equal.data<uint8_t>()[i] = exact.data<int64_t>()[i] == device_values.int_at(i) ? 1 : 0;
  }
  return equal;
}

Tensor requantize(const Accumulators& accumulators, const Tensor& bias,
                  const std::vector<bool>& silent, const sim::Requantizer& requantizer,
                  const Context& context) {
  const sim::AccumulatorStatistics& s = accumulators.statistics;
  std::vector<int64_t> added(s.sum.size());
  int64_t low = 0, high = 0;
  for (size_t c = 0; c < added.size(); ++c) {
    if (!bias.empty()) added[c] = bias.int_at(static_cast<int64_t>(c));
    const bool quiet = !silent.empty() && silent[c];
    low = std::min(low, (quiet ? 0 : s.min[c]) + added[c]);
    high = std::max(high, (quiet ? 0 : s.max[c]) + added[c]);
  }
  const sim::RequantizeKernel kernel(requantizer, low, high);
  Tensor codes =
      Tensor::uninitialized(requantizer.output_type().storage(), accumulators.values.shape());
  const bool narrow = accumulators.values.dtype() == DType::int32;
  if (narrow && low >= INT32_MIN && high <= INT32_MAX) {
    requantize_rows<int32_t>(accumulators.values, added, silent, kernel, codes, context);
    return codes;
  }
  Tensor wide = accumulators.values;
  if (narrow) {
    wide = Tensor::uninitialized(DType::int64, accumulators.values.shape());
    std::copy_n(accumulators.values.data<int32_t>(), wide.numel(), wide.data<int64_t>());
  }
  requantize_rows<int64_t>(wide, added, silent, kernel, codes, context);
  return codes;
}

}  // namespace facsim::fused
