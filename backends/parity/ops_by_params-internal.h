// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/add.h"
#include "sim/ops/add_fma.h"
#include "sim/ops/avg_pool2d.h"
#include "sim/ops/avg_pool2d_dequantized.h"
#include "sim/ops/batch_matmul.h"
#include "sim/ops/concat.h"
#include "sim/ops/constant_inputs.h"
#include "sim/ops/conv2d.h"
#include "sim/ops/dynamic_quantize.h"
#include "sim/ops/hard_swish.h"
#include "sim/ops/leaky_relu.h"
#include "sim/ops/linear.h"
#include "sim/ops/log2_code.h"
#include "sim/ops/lstm.h"
#include "sim/ops/lut.h"
#include "sim/ops/map.h"
#include "sim/ops/map_blocked.h"
#include "sim/ops/max_pool2d.h"
#include "sim/ops/mean.h"
#include "sim/ops/min_max.h"
#include "sim/ops/mul.h"
#include "sim/ops/multi_threshold.h"
#include "sim/ops/pad.h"
#include "sim/ops/prelu.h"
#include "sim/ops/reshape.h"
#include "sim/ops/resize.h"
#include "sim/ops/sigmoid.h"
#include "sim/ops/slice.h"
#include "sim/ops/softmax.h"
#include "sim/ops/softmax_real.h"
#include "sim/ops/softmax_scaled.h"
#include "sim/ops/svdf.h"
#include "sim/ops/transpose.h"
#include "sim/ops/transpose_conv2d.h"
#include "sim/ops/unary_real.h"

namespace facsim::backends::detail {

template <class... Ops>
struct OpTypes {};

/// Every op that says its parameters; a new op of ops.def belongs here (op_equality_test).
using OpsWithParams =
    OpTypes<sim::Add, sim::AddFma, sim::AvgPool2d, sim::AvgPool2dDequantized, sim::BatchMatmul,
            sim::Concat, sim::Conv2d, sim::HardSwish, sim::LeakyRelu, sim::Log2Map, sim::Lstm,
            sim::Lut, sim::Map, sim::MapBlocked, sim::MaxPool2d, sim::Mean, sim::MinMax, sim::Mul,
            sim::MultiThreshold, sim::Pad, sim::Prelu, sim::Reshape, sim::Resize, sim::Sigmoid,
            sim::Slice, sim::Softmax, sim::SoftmaxReal, sim::SoftmaxScaled, sim::Svdf,
            sim::Transpose, sim::TransposeConv2d, sim::UnaryReal>;

/// visitor(op.params()) of the op's own class, of a linear layer as a convolution. False if the op
/// is of none of these classes.
template <class Visitor>
bool visit_params(const sim::Op& op, Visitor&& visitor) {
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) {
    visitor(linear->conv().params());
    return true;
  }
  const auto visit = [&]<class T>(const T* typed) {
    if (typed != nullptr) visitor(typed->params());
    return typed != nullptr;
  };
  return [&]<class... Ops>(OpTypes<Ops...>) {
    return (visit(dynamic_cast<const Ops*>(&op)) || ...);
  }(OpsWithParams{});
}

}  // namespace facsim::backends::detail
