// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/op_equality-internal.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <iterator>
#include <type_traits>

#include "backends/parity/op_sums-internal.h"
#include "backends/parity/ops_by_params-internal.h"
#include "sim/ops/conv2d_range.h"

namespace facsim::backends::detail {

namespace {

template <class T>
using BitsOf = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

/// The text is made of every parameter in turn, separated by spaces.
class OpText {
 public:
  std::string take() { return fmt::to_string(text_); }

  template <class... Values>
  void all(const Values&... values) {
    (add(values), ...);
  }

  /// A rule of how products are summed, where the weights do not prove that it cannot matter.
  void accumulator(const sim::Accumulator& rule) {
    all(rule.bits, rule.overflow, rule.order, rule.init, rule.operands);
    if (rule.term)
      all("term", rule.term->shift, rule.term->rounding, rule.term->bits, rule.term->overflow);
    if (rule.block)
      all("block", rule.block->taps, rule.block->bits, rule.block->overflow,
          rule.block->spill_every, rule.block->span);
  }

  void layer(const sim::Conv2dParams& p, bool pads) {
    all(window_text(p.window), p.groups, p.input_type, p.weight_type, p.input_zero_point,
        p.weight_zero_point, p.bias, p.requantize);
    if (pads) add(p.padding_value);
    if (sim::Conv2dRange(p).exact(p.accumulator)) {
      add("exact");
    } else {
      accumulator(p.accumulator);
    }
  }

  void add(std::string_view word) {
    text_.append(word.data(), word.data() + word.size());
    text_.push_back(' ');
  }
  void add(const char* word) { add(std::string_view(word)); }
  void add(const std::string& word) { add(std::string_view(word)); }
  void add(int64_t value) {
    const fmt::format_int digits(value);
    add(std::string_view(digits.data(), digits.size()));
  }
  template <class T>
  requires std::is_arithmetic_v<T>
  void add(T value) {
    if constexpr (std::floating_point<T>) {
      add("f");
      add(static_cast<int64_t>(std::bit_cast<BitsOf<T>>(value)));
    } else {
      add(static_cast<int64_t>(value));
    }
  }
  template <class T>
  requires std::is_enum_v<T>
  void add(T value) { add(static_cast<int64_t>(value)); }
  void add(const sim::IntType& type) { add(sim::to_string(type)); }
  void add(const Shape& shape) { add(to_string(shape)); }
  template <class T>
  void add(const std::vector<T>& values) {
    add("[");
    for (const T& value : values) add(value);
    add("]");
  }
  void add(const std::array<int64_t, 2>& values) { append("{} ", fmt::join(values, ",")); }
  void add(const Tensor& tensor) {
    all("(", to_string(tensor.dtype()), tensor.shape());
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      if (tensor.dtype() == DType::float32) {
        add(tensor.data<float>()[i]);
      } else {
        add(tensor.int_at(i));
      }
    }
    add(")");
  }
  void add(const sim::Requantizer& requantizer) {
    all("{", requantizer.output_type(), requantizer.output_is_real());
    for (const sim::BoundStep& step : requantizer.bound_steps()) {
      all(step.kind, step.rounding, step.type, step.overflow, step.a.values(), step.b.values(),
          step.real_a.values(), step.real_b.values());
    }
    add("}");
  }
  void add(const sim::LstmGate& gate) { all(gate.bias, gate.input, gate.hidden); }
  void add(const sim::ConcatInput& input) {
    add(to_string(input.dtype));
    if (input.requantize) add(*input.requantize);
  }
  void add(const sim::SliceAxis& axis) {
    all(axis.begin.has_value(), axis.begin.value_or(0), axis.end.has_value(), axis.end.value_or(0),
        axis.stride);
  }

  static std::string window_text(const sim::Window2d& window) {
    const sim::Padding2d& pad = window.padding;
    return fmt::format("{} {} {} {} {} {} {}", fmt::join(window.kernel, ","),
                       fmt::join(window.stride, ","), fmt::join(window.dilation, ","), pad.top,
                       pad.left, pad.bottom, pad.right);
  }

 private:
  template <class... Args>
  void append(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

  fmt::memory_buffer text_;
};

/// The parameters of each op, in the order of its struct. Weights are left out, and numbers that
/// the node itself gives.
struct Visitor {
  OpText& text;

