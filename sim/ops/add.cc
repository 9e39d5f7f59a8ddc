// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/add.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/broadcast-internal.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

namespace {

constexpr int64_t kCodes = 256;
constexpr int64_t kSumBlock = 2048;

/// The norm of one operand in the common unit: int64 or float32.
template <class Unit>
Unit to_common(const Requantizer& program, int64_t code, int64_t channel, Events& events) {
  if constexpr (std::is_same_v<Unit, float>) {
    return program.apply_to_real(code, channel, events);
  } else {
    return program.apply(code, channel, events);
  }
}

int64_t sum(int64_t a, int64_t b, AddParams::Kind kind) {
  int64_t result = 0;
  const bool left = kind == AddParams::Kind::add ? __builtin_add_overflow(a, b, &result)
                                                 : __builtin_sub_overflow(a, b, &result);
  if (left) {
    const bool adds = kind == AddParams::Kind::add;
    throw Error({ErrorCode::bad_value, adds ? "add" : "sub",
                 fmt::format("{} {} {}", a, adds ? '+' : '-', b), "a sum inside 64 bits",
                 "use a smaller left shift"});
  }
  return result;
}
/// Not inlined, so that no float operation leaves the FloatMode scope of its caller.
__attribute__((noinline)) float sum(float a, float b, AddParams::Kind kind) {
  return kind == AddParams::Kind::add ? a + b : a - b;
}

int64_t from_common(const Requantizer& program, int64_t value, int64_t channel, Events& events) {
  return program.apply(value, channel, events);
}
int64_t from_common(const Requantizer& program, float value, int64_t channel, Events& events) {
  return program.apply_real(value, channel, events);
}

int64_t channel_of(const Requantizer& program, int64_t flat_index, const Shape& shape) {
  return program.channels() == 1 ? 0 : flat_index % shape[shape.rank() - 1];
}

/// `negated`: a - b is a + (-b), exactly, in float32 as well.
Tensor make_table(const Requantizer& program, IntType type, bool negated) {
  if (type.bits > 8 || program.channels() != 1) return {};
  Tensor table(program.output_is_real() ? DType::float32 : DType::int64, Shape{kCodes});
  Events ignored;
  try {
    for (int64_t bits = 0; bits < kCodes; ++bits) {
      const int64_t code = type.is_signed ? static_cast<int8_t>(bits) : bits;
      if (program.output_is_real()) {
        const float value = to_common<float>(program, code, 0, ignored);
        table.data<float>()[bits] = negated ? -value : value;
      } else {
        const int64_t value = to_common<int64_t>(program, code, 0, ignored);
        if (value == INT64_MIN) return {};
        table.data<int64_t>()[bits] = negated ? -value : value;
      }
    }
  } catch (const Error&) {
    return {};  // the norm reports the element, if the code occurs at all
  }
  return table;
}

struct AddInputs {
  const Tensor& lhs;
  const Tensor& rhs;
  detail::BroadcastIndex lhs_index, rhs_index;
  detail::BroadcastRuns runs;

