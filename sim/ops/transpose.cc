// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/transpose.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/strided_copy-internal.h"

namespace facsim::sim {

Transpose::Transpose(TransposeParams params) : params_(std::move(params)) {
  constexpr size_t kMaxRank = 8;
  const std::vector<int>& permutation = params_.permutation;
  std::vector<bool> seen(permutation.size(), false);
  bool once = permutation.size() <= kMaxRank;
  for (const int axis : permutation) {
    const auto i = static_cast<size_t>(axis);
    once = once && axis >= 0 && i < seen.size() && !seen[i];
    if (once) seen[i] = true;
  }
  if (once) return;
  throw Error({ErrorCode::bad_value, "transpose permutation",
               fmt::format("{}", fmt::join(permutation, ", ")),
               "each axis once, from 0 on, up to 8 axes", ""});
}

Shape Transpose::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const auto rank = static_cast<int>(params_.permutation.size());
  if (inputs[0].rank() != rank) {
    throw Error({ErrorCode::shape_mismatch, "transpose", "input shape " + to_string(inputs[0]),
                 fmt::format("{} axes", rank), ""});
  }
  std::vector<int64_t> out;
  for (const int axis : params_.permutation) out.push_back(inputs[0][axis]);
  return Shape(std::move(out));
}

Events Transpose::run(std::span<const Tensor* const> inputs, Tensor& output,
                      const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), params_.dtype);
  const std::vector<int64_t> from = detail::strides_of(input.shape());
  const std::vector<int64_t> to = detail::strides_of(output.shape());
  std::vector<detail::StridedAxis> axes;
  for (size_t i = 0; i < to.size(); ++i) {
    const auto source = static_cast<size_t>(params_.permutation[i]);
    axes.push_back({output.shape()[static_cast<int>(i)], from[source], to[i]});
  }
  detail::strided_copy(context.pool, size_of(params_.dtype), std::move(axes), input.raw(),
                       output.raw());
  return {};
}

std::vector<SourceElement> Transpose::sources(std::span<const Shape> inputs,
                                              int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  const std::vector<int64_t> from = detail::strides_of(inputs[0]);
  int64_t source = 0;
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    const auto permuted = static_cast<size_t>(params_.permutation[static_cast<size_t>(axis)]);
    source += flat_index % out[axis] * from[permuted];
    flat_index /= out[axis];
  }
  return {{0, source}};
}

Explanation Transpose::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const SourceElement source = sources(detail::shapes_of(inputs), flat_index).front();
  detail::check_dtype(kind(), "input", inputs[0]->dtype(), params_.dtype);
  return detail::copied_element(*inputs[0], source.flat_index);
}

}  // namespace facsim::sim
