// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/add_fma.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/kernels/add_fma_block-internal.h"
#include "sim/kernels/dispatch-internal.h"
#include "sim/ops/broadcast-internal.h"
#include "sim/ops/op_support-internal.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {

namespace {

constexpr int64_t kBlock = 2048;

/// The float32 constants of one layer.
struct Constants {
  float lhs_ratio, rhs_ratio, offset;

  explicit Constants(const AddFmaParams& p)
      : lhs_ratio(p.lhs_scale / p.output_scale),
        rhs_ratio(p.rhs_scale / p.output_scale),
        offset(static_cast<float>(p.output_zero_point) -
               std::fma(lhs_ratio, static_cast<float>(p.lhs_zero_point),
                        rhs_ratio * static_cast<float>(p.rhs_zero_point))) {}

  float inner(float b) const { return std::fma(b, rhs_ratio, offset); }
  float outer(float a, float inner) const { return std::fma(a, lhs_ratio, inner); }
};

/// Not inlined, so that no float operation leaves the FloatMode scope of its caller.
__attribute__((noinline)) Constants constants_of(const AddFmaParams& params) {
  return Constants(params);
}

/// In the default floating-point mode, as the blocks of the op run.
Constants guarded_constants(const AddFmaParams& params) {
  const FloatMode mode;
  return constants_of(params);
}

/// min(max(rint(value), clamp_min), clamp_max); a NaN becomes clamp_min.
int64_t to_code(float value, const AddFmaParams& p) {
  const float rounded = round_real(Rounding::half_even, value);
  const float clamped =
      std::min(std::max(static_cast<float>(p.clamp_min), rounded), static_cast<float>(p.clamp_max));
  return static_cast<int64_t>(clamped);
}

/// Codes of up to 16 bits as float32, exact, for output elements [begin, end).
void load(const Tensor& codes, const detail::BroadcastIndex& index, int64_t begin, int64_t end,
          float* out) {
  detail::with_integer(codes.dtype(), [&]<class T>() {
    const T* values = codes.data<T>();
    for (int64_t i = begin; i < end; ++i) *out++ = static_cast<float>(values[index(i)]);
  });
}

/// The vector kernel for 8-bit codes of one type and shape, where the isa has one and no sum can
/// leave float32's integers.
template <class Code>
AddFmaKernel<Code> find_kernel(const Constants& c, Isa isa) {
  isa = resolve_isa(isa);
  const float largest = 255 * (std::abs(c.lhs_ratio) + std::abs(c.rhs_ratio)) + std::abs(c.offset);
  if (isa == Isa::scalar || !(largest < 0x1p22F)) return nullptr;
  const size_t index = highway_dispatch_index(isa);
  if constexpr (std::is_same_v<Code, int8_t>) return add_fma_int8(index);
  if constexpr (std::is_same_v<Code, uint8_t>) return add_fma_uint8(index);
  return nullptr;
}

void check_params(const AddFmaParams& p) {
  const auto refuse = [](const char* field, std::string found, std::string expected) {
    throw Error({ErrorCode::bad_value, fmt::format("add_fma {}", field), std::move(found),
                 std::move(expected), ""});
  };
  const auto check_scale = [&](const char* field, float scale) {
    if (!(std::isfinite(scale) && scale > 0)) {
      refuse(field, fmt::format("{}", scale), "a finite scale > 0");
    }
  };
  const auto check_code = [&](const char* field, int64_t code, IntType type) {
    if (type.bits > 16) refuse(field, fmt::format("{} bits", type.bits), "at most 16 bits");
    if (code < type.min() || code > type.max()) {
      refuse(field, fmt::format("{}", code), fmt::format("{}..{}", type.min(), type.max()));
    }
  };
  check_scale("lhs_scale", p.lhs_scale);
  check_scale("rhs_scale", p.rhs_scale);
  check_scale("output_scale", p.output_scale);
  check_code("lhs_zero_point", p.lhs_zero_point, p.lhs_type);
  check_code("rhs_zero_point", p.rhs_zero_point, p.rhs_type);
  check_code("output_zero_point", p.output_zero_point, p.output_type);
  check_code("clamp_min", p.clamp_min, p.output_type);
  check_code("clamp_max", p.clamp_max, p.output_type);
  if (p.clamp_min > p.clamp_max) {
    refuse("clamp_min", fmt::format("{}", p.clamp_min), fmt::format("at most {}", p.clamp_max));
  }
}

}  // namespace