  AddInputs(std::span<const Tensor* const> inputs, const Shape& output)
      : lhs(*inputs[0]),
        rhs(*inputs[1]),
        lhs_index(lhs.shape(), output),
        rhs_index(rhs.shape(), output),
        runs(lhs.shape(), rhs.shape(), output) {}
};

template <class Unit>
Events add_norm(const AddParams& params, const AddInputs& in, Tensor& output,
                const RunContext& context) {
  const Shape& shape = output.shape();
  return detail::for_blocks(
      context.pool, output.numel(), detail::kElementBlock, [&](int64_t begin, int64_t end) {
        Events events;
        for (int64_t i = begin; i < end; ++i) {
          const Unit a = to_common<Unit>(params.lhs, in.lhs.int_at(in.lhs_index(i)),
                                         channel_of(params.lhs, i, shape), events);
          const Unit b = to_common<Unit>(params.rhs, in.rhs.int_at(in.rhs_index(i)),
                                         channel_of(params.rhs, i, shape), events);
          output.set_int(i, from_common(params.output, sum(a, b, params.kind),
                                        channel_of(params.output, i, shape), events));
        }
        return events;
      });
}

/// total[i] = a + b for output elements [begin, end), by the tables of both programs.
template <class Unit, class Total>
void sum_block(const AddInputs& in, const Unit* a, const Unit* b, int64_t begin, int64_t end,
               Total* total) {
  const auto* x = static_cast<const uint8_t*>(in.lhs.raw());
  const auto* y = static_cast<const uint8_t*>(in.rhs.raw());
  in.runs.for_each(
      begin, end,
      [&](int64_t first, int64_t l, int64_t l_stride, int64_t r, int64_t r_stride, int64_t count) {
        Total* to = total + (first - begin);
        if (l_stride == 1 && r_stride == 1) {
          for (int64_t i = 0; i < count; ++i) {
            to[i] = static_cast<Total>(a[x[l + i]] + b[y[r + i]]);
          }
          return;
        }
        for (int64_t i = 0; i < count; ++i) {
          to[i] = static_cast<Total>(a[x[l + i * l_stride]] + b[y[r + i * r_stride]]);
        }
      });
}

/// Float32 sums: the tables and the norm of the output program.
Events add_reals_by_tables(const AddParams& params, const AddInputs& in, const Tensor& lhs_table,
                           const Tensor& rhs_table, Tensor& output, const RunContext& context) {
  return detail::for_blocks(
      context.pool, output.numel(), kSumBlock, [&](int64_t begin, int64_t end) {
        Events events;
        std::array<float, kSumBlock> totals;
        sum_block(in, lhs_table.data<float>(), rhs_table.data<float>(), begin, end, totals.data());
        for (int64_t i = begin; i < end; ++i) {
          output.set_int(i, from_common(params.output, totals[static_cast<size_t>(i - begin)],
                                        channel_of(params.output, i, output.shape()), events));
        }
        return events;
      });
}

/// Integer sums of type Total, which holds them all, and a prepared output program.
template <class Total>
Events add_by_tables(const RequantizeKernel& kernel, const AddInputs& in, const Tensor& lhs_table,
                     const Tensor& rhs_table, Tensor& output, const RunContext& context) {
  auto* out = static_cast<std::byte*>(output.raw());
  const auto element = static_cast<int64_t>(size_of(output.dtype()));
  return detail::for_blocks(
      context.pool, output.numel(), kSumBlock, [&](int64_t begin, int64_t end) {
        std::array<Total, kSumBlock> totals;
        sum_block(in, lhs_table.data<int64_t>(), rhs_table.data<int64_t>(), begin, end,
                  totals.data());
        const int64_t n = end - begin;
        return kernel.run(totals.data(), n, 1, 0, n, out + begin * element, n, context.isa, false);
      });
}

struct Range {
  int64_t min, max;
};
Range range_of(const Tensor& table) {
  const auto values = table.values<int64_t>();
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high};
}

}  // namespace

Add::Add(AddParams params) : params_(std::move(params)) {
  const auto refuse = [](const char* field, const char* found, const char* expected) {
    throw Error({ErrorCode::bad_value, fmt::format("add {}", field), found, expected, ""});
  };
  if (params_.lhs.program().input_is_real || params_.rhs.program().input_is_real) {
    refuse("lhs, rhs", "a program over float32", "programs over codes");
  }
  if (params_.lhs.output_is_real() != params_.rhs.output_is_real()) {
    refuse("lhs, rhs", "one integer, one float32", "the same kind on both sides");
  }
  if (params_.output.program().input_is_real != sums_reals()) {
    refuse("output", "a program over another kind than the sum",
           sums_reals() ? "a program over float32" : "a program over integers");
  }
  if (params_.output.output_is_real()) {
    refuse("output", "a program to float32", "a program to codes");
  }
  // Tables of 8-bit codes are made fast, and belong to what a lowered network holds.
  if (params_.lhs_type.bits <= 8 && params_.rhs_type.bits <= 8) prepared();
}

