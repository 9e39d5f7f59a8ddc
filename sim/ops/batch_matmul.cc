// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/batch_matmul.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "sim/ops/broadcast-internal.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/strided_copy-internal.h"

namespace facsim::sim {

namespace {

struct MatrixExtents {
  int64_t rows, columns;
};

MatrixExtents matrix_extents(const Shape& shape, bool transposed) {
  const int64_t a = shape[shape.rank() - 2], b = shape[shape.rank() - 1];
  return transposed ? MatrixExtents{b, a} : MatrixExtents{a, b};
}

Shape leading_axes(const Shape& shape) {
  return Shape(std::vector<int64_t>(shape.extents().begin(), shape.extents().end() - 2));
}

/// Matrix `index` of a tensor as [rows, columns] codes; `turned`: the stored one transposed.
Tensor matrix_of(const Tensor& tensor, int64_t index, bool turned, ThreadPool* pool) {
  const Shape& s = tensor.shape();
  const int64_t rows = s[s.rank() - 2], columns = s[s.rank() - 1];
  const size_t element = size_of(tensor.dtype());
  const auto* from = static_cast<const std::byte*>(tensor.raw()) +
                     index * rows * columns * static_cast<int64_t>(element);
  Tensor out =
      Tensor::uninitialized(tensor.dtype(), turned ? Shape{columns, rows} : Shape{rows, columns});
  if (turned) {
    detail::strided_copy(pool, element, {{columns, 1, rows}, {rows, columns, 1}}, from, out.raw());
  } else {
    detail::strided_copy(pool, element, {{rows * columns, 1, 1}}, from, out.raw());
  }
  return out;
}

}  // namespace

/// The extents of one multiplication and which matrices it takes.
struct BatchMatmul::Matrices {
  int64_t m, n, k, count;
  Shape batch;
  detail::BroadcastIndex lhs, rhs;

  Matrices(const BatchMatmulParams& params, const Shape& a, const Shape& b, const Shape& out)
      : m(out[out.rank() - 2]),
        n(out[out.rank() - 1]),
        k(matrix_extents(a, params.transpose_lhs).columns),
        count(m * n == 0 ? 0 : out.numel() / (m * n)),
        batch(leading_axes(out)),
        lhs(leading_axes(a), batch),
        rhs(leading_axes(b), batch) {}
};

BatchMatmul::BatchMatmul(BatchMatmulParams params) : params_(std::move(params)) {
  // One multiplication of one code by another checks everything but the shapes.
  const int64_t channels = params_.requantize.channels();
  Conv2dParams conv;
  conv.weights = Tensor(params_.rhs_type.storage(), Shape{channels, 1, 1, 1});
  for (int64_t c = 0; c < channels; ++c) conv.weights.set_int(c, params_.rhs_type.min());
  conv.input_type = params_.lhs_type;
  conv.weight_type = params_.rhs_type;
  conv.input_zero_point = conv.padding_value = params_.lhs_zero_point;
  conv.weight_zero_point = {params_.rhs_zero_point};
  conv.accumulator = params_.accumulator;
  conv.requantize = params_.requantize;
  Conv2d{std::move(conv)};
}

Shape BatchMatmul::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 2);
  const Shape& a = inputs[0];
  const Shape& b = inputs[1];
  const auto refuse = [&](std::string expected) {
    throw Error({ErrorCode::shape_mismatch, "batch_matmul",
                 "input shapes " + to_string(a) + " and " + to_string(b), std::move(expected), ""});
  };
  if (a.rank() < 2 || b.rank() < 2) refuse("two axes or more");
  const MatrixExtents lhs = matrix_extents(a, params_.transpose_lhs);
  const MatrixExtents rhs = matrix_extents(b, params_.transpose_rhs);
  if (lhs.columns != rhs.rows) {
    refuse(fmt::format("as many columns ({}) as rows ({})", lhs.columns, rhs.rows));
  }
  const int64_t channels = params_.requantize.channels();
  if (channels != 1 && channels != rhs.columns) refuse(fmt::format("{} columns of rhs", channels));
  std::vector<int64_t> out = detail::broadcast(kind(), leading_axes(a), leading_axes(b)).extents();
  out.push_back(lhs.rows);
  out.push_back(rhs.columns);
  Shape shape(std::move(out));
  (void)shape.numel();  // Error: more elements than a tensor has
  return shape;
}

Conv2d BatchMatmul::convolution(const Matrices& matrices, const Tensor& rhs, int64_t index) const {
  Conv2dParams conv;
  conv.weights = matrix_of(rhs, matrices.rhs(index), !params_.transpose_rhs, nullptr)
                     .reshaped({matrices.n, 1, 1, matrices.k});
  conv.input_type = params_.lhs_type;
  conv.weight_type = params_.rhs_type;
  conv.input_zero_point = conv.padding_value = params_.lhs_zero_point;
  conv.weight_zero_point = {params_.rhs_zero_point};
  conv.accumulator = params_.accumulator;
  conv.requantize = params_.requantize;
  return Conv2d(std::move(conv));
}

Events BatchMatmul::run(std::span<const Tensor* const> inputs, Tensor& output,
                        const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  detail::check_codes(kind(), "lhs", *inputs[0], params_.lhs_type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.rhs_type);
  const Matrices matrices(params_, inputs[0]->shape(), inputs[1]->shape(), output.shape());
  const int64_t size = matrices.m * matrices.n;
  const auto element = static_cast<int64_t>(size_of(output.dtype()));
  Events events;
  for (int64_t i = 0; i < matrices.count; ++i) {
    const Conv2d conv = convolution(matrices, *inputs[1], i);
    const Tensor rows = matrix_of(*inputs[0], matrices.lhs(i), params_.transpose_lhs, context.pool)
                            .reshaped({matrices.m, 1, 1, matrices.k});
    Tensor product = Tensor::view(output.dtype(), {matrices.m, 1, 1, matrices.n},
                                  static_cast<std::byte*>(output.raw()) + i * size * element);
    const Tensor* const conv_inputs[] = {&rows};
    events += conv.run(conv_inputs, product, context);
  }
  return events;
}

Explanation BatchMatmul::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_codes(kind(), "lhs", *inputs[0], params_.lhs_type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.rhs_type);
  const Matrices matrices(params_, inputs[0]->shape(), inputs[1]->shape(), out);
  const int64_t index = flat_index / (matrices.m * matrices.n);
  const Tensor rows = matrix_of(*inputs[0], matrices.lhs(index), params_.transpose_lhs, nullptr)
                          .reshaped({matrices.m, 1, 1, matrices.k});
  const Tensor* const conv_inputs[] = {&rows};
  return convolution(matrices, *inputs[1], index)
      .explain(conv_inputs, flat_index % (matrices.m * matrices.n));
}

int64_t BatchMatmul::macs(std::span<const Shape> inputs) const {
  const Shape out = output_shape(inputs);
  const int64_t images = out.rank() > 2 ? std::max<int64_t>(1, out[0]) : 1;
  return out.numel() / images * matrix_extents(inputs[0], params_.transpose_lhs).columns;
}

}  // namespace facsim::sim