AddFma::AddFma(AddFmaParams params) : params_(std::move(params)) { check_params(params_); }

Shape AddFma::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 2);
  return detail::broadcast(kind(), inputs[0], inputs[1]);
}

DType AddFma::output_dtype() const { return params_.output_type.storage(); }

Events AddFma::run(std::span<const Tensor* const> inputs, Tensor& output,
                   const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& lhs = *inputs[0];
  const Tensor& rhs = *inputs[1];
  detail::check_codes(kind(), "lhs", lhs, params_.lhs_type);
  detail::check_codes(kind(), "rhs", rhs, params_.rhs_type);
  const Constants constants = guarded_constants(params_);
  const detail::BroadcastIndex lhs_index(lhs.shape(), output.shape());
  const detail::BroadcastIndex rhs_index(rhs.shape(), output.shape());
  const bool elementwise = lhs_index.is_identity() && rhs_index.is_identity() &&
                           lhs.dtype() == output.dtype() && rhs.dtype() == output.dtype();
  const AddFmaBlock block{constants.lhs_ratio, constants.rhs_ratio, constants.offset,
                          static_cast<float>(params_.clamp_min),
                          static_cast<float>(params_.clamp_max)};
  detail::for_blocks(context.pool, output.numel(), kBlock, [&](int64_t begin, int64_t end) {
    const bool done = elementwise && detail::with_integer(output.dtype(), [&]<class Code>() {
                        const AddFmaKernel<Code> kernel = find_kernel<Code>(constants, context.isa);
                        if (kernel == nullptr) return false;
                        kernel(block, lhs.data<Code>() + begin, rhs.data<Code>() + begin,
                               end - begin, output.data<Code>() + begin);
                        return true;
                      });
    if (done) return Events{};
    std::array<float, kBlock> a, b;
    load(lhs, lhs_index, begin, end, a.data());
    load(rhs, rhs_index, begin, end, b.data());
    detail::with_integer(output.dtype(), [&]<class Out>() {
      Out* y = output.data<Out>() + begin;
      for (size_t i = 0; i < static_cast<size_t>(end - begin); ++i) {
        y[i] = static_cast<Out>(to_code(constants.outer(a[i], constants.inner(b[i])), params_));
      }
    });
    return Events{};
  });
  return {};
}

std::vector<SourceElement> AddFma::sources(std::span<const Shape> inputs,
                                           int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  return detail::broadcast_sources(inputs, out, flat_index);
}

Explanation AddFma::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape shape = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, shape.numel());
  detail::check_codes(kind(), "lhs", *inputs[0], params_.lhs_type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.rhs_type);
  const Constants constants = guarded_constants(params_);
  const int64_t a =
      inputs[0]->int_at(detail::BroadcastIndex(inputs[0]->shape(), shape)(flat_index));
  const int64_t b =
      inputs[1]->int_at(detail::BroadcastIndex(inputs[1]->shape(), shape)(flat_index));
  const float inner = constants.inner(static_cast<float>(b));
  const float outer = constants.outer(static_cast<float>(a), inner);
  Explanation explanation;
  explanation.result = to_code(outer, params_);
  explanation.steps = {
      detail::real_step("k = zc - fma(ra, za, rb * zb)", constants.offset),
      detail::real_step(fmt::format("fma({}, {}, k)", b, constants.rhs_ratio), inner),
      detail::real_step(fmt::format("fma({}, {}, previous)", a, constants.lhs_ratio), outer),
      detail::real_step("round half_even", round_real(Rounding::half_even, outer)),
      detail::integer_step(fmt::format("clamp {} {}", params_.clamp_min, params_.clamp_max),
                           explanation.result)};
  return explanation;
}

}  // namespace facsim::sim