const Add::Prepared& Add::prepared() const {
  std::call_once(prepared_once_, [&] { prepare(prepared_); });
  return prepared_;
}

std::optional<Add::Operand> Add::make_operand(const Requantizer& program, IntType type) {
  if (type.bits > 16 || program.channels() != 1 || program.output_is_real()) return std::nullopt;
  Operand operand;
  operand.dtype = program.output_type().storage();
  // Leading "sub constant", "shl constant" whose results fit 32 bits need no kernel.
  StepProgram rest = program.program();
  const auto leads_with = [&](StepKind step) {
    return !rest.steps.empty() && rest.steps.front().kind == step &&
           rest.steps.front().a.kind == sim::Operand::Kind::integer;
  };
  const auto fits = [&](int64_t shift) {
    const int64_t limit = int64_t{1} << (31 - shift);
    return type.min() - operand.offset >= -limit && type.max() - operand.offset < limit;
  };
  constexpr int64_t kMaxOffset = 1 << 16;
  if (leads_with(StepKind::sub) && rest.steps.front().a.integer >= -kMaxOffset &&
      rest.steps.front().a.integer <= kMaxOffset) {
    operand.offset = rest.steps.front().a.integer;
    rest.steps.erase(rest.steps.begin());
  }
  if (leads_with(StepKind::shl) && rest.steps.front().a.integer <= 30 &&
      fits(rest.steps.front().a.integer)) {
    operand.shift = static_cast<int>(rest.steps.front().a.integer);
    rest.steps.erase(rest.steps.begin());
  }
  const auto count = int64_t{1} << type.bits;
  std::vector<int32_t> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    values[static_cast<size_t>(i)] =
        static_cast<int32_t>((type.min() + i - operand.offset) * (int64_t{1} << operand.shift));
  }
  Tensor results = Tensor::uninitialized(operand.dtype, Shape{count});
  try {
    operand.kernel =
        RequantizeKernel(Requantizer(std::move(rest), program.arguments(), program.output_type()),
                         values.front(), values.back());
    operand.kernel.run(values.data(), count, 1, 0, count, results.raw(), count, Isa::best, false);
  } catch (const Error&) {
    return std::nullopt;  // the norm reports the element, if the code occurs at all
  }
  detail::with_integer(operand.dtype, [&]<class T>() {
    const auto all = results.values<T>();
    const auto [low, high] = std::minmax_element(all.begin(), all.end());
    operand.min = static_cast<int64_t>(*low);
    operand.max = static_cast<int64_t>(*high);
  });
  return operand;
}

/// What the kernel of one operand takes, for output elements [begin, end).
void Add::load_codes(const detail::BroadcastRuns& runs, const Tensor& codes, const Operand& operand,
                     Side side, int64_t begin, int64_t end, int32_t* to) {
  const auto offset = static_cast<int32_t>(operand.offset);
  const int32_t unit = int32_t{1} << operand.shift;
  detail::with_integer(codes.dtype(), [&]<class Code>() {
    const Code* x = codes.data<Code>();
    runs.for_each(begin, end,
                  [&](int64_t first, int64_t l, int64_t l_stride, int64_t r, int64_t r_stride,
                      int64_t count) {
                    const Code* from = x + (side == Side::lhs ? l : r);
                    const int64_t stride = side == Side::lhs ? l_stride : r_stride;
                    int32_t* out = to + (first - begin);
                    for (int64_t i = 0; i < count; ++i) {
                      out[i] = (static_cast<int32_t>(from[i * stride]) - offset) * unit;
                    }
                  });
  });
}

