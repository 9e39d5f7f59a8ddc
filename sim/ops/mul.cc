// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/mul.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "sim/core/error.h"
#include "sim/ops/broadcast-internal.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

namespace {

constexpr int64_t kProductBlock = 2048;

/// product[i] for output elements [begin, end). Product holds every one of them.
template <class Product, class Lhs, class Rhs>
void multiply_block(const detail::BroadcastRuns& runs, const Lhs* lhs, const Rhs* rhs,
                    const MulParams& params, int64_t begin, int64_t end, Product* product) {
  const auto lhs_zero = static_cast<Product>(params.lhs_zero_point);
  const auto rhs_zero = static_cast<Product>(params.rhs_zero_point);
  runs.for_each(
      begin, end,
      [&](int64_t first, int64_t l, int64_t l_stride, int64_t r, int64_t r_stride, int64_t count) {
        const Lhs* __restrict a = lhs + l;
        const Rhs* __restrict b = rhs + r;
        Product* __restrict to = product + (first - begin);
        if (l_stride == 1 && r_stride == 1) {
          for (int64_t i = 0; i < count; ++i)
            to[i] =
                (static_cast<Product>(a[i]) - lhs_zero) * (static_cast<Product>(b[i]) - rhs_zero);
        } else if (l_stride == 1) {
          const Product factor = static_cast<Product>(*b) - rhs_zero;
          for (int64_t i = 0; i < count; ++i)
            to[i] = (static_cast<Product>(a[i]) - lhs_zero) * factor;
        } else {
          const Product factor = static_cast<Product>(*a) - lhs_zero;
          for (int64_t i = 0; i < count; ++i)
            to[i] = factor * (static_cast<Product>(b[i * r_stride]) - rhs_zero);
        }
      });
}

template <class Product>
Events mul_by_kernel(const MulParams& params, const RequantizeKernel& kernel, const Tensor& lhs,
                     const Tensor& rhs, Tensor& output, const RunContext& context) {
  const detail::BroadcastRuns runs(lhs.shape(), rhs.shape(), output.shape());
  auto* out = static_cast<std::byte*>(output.raw());
  const auto element = static_cast<int64_t>(size_of(output.dtype()));
  // A program per channel takes whole rows of the last axis.
  const int64_t channels = params.requantize.channels();
  const int64_t block = std::max<int64_t>(1, kProductBlock / channels) * channels;
  return detail::with_integer(lhs.dtype(), [&]<class Lhs>() {
    return detail::with_integer(rhs.dtype(), [&]<class Rhs>() {
      return detail::for_blocks(
          context.pool, output.numel(), block, [&](int64_t begin, int64_t end) {
            std::vector<Product> products(static_cast<size_t>(end - begin));
            multiply_block(runs, lhs.data<Lhs>(), rhs.data<Rhs>(), params, begin, end,
                           products.data());
            const int64_t row = channels == 1 ? end - begin : channels;
            return kernel.run(products.data(), row, (end - begin) / row, 0, row,
                              out + begin * element, row, context.isa, context.count_events);
          });
    });
  });
}

/// The norm of one element.
struct MulElement {
  const MulParams& params;
  const Tensor& lhs;
  const Tensor& rhs;
  const Shape& output;
  detail::BroadcastIndex lhs_index, rhs_index;

  MulElement(const MulParams& p, std::span<const Tensor* const> inputs, const Shape& out)
      : params(p),
        lhs(*inputs[0]),
        rhs(*inputs[1]),
        output(out),
        lhs_index(lhs.shape(), out),
        rhs_index(rhs.shape(), out) {}

  int64_t lhs_value(int64_t i) const { return lhs.int_at(lhs_index(i)) - params.lhs_zero_point; }
  int64_t rhs_value(int64_t i) const { return rhs.int_at(rhs_index(i)) - params.rhs_zero_point; }
  int64_t product(int64_t i) const { return lhs_value(i) * rhs_value(i); }
  int64_t channel(int64_t i) const {
    return params.requantize.channels() == 1 ? 0 : i % output[output.rank() - 1];
  }
};

}  // namespace

