// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/reshape.h"

#include <cstring>

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

Reshape::Reshape(ReshapeParams params) : params_(std::move(params)) {
  int unknown = 0;
  for (const int64_t extent : params_.extents) {
    unknown += extent == -1 ? 1 : 0;
    if (extent < -1 || extent == 0) {
      throw Error({ErrorCode::bad_value, "reshape extents", fmt::format("{}", extent),
                   "an extent >= 1, or -1 once", ""});
    }
  }
  if (unknown > 1) {
    throw Error({ErrorCode::bad_value, "reshape extents", fmt::format("{} times -1", unknown),
                 "-1 at most once", ""});
  }
  if (params_.order == ReshapeParams::Order::nchw && params_.extents.size() != 1) {
    throw Error({ErrorCode::unsupported, "reshape", "order nchw to several axes",
                 "one axis (flatten)", ""});
  }
}

Shape Reshape::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& in = inputs[0];
  const auto mismatch = [&] {
    return Error({ErrorCode::shape_mismatch, "reshape", "input shape " + to_string(in),
                  fmt::format("the elements of (N, {})", fmt::join(params_.extents, ", ")), ""});
  };
  if (in.rank() < 1) throw mismatch();
  int64_t per_image = 1;
  for (int axis = 1; axis < in.rank(); ++axis) per_image *= in[axis];
  int64_t known = 1;
  for (const int64_t extent : params_.extents) {
    if (extent == -1) continue;
    if (extent > per_image / known) throw mismatch();
    known *= extent;
  }
  std::vector<int64_t> out{in[0]};
  int64_t covered = known;
  for (const int64_t extent : params_.extents) {
    if (extent == -1) covered = per_image / known * known;
    out.push_back(extent == -1 ? per_image / known : extent);
  }
  if (covered != per_image) throw mismatch();
  return Shape(std::move(out));
}

DType Reshape::output_dtype() const { return params_.dtype; }

Events Reshape::run(std::span<const Tensor* const> inputs, Tensor& output,
                    const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), params_.dtype);
  if (input.empty()) return {};
  if (is_view() || input.shape().rank() < 3) {
    if (output.raw() != input.raw()) std::memcpy(output.raw(), input.raw(), input.bytes());
    return {};
  }
  const Shape& shape = input.shape();
  const int64_t per_image = input.numel() / shape[0];
  detail::with_dtype(params_.dtype, [&]<class T>() {
    const T* x = input.data<T>();
    T* y = output.data<T>();
    detail::for_blocks(context.pool, shape[0], 1, [&](int64_t n, int64_t) {
      const T* image = x + n * per_image;
      T* to = y + n * per_image;
      const int64_t channels = shape[shape.rank() - 1];
      const int64_t pixels = per_image / channels;
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t pixel = 0; pixel < pixels; ++pixel) *to++ = image[pixel * channels + c];
      }
      return Events{};
    });
  });
  return {};
}

Explanation Reshape::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const SourceElement source = sources_of(*this, detail::shapes_of(inputs), flat_index).front();
  detail::check_dtype(kind(), "input", inputs[0]->dtype(), params_.dtype);
  return detail::copied_element(*inputs[0], source.flat_index);
}

}  // namespace facsim::sim
