// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d_segments-internal.h"

#include <algorithm>

#include "sim/kernels/conv2d_kernel-internal.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/packed_on_demand-internal.h"
#include "sim/ops/strided_copy-internal.h"

namespace facsim::sim {

/// Input channels [first, first + params.weights.shape()[3]).
struct Conv2dSegments::Segment {
  Segment(Conv2dParams p, int64_t first_channel)
      : params(std::move(p)), first(first_channel), range(params) {}

  Conv2dParams params;
  int64_t first;
  Conv2dRange range;
  PackedOnDemand packed;
};

namespace {

constexpr int64_t kMaxSegments = 16;
constexpr int64_t kTotalsAtOnce = int64_t{1} << 20;

/// The channels [first, first + count) of the last axis.
Tensor channels_of(const Tensor& tensor, int64_t first, int64_t count, ThreadPool* pool) {
  std::vector<int64_t> extents = tensor.shape().extents();
  const int64_t all = extents.back();
  extents.back() = count;
  Tensor part = Tensor::uninitialized(tensor.dtype(), Shape(std::move(extents)));
  if (part.empty()) return part;
  const auto element = static_cast<int64_t>(size_of(tensor.dtype()));
  detail::strided_copy(pool, size_of(tensor.dtype()),
                       {{tensor.numel() / all, all, count}, {count, 1, 1}},
                       static_cast<const std::byte*>(tensor.raw()) + first * element, part.raw());
  return part;
}

Conv2dParams segment_params(const Conv2dParams& params, int64_t first, int64_t count) {
  Conv2dParams part = params;
  part.weights = channels_of(params.weights, first, count, nullptr);
  part.bias = {};
  part.accumulator = {};  // 32 bits, which the range shows to be enough
  return part;
}

}  // namespace

Conv2dSegments::Conv2dSegments() = default;
Conv2dSegments::~Conv2dSegments() = default;

std::unique_ptr<const Conv2dSegments> Conv2dSegments::make(const Conv2dParams& params,
                                                           const Conv2dRange& range) {
  const int64_t channels = params.weights.shape()[3];
  if (params.groups != 1 || params.accumulator.is_structured() ||
      !range.exact(params.accumulator)) {
    return nullptr;
  }
  for (int64_t count = 2; count <= std::min(kMaxSegments, channels); ++count) {
    const int64_t each = (channels + count - 1) / count;
    std::unique_ptr<Conv2dSegments> result(new Conv2dSegments);
    bool narrow = true;
    for (int64_t first = 0; first < channels && narrow; first += each) {
      auto segment = std::make_unique<const Segment>(
          segment_params(params, first, std::min(each, channels - first)), first);
      narrow = segment->range.inside(INT32_MIN, INT32_MAX);
      result->segments_.push_back(std::move(segment));
    }
    if (!narrow) continue;
    for (int64_t c = 0; c < params.weights.shape()[0]; ++c) {
      result->bias_.push_back(params.bias.empty() ? 0 : params.bias.int_at(c));
    }
    return result;
  }
  return nullptr;
}

bool Conv2dSegments::add_segment(const Segment& segment, const Tensor& images, Isa isa,
                                 ThreadPool* pool, int64_t* totals) const {
  const auto kind = choose_conv2d_kernel(segment.params, segment.range, isa, EventCounting::off);
  if (!kind) return false;
  const Tensor part = channels_of(images, segment.first, segment.params.weights.shape()[3], pool);
  const Conv2dShape shape = Conv2dShape::of(segment.params, part.shape());
  const auto run = run_conv2d_kernel(
      segment.params, segment.packed.get(segment.params, segment.range, *kind), shape, part, isa,
      EventCounting::off, pool, {[&](const AccumulatorBlock& block) {
        for (int64_t p = 0; p < block.pixels; ++p) {
          int64_t* __restrict to =
              totals + (block.first_pixel + p) * shape.oc + block.first_channel;
          const int32_t* __restrict acc = block.acc + p * block.stride;
          for (int64_t c = 0; c < block.channels; ++c) to[c] += acc[c];
        }
        return Events{};
      }});
  return run.has_value();
}

std::optional<Events> Conv2dSegments::run(const Tensor& input, const Shape& output, Isa isa,
                                          ThreadPool* pool, const Sink& sink) const {
  const int64_t oc = output[3];
  const int64_t image_pixels = output[1] * output[2];
  Events events;
  if (output.numel() == 0) return events;
  const int64_t images = std::clamp<int64_t>(kTotalsAtOnce / (image_pixels * oc), 1, output[0]);
  Tensor totals = Tensor::uninitialized(DType::int64, Shape{images * image_pixels, oc});
  for (int64_t n = 0; n < output[0]; n += images) {
    const int64_t count = std::min(images, output[0] - n);
    const int64_t pixels = count * image_pixels;
    int64_t* acc = totals.data<int64_t>();
    for (int64_t p = 0; p < pixels; ++p) std::copy_n(bias_.data(), oc, acc + p * oc);
    for (const auto& segment : segments_) {
      if (!add_segment(*segment, input.slice(n, count), isa, pool, acc)) return std::nullopt;
    }
    const int64_t block = std::max<int64_t>(1, detail::kElementBlock / oc);
    events += detail::for_blocks(pool, pixels, block, [&](int64_t begin, int64_t end) {
      return sink(acc + begin * oc, n * image_pixels + begin, end - begin);
    });
  }
  return events;
}

}  // namespace facsim::sim