void Add::prepare(Prepared& p) const {
  const bool subtracts = params_.kind == AddParams::Kind::sub;
  p.lhs_table = make_table(params_.lhs, params_.lhs_type, false);
  p.rhs_table = make_table(params_.rhs, params_.rhs_type, subtracts);
  const bool tables = !p.lhs_table.empty() && !p.rhs_table.empty();
  if (sums_reals()) return;
  Range lhs{}, rhs{};
  bool operands_fit_int32 = true;  // tables are summed in 64 bits
  if (tables) {
    lhs = range_of(p.lhs_table);
    rhs = range_of(p.rhs_table);
  } else {
    p.lhs_operand = make_operand(params_.lhs, params_.lhs_type);
    p.rhs_operand = make_operand(params_.rhs, params_.rhs_type);
    if (!p.lhs_operand || !p.rhs_operand || p.rhs_operand->min == INT64_MIN) return;
    lhs = {p.lhs_operand->min, p.lhs_operand->max};
    rhs = {p.rhs_operand->min, p.rhs_operand->max};
    operands_fit_int32 = lhs.min >= INT32_MIN && lhs.max <= INT32_MAX && rhs.min >= INT32_MIN &&
                         rhs.max <= INT32_MAX;
    if (subtracts) rhs = {-rhs.max, -rhs.min};
  }
  int64_t lowest = 0, highest = 0;
  if (params_.output.channels() != 1 || __builtin_add_overflow(lhs.min, rhs.min, &lowest) ||
      __builtin_add_overflow(lhs.max, rhs.max, &highest)) {
    p.lhs_table = {};
    p.lhs_operand.reset();
    return;
  }
  p.sums_fit_int32 = operands_fit_int32 && lowest >= INT32_MIN && highest <= INT32_MAX;
  p.kernel = RequantizeKernel(params_.output, lowest, highest);
}

template <class Total>
Events Add::add_by_kernels(const Tensor& lhs, const Tensor& rhs, Tensor& output,
                           const RunContext& context) const {
  const Prepared& p = prepared();
  const detail::BroadcastRuns runs(lhs.shape(), rhs.shape(), output.shape());
  auto* out = static_cast<std::byte*>(output.raw());
  const auto element = static_cast<int64_t>(size_of(output.dtype()));
  return detail::for_blocks(
      context.pool, output.numel(), kSumBlock, [&](int64_t begin, int64_t end) {
        const int64_t n = end - begin;
        std::array<int32_t, kSumBlock> codes;
        alignas(8) std::array<std::byte, 8 * kSumBlock> common;  // holds results of any width
        std::array<Total, kSumBlock> totals;
        Events events;
        const auto add_operand = [&](const Tensor& tensor, const Operand& operand, Side side) {
          load_codes(runs, tensor, operand, side, begin, end, codes.data());
          events += operand.kernel.run(codes.data(), n, 1, 0, n, common.data(), n, context.isa,
                                       context.count_events);
          detail::with_integer(operand.dtype, [&]<class T>() {
            const T* values = reinterpret_cast<const T*>(common.data());
            if (side == Side::lhs) {
              for (int64_t i = 0; i < n; ++i) totals[i] = static_cast<Total>(values[i]);
            } else if (params_.kind == AddParams::Kind::add) {
              for (int64_t i = 0; i < n; ++i) totals[i] += static_cast<Total>(values[i]);
            } else {
              for (int64_t i = 0; i < n; ++i) totals[i] -= static_cast<Total>(values[i]);
            }
          });
        };
        add_operand(lhs, *p.lhs_operand, Side::lhs);
        add_operand(rhs, *p.rhs_operand, Side::rhs);
        events += p.kernel.run(totals.data(), n, 1, 0, n, out + begin * element, n, context.isa,
                               context.count_events);
        return events;
      });
}

