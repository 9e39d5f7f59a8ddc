// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/op_equality-internal.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "sim/ops/add.h"
#include "sim/ops/avg_pool2d.h"
#include "sim/ops/conv2d.h"
#include "sim/ops/linear.h"
#include "sim/ops/map.h"
#include "sim/ops/transpose_conv2d.h"

namespace facsim::backends::detail {

namespace {

class OpText {
 public:
  std::string take() { return fmt::to_string(text_); }

  void requantizer(const sim::Requantizer& requantizer) {
    add("[{} ", sim::to_string(requantizer.output_type()));
    for (const sim::BoundStep& step : requantizer.bound_steps()) {
      add("{} {} {} {} {} {} {:a} {:a};", static_cast<int>(step.kind),
          static_cast<int>(step.rounding), sim::to_string(step.type),
          static_cast<int>(step.overflow), fmt::join(step.a.values(), ","),
          fmt::join(step.b.values(), ","), fmt::join(step.real_a.values(), ","),
          fmt::join(step.real_b.values(), ","));
    }
    add("]");
  }

  void accumulator(const sim::Accumulator& rule) {
    add("{} {} {} {} {} ", rule.bits, static_cast<int>(rule.overflow), static_cast<int>(rule.order),
        static_cast<int>(rule.init), static_cast<int>(rule.operands));
    if (rule.term) {
      add("term {} {} {} {} ", rule.term->shift, static_cast<int>(rule.term->rounding),
          rule.term->bits, static_cast<int>(rule.term->overflow));
    }
    if (rule.block) {
      add("block {} {} {} {} {} ", rule.block->taps, rule.block->bits,
          static_cast<int>(rule.block->overflow), rule.block->spill_every,
          static_cast<int>(rule.block->span));
    }
  }

  void bias(const Tensor& codes) {
    add("bias");
    for (int64_t i = 0; i < codes.numel(); ++i) add(" {}", codes.int_at(i));
  }

  template <class Params>
  void weighted(const Params& params) {
    accumulator(params.accumulator);
    bias(params.bias);
    requantizer(params.requantize);
  }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

 private:
  fmt::memory_buffer text_;
};

}  // namespace

std::optional<std::string> op_text(const sim::Op& op) {
  OpText text;
  text.add("{} ", op.kind());
  if (const auto* conv = dynamic_cast<const sim::Conv2d*>(&op)) {
    text.weighted(conv->params());
    const bool pads = !(conv->params().window.padding == sim::Padding2d{});
    text.add("{}", pads ? conv->params().padding_value : 0);
  } else if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) {
    text.weighted(linear->conv().params());
  } else if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
    text.weighted(transposed->params().layer);
  } else if (const auto* add = dynamic_cast<const sim::Add*>(&op)) {
    text.requantizer(add->params().lhs);
    text.requantizer(add->params().rhs);
    text.requantizer(add->params().output);
  } else if (const auto* pool = dynamic_cast<const sim::AvgPool2d*>(&op)) {
    text.requantizer(pool->params().requantize);
    text.add("{} {}", pool->params().count_include_pad, pool->params().padding_value);
  } else if (const auto* map = dynamic_cast<const sim::Map*>(&op)) {
    text.requantizer(map->params().requantize);
  } else {
    return std::nullopt;
  }
  return text.take();
}

}  // namespace facsim::backends::detail
