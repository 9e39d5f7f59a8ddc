// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "backends/tflite/tflite_node-internal.h"

namespace facsim::backends::detail {

namespace {

struct TfliteOpLine {
  tflite::BuiltinOperator code;
  TfliteOpReader reader;
};

using enum tflite::BuiltinOperator;
/// Every operator that is read, and by what.
constexpr auto kTfliteOps = std::to_array<TfliteOpLine>({
    {CONV_2D, read_tflite_conv_2d},
    {DEPTHWISE_CONV_2D, read_tflite_depthwise_conv_2d},
    {TRANSPOSE_CONV, read_tflite_transpose_conv},
    {FULLY_CONNECTED, read_tflite_fully_connected},
    {BATCH_MATMUL, read_tflite_batch_matmul},
    {ADD, read_tflite_add},
    {SUB, read_tflite_sub},
    {MUL, read_tflite_mul},
    {MINIMUM, read_tflite_minimum},
    {MAXIMUM, read_tflite_maximum},
    {PRELU, read_tflite_prelu},
    {AVERAGE_POOL_2D, read_tflite_average_pool_2d},
    {MAX_POOL_2D, read_tflite_max_pool_2d},
    {MEAN, read_tflite_mean},
    {SOFTMAX, read_tflite_softmax},
    {LOGISTIC, read_tflite_logistic},
    {TANH, read_tflite_tanh},
    {HARD_SWISH, read_tflite_hard_swish},
    {RELU, read_tflite_relu},
    {RELU6, read_tflite_relu6},
    {RELU_N1_TO_1, read_tflite_relu_n1_to_1},
    {LEAKY_RELU, read_tflite_leaky_relu},
    {QUANTIZE, read_tflite_quantize},
    {DEQUANTIZE, read_tflite_dequantize},
    {RESHAPE, read_tflite_reshape},
    {SQUEEZE, read_tflite_reshape},
    {EXPAND_DIMS, read_tflite_reshape},
    {PAD, read_tflite_pad},
    {PADV2, read_tflite_pad},
    {CONCATENATION, read_tflite_concatenation},
    {SLICE, read_tflite_slice},
    {STRIDED_SLICE, read_tflite_strided_slice},
    {SPLIT, read_tflite_split},
    {SPLIT_V, read_tflite_split_v},
    {PACK, read_tflite_pack},
    {UNPACK, read_tflite_unpack},
    {TRANSPOSE, read_tflite_transpose},
    {RESIZE_BILINEAR, read_tflite_resize},
    {RESIZE_NEAREST_NEIGHBOR, read_tflite_resize},
    {SVDF, read_tflite_svdf},
    {UNIDIRECTIONAL_SEQUENCE_LSTM, read_tflite_unidirectional_sequence_lstm},
});

}  // namespace

TfliteOpReader find_tflite_op(tflite::BuiltinOperator code) {
  const auto found = std::find_if(kTfliteOps.begin(), kTfliteOps.end(),
                                  [&](const TfliteOpLine& line) { return line.code == code; });
  return found == kTfliteOps.end() ? nullptr : found->reader;
}

}  // namespace facsim::backends::detail
