// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d_check-internal.h"

#include <fmt/format.h>

#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

constexpr int64_t kMaxExtent = int64_t{1} << 24;  // of windows; products of two still fit 64 bits

[[noreturn]] void refuse(ErrorCode code, std::string_view field, std::string found,
                         std::string expected) {
  throw Error({code, fmt::format("conv2d {}", field), std::move(found), std::move(expected), ""});
}

void check_between(std::string_view field, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return;
  refuse(ErrorCode::bad_value, field, fmt::format("{}", value), fmt::format("{}..{}", min, max));
}

void check_window(const Conv2dParams& p) {
  for (size_t axis = 0; axis < 2; ++axis) {
    check_between("stride", p.window.stride[axis], 1, kMaxExtent);
    check_between("dilation", p.window.dilation[axis], 1, kMaxExtent);
    const int64_t kernel = p.weights.shape()[static_cast<int>(axis) + 1];
    if (p.window.kernel[axis] != kernel) {
      refuse(ErrorCode::shape_mismatch, "kernel", fmt::format("{}", p.window.kernel[axis]),
             fmt::format("the weights' {}", kernel));
    }
  }
  for (const int64_t pad : {p.window.padding.top, p.window.padding.left, p.window.padding.bottom,
                            p.window.padding.right}) {
    check_between("padding", pad, 0, kMaxExtent);
  }
}

void check_type(std::string_view field, IntType type) {
  if (type.bits >= 1 && type.bits <= 16) return;
  refuse(ErrorCode::unsupported, field, fmt::format("{} bits", type.bits), "1..16 bits");
}

void check_code(std::string_view field, int64_t code, IntType type) {
  check_between(field, code, type.min(), type.max());
}

void check_weights(const Conv2dParams& p) {
  const Shape& shape = p.weights.shape();
  if (shape.rank() != 4 || p.weights.empty()) {
    refuse(ErrorCode::shape_mismatch, "weights", "shape " + to_string(shape),
           "(OC, KH, KW, IC / groups), no extent 0");
  }
  if (p.weights.numel() / shape[0] > (int64_t{1} << 28)) {
    refuse(ErrorCode::unsupported, "weights", "shape " + to_string(shape), "at most 2^28 taps");
  }
  detail::check_codes("conv2d", "weights", p.weights, p.weight_type);
  if (p.groups < 1 || shape[0] % p.groups != 0) {
    refuse(ErrorCode::bad_value, "groups", fmt::format("{}", p.groups),
           fmt::format("a divisor of the {} output channels", shape[0]));
  }
  const size_t zero_points = p.weight_zero_point.size();
  if (zero_points != 1 && zero_points != static_cast<size_t>(shape[0])) {
    refuse(ErrorCode::shape_mismatch, "weight_zero_point", fmt::format("{} values", zero_points),
           fmt::format("1 or {}", shape[0]));
  }
  for (const int64_t zero_point : p.weight_zero_point) {
    check_code("weight_zero_point", zero_point, p.weight_type);
  }
}

void check_bias(const Conv2dParams& p) {
  if (p.bias.empty()) return;
  if (p.bias.dtype() != DType::int32 && p.bias.dtype() != DType::int64) {
    refuse(ErrorCode::bad_value, "bias", fmt::format("dtype {}", to_string(p.bias.dtype())),
           "int32 or int64");
  }
  if (p.bias.shape() != Shape{p.weights.shape()[0]}) {
    refuse(ErrorCode::shape_mismatch, "bias", "shape " + to_string(p.bias.shape()),
           to_string(Shape{p.weights.shape()[0]}));
  }
}

void check_requantize(const Conv2dParams& p) {
  const int64_t channels = p.requantize.channels();
  if (channels != 1 && channels != p.weights.shape()[0]) {
    refuse(ErrorCode::shape_mismatch, "requantize", fmt::format("{} channels", channels),
           fmt::format("1 or {}", p.weights.shape()[0]));
  }
  if (p.requantize.output_is_real() || p.requantize.program().input_is_real) {
    refuse(ErrorCode::unsupported, "requantize", "a program from or to real values",
           "integer accumulators to integer codes");
  }
}

void check_accumulator(const Accumulator& accumulator) {
  check_between("accumulator bits", accumulator.bits, 8, 64);
  if (accumulator.term) {
    check_between("accumulator term shift", accumulator.term->shift, -16, 62);
    check_between("accumulator term bits", accumulator.term->bits, 2, 62);
  }
  if (accumulator.block) {
    const Accumulator::Block& block = *accumulator.block;
    check_between("accumulator block taps", block.taps, 1, Accumulator::Block::kAllTaps);
    check_between("accumulator block bits", block.bits, 8, 62);
    if (block.spill_every < 0 || block.spill_every % block.taps != 0) {
      refuse(ErrorCode::bad_value, "accumulator block spill_every",
             fmt::format("{}", block.spill_every),
             fmt::format("0 or a multiple of the block's {} taps", block.taps));
    }
  }
}

}  // namespace

void check_conv2d_params(const Conv2dParams& p, RequantizeUse requantize) {
  check_type("input_type", p.input_type);
  check_type("weight_type", p.weight_type);
  check_weights(p);
  check_window(p);
  check_code("input_zero_point", p.input_zero_point, p.input_type);
  check_code("padding_value", p.padding_value, p.input_type);
  check_accumulator(p.accumulator);
  check_bias(p);
  if (requantize == RequantizeUse::used) check_requantize(p);
}

void check_accumulator_of_all_taps(std::string_view kind, const Accumulator& accumulator) {
  using Block = Accumulator::Block;
  const bool whole = !accumulator.block || (accumulator.block->taps == Block::kAllTaps &&
                                            accumulator.block->span == Block::Span::layer);
  if (whole && accumulator.operands == Accumulator::Operands::centred) return;
  throw Error({ErrorCode::unsupported, fmt::format("{} accumulator", kind),
               whole ? "operands that are not centred" : "blocks of taps",
               "centred operands, blocks of all taps", ""});
}

}  // namespace facsim::sim