  void operator()(const sim::Conv2dParams& p) { text.layer(p, pads(p.window)); }
  void operator()(const sim::TransposeConv2dParams& p) {
    text.layer(p.layer, false);
    text.add(p.output_padding);
  }
  void operator()(const sim::BatchMatmulParams& p) {
    text.all(p.lhs_type, p.rhs_type, p.lhs_zero_point, p.rhs_zero_point, p.transpose_lhs,
             p.transpose_rhs, p.requantize);
    text.accumulator(p.accumulator);
  }
  void operator()(const sim::AddParams& p) {
    text.all(p.kind, p.lhs_type, p.rhs_type, p.lhs, p.rhs, p.output);
  }
  void operator()(const sim::AddFmaParams& p) {
    text.all(p.lhs_type, p.rhs_type, p.output_type, p.lhs_scale, p.rhs_scale, p.output_scale,
             p.lhs_zero_point, p.rhs_zero_point, p.output_zero_point, p.clamp_min, p.clamp_max);
  }
  void operator()(const sim::MulParams& p) {
    text.all(p.lhs_type, p.rhs_type, p.lhs_zero_point, p.rhs_zero_point, p.requantize);
  }
  void operator()(const sim::MinMaxParams& p) { text.all(p.kind, p.type); }
  void operator()(const sim::AvgPool2dParams& p) {
    text.all(OpText::window_text(p.window), p.global, p.input_type, p.input_zero_point,
             p.requantize);
    if (pads(p.window)) text.all(p.count_include_pad, p.padding_value);
  }
  void operator()(const sim::AvgPool2dDequantizedParams& p) {
    text.all(OpText::window_text(p.window), p.input_type, p.output_type, p.input_scale,
             p.output_scale, p.input_zero_point, p.output_zero_point);
    if (pads(p.window)) text.add(p.count_include_pad);
  }
  void operator()(const sim::MaxPool2dParams& p) {
    text.all(OpText::window_text(p.window), p.type, p.clamp_min, p.clamp_max);
  }
  void operator()(const sim::MeanParams& p) {
    text.all(p.input_type, p.input_zero_point, p.axes, p.keep_dims, p.count, p.requantize);
  }
  void operator()(const sim::MapParams& p) {
    text.all(p.kind, to_string(p.input_dtype), p.requantize, p.channel_axis);
  }
  void operator()(const sim::MapBlockedParams& p) {
    text.all(p.kind, to_string(p.input_dtype), p.requantize, p.arguments, p.axis, p.block_size);
  }
  void operator()(const sim::UnaryRealParams& p) {
    text.all(p.function, p.input_type, p.zero_point, p.scale, p.alpha, p.output);
  }
  void operator()(const sim::LutParams& p) { text.all(p.input_type, p.output_type, p.table); }
  void operator()(const sim::PadParams& p) { text.all(p.type, p.before, p.after, p.value); }
  void operator()(const sim::ConcatParams& p) {
    text.all(p.axis, to_string(p.output_dtype), p.inputs);
  }
  void operator()(const sim::SliceParams& p) { text.all(to_string(p.dtype), p.axes); }
  void operator()(const sim::TransposeParams& p) { text.all(to_string(p.dtype), p.permutation); }
  void operator()(const sim::ReshapeParams& p) { text.all(p.extents, to_string(p.dtype), p.order); }
  void operator()(const sim::ResizeParams& p) {
    text.all(p.mode, p.size, p.align_corners, p.half_pixel_centers, p.type);
  }
  void operator()(const sim::SigmoidParams& p) {
    text.all(p.function, p.algorithm, p.type, p.zero_point, p.radius, p.scale);
  }
  void operator()(const sim::HardSwishParams& p) {
    text.all(p.type, p.input_zero_point, p.output_zero_point, p.output_multiplier,
             p.output_exponent, p.reluish_multiplier, p.reluish_exponent);
  }
  void operator()(const sim::LeakyReluParams& p) {
    text.all(p.input_type, p.zero_point, p.positive, p.negative);
  }
  void operator()(const sim::PreluParams& p) {
    text.all(p.input_type, p.alpha_type, p.zero_point, p.alpha_zero_point, p.positive, p.negative);
  }
  void operator()(const sim::SoftmaxParams& p) {
    text.all(p.algorithm, p.input_type, p.output_type, p.difference_min, p.scale);
  }
  void operator()(const sim::SoftmaxRealParams& p) {
    text.all(p.input_type, p.output_type, p.scale_times_beta, p.output_scale, p.output_zero_point);
  }
  void operator()(const sim::SoftmaxScaledParams& p) {
    text.all(p.type, p.input_scale, p.output_scale, p.output_zero_point);
  }
  void operator()(const sim::SvdfParams& p) {
    text.all(p.input_type, p.input_zero_point, p.state_zero_point, p.rank, p.bias, p.state,
             p.output);
    text.accumulator(p.accumulator);
  }
  void operator()(const sim::LstmParams& p) {
    text.all(p.type, p.input_zero_point, p.output_zero_point, p.input_gate, p.forget_gate,
             p.cell_gate, p.output_gate, p.cell_scale_power, p.cell_clip, p.forget_to_cell,
             p.input_to_cell, p.output);
    text.accumulator(p.accumulator);
  }
  void operator()(const sim::MultiThresholdParams& p) {
    text.all(p.input_type, p.output_type, p.thresholds, p.scale, p.bias);
  }
  void operator()(const sim::Log2MapParams& p) { text.all(p.direction, p.code.z); }
};

}  // namespace

std::optional<std::string> op_text(const sim::Op& op) {
  OpText text;
  text.add(op.kind());
  if (const auto* constant = dynamic_cast<const sim::ConstantInputs*>(&op)) {
    const std::optional<std::string> inner = op_text(constant->op());
    if (!inner) return std::nullopt;
    for (const std::optional<Tensor>& value : constant->constants()) {
      if (value) text.add(*value);
    }
    text.add(*inner);
    return text.take();
  }
  if (dynamic_cast<const sim::DynamicQuantize*>(&op) != nullptr) return text.take();  // no rules
  if (!visit_params(op, Visitor{text})) return std::nullopt;
  return text.take();
}

}  // namespace facsim::backends::detail