Mul::Mul(MulParams params) : params_(std::move(params)) {
  const auto check_operand = [](const char* role, IntType type, int64_t zero_point) {
    if (type.bits > 31) {
      throw Error({ErrorCode::unsupported, fmt::format("mul {} type", role),
                   fmt::format("{} bits", type.bits), "at most 31 bits", ""});
    }
    if (zero_point < type.min() || zero_point > type.max()) {
      throw Error({ErrorCode::bad_value, fmt::format("mul {} zero point", role),
                   fmt::format("{}", zero_point), fmt::format("{}..{}", type.min(), type.max()),
                   ""});
    }
  };
  check_operand("lhs", params_.lhs_type, params_.lhs_zero_point);
  check_operand("rhs", params_.rhs_type, params_.rhs_zero_point);
  if (params_.requantize.program().input_is_real || params_.requantize.output_is_real()) {
    throw Error({ErrorCode::bad_value, "mul requantize", "a program over float32",
                 "a program from integers to codes", ""});
  }
  const int64_t a[] = {params_.lhs_type.min() - params_.lhs_zero_point,
                       params_.lhs_type.max() - params_.lhs_zero_point};
  const int64_t b[] = {params_.rhs_type.min() - params_.rhs_zero_point,
                       params_.rhs_type.max() - params_.rhs_zero_point};
  const auto [lowest, highest] = std::minmax({a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]});
  products_fit_int32_ = lowest >= INT32_MIN && highest <= INT32_MAX;
  kernel_ = RequantizeKernel(params_.requantize, lowest, highest);
}

Shape Mul::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 2);
  Shape out = detail::broadcast(kind(), inputs[0], inputs[1]);
  const int64_t channels = params_.requantize.channels();
  if (channels != 1 && (out.rank() == 0 || out[out.rank() - 1] != channels)) {
    throw Error({ErrorCode::shape_mismatch, "mul", "output shape " + to_string(out),
                 fmt::format("{} channels on the last axis", channels), ""});
  }
  return out;
}

Events Mul::run(std::span<const Tensor* const> inputs, Tensor& output,
                const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  detail::check_codes(kind(), "lhs", *inputs[0], params_.lhs_type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.rhs_type);
  if (context.isa != Isa::scalar) {
    return products_fit_int32_
               ? mul_by_kernel<int32_t>(params_, kernel_, *inputs[0], *inputs[1], output, context)
               : mul_by_kernel<int64_t>(params_, kernel_, *inputs[0], *inputs[1], output, context);
  }
  const MulElement element(params_, inputs, output.shape());
  const Events events = detail::for_blocks(
      context.pool, output.numel(), detail::kElementBlock, [&](int64_t begin, int64_t end) {
        Events counted;
        for (int64_t i = begin; i < end; ++i) {
          output.set_int(i,
                         params_.requantize.apply(element.product(i), element.channel(i), counted));
        }
        return counted;
      });
  return context.count_events ? events : Events{};
}

std::vector<SourceElement> Mul::sources(std::span<const Shape> inputs, int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  return detail::broadcast_sources(inputs, out, flat_index);
}

Explanation Mul::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_codes(kind(), "lhs", *inputs[0], params_.lhs_type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.rhs_type);
  const MulElement element(params_, inputs, out);
  Explanation explanation;
  explanation.accumulator = element.product(flat_index);
  explanation.steps = {detail::integer_step(fmt::format("lhs: sub {}", params_.lhs_zero_point),
                                            element.lhs_value(flat_index)),
                       detail::integer_step(fmt::format("rhs: sub {}", params_.rhs_zero_point),
                                            element.rhs_value(flat_index)),
                       detail::integer_step("lhs * rhs", *explanation.accumulator)};
  for (TracedStep& step :
       params_.requantize.trace(*explanation.accumulator, element.channel(flat_index))) {
    explanation.steps.push_back(std::move(step));
  }
  Events ignored;
  explanation.result =
      params_.requantize.apply(*explanation.accumulator, element.channel(flat_index), ignored);
  return explanation;
}

}  // namespace facsim::sim