Shape Add::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 2);
  Shape out = detail::broadcast(kind(), inputs[0], inputs[1]);
  for (const Requantizer* program : {&params_.lhs, &params_.rhs, &params_.output}) {
    const int64_t channels = program->channels();
    if (channels != 1 && (out.rank() == 0 || out[out.rank() - 1] != channels)) {
      throw Error({ErrorCode::shape_mismatch, std::string(kind()), "output shape " + to_string(out),
                   fmt::format("{} channels on the last axis", channels), ""});
    }
  }
  return out;
}

DType Add::output_dtype() const { return params_.output.output_type().storage(); }

Events Add::run(std::span<const Tensor* const> inputs, Tensor& output,
                const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  detail::check_codes(kind(), "lhs", *inputs[0], params_.lhs_type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.rhs_type);
  const AddInputs in(inputs, output.shape());
  const auto by_norm = [&] {
    return sums_reals() ? add_norm<float>(params_, in, output, context)
                        : add_norm<int64_t>(params_, in, output, context);
  };
  Events events;
  if (context.isa == Isa::scalar) {
    events = by_norm();
    return context.count_events ? events : Events{};
  }
  const Prepared& p = prepared();
  const bool use_tables = !p.lhs_table.empty() && !p.rhs_table.empty() && !context.count_events;
  if (!use_tables && p.lhs_operand && p.rhs_operand) {
    events = p.sums_fit_int32 ? add_by_kernels<int32_t>(in.lhs, in.rhs, output, context)
                              : add_by_kernels<int64_t>(in.lhs, in.rhs, output, context);
  } else if (!use_tables) {
    events = by_norm();
  } else if (sums_reals()) {
    add_reals_by_tables(params_, in, p.lhs_table, p.rhs_table, output, context);
  } else if (p.sums_fit_int32) {
    add_by_tables<int32_t>(p.kernel, in, p.lhs_table, p.rhs_table, output, context);
  } else {
    add_by_tables<int64_t>(p.kernel, in, p.lhs_table, p.rhs_table, output, context);
  }
  return context.count_events ? events : Events{};
}

Explanation Add::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const FloatMode mode;
  const Shape shape = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, shape.numel());
  detail::check_codes(kind(), "lhs", *inputs[0], params_.lhs_type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.rhs_type);
  const AddInputs in(inputs, shape);
  const int64_t a = in.lhs.int_at(in.lhs_index(flat_index));
  const int64_t b = in.rhs.int_at(in.rhs_index(flat_index));
  Explanation explanation;
  const auto append = [&](const char* side, const std::vector<TracedStep>& steps) {
    for (TracedStep step : steps) {
      step.step = fmt::format("{}: {}", side, step.step);
      explanation.steps.push_back(std::move(step));
    }
  };
  const int64_t lhs_channel = channel_of(params_.lhs, flat_index, shape);
  const int64_t rhs_channel = channel_of(params_.rhs, flat_index, shape);
  const int64_t channel = channel_of(params_.output, flat_index, shape);
  append("lhs", params_.lhs.trace(a, lhs_channel));
  append("rhs", params_.rhs.trace(b, rhs_channel));
  Events ignored;
  const char* total_step = params_.kind == AddParams::Kind::add ? "lhs + rhs" : "lhs - rhs";
  if (sums_reals()) {
    const float total = sum(params_.lhs.apply_to_real(a, lhs_channel, ignored),
                            params_.rhs.apply_to_real(b, rhs_channel, ignored), params_.kind);
    explanation.steps.push_back(detail::real_step(total_step, total));
    append("output", params_.output.trace_real(total, channel));
    explanation.result = params_.output.apply_real(total, channel, ignored);
  } else {
    const int64_t total = sum(params_.lhs.apply(a, lhs_channel, ignored),
                              params_.rhs.apply(b, rhs_channel, ignored), params_.kind);
    explanation.steps.push_back(detail::integer_step(total_step, total));
    append("output", params_.output.trace(total, channel));
    explanation.result = params_.output.apply(total, channel, ignored);
  }
  return explanation;
}

}  // namespace facsim::sim
