// SPDX-License-Identifier: Apache-2.0
// Random convolutions, and what every kernel must do with them: the norm's bits.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "sim/ops/conv2d.h"
#include "sim/requantize/programs.h"

namespace facsim::sim::test {

/// Which codes a tensor is filled with.
enum class Fill { random, lowest, highest, extremes };

struct Conv2dCase {
  int64_t n = 1, ih = 5, iw = 5, group_ic = 3, group_oc = 4, groups = 1;
  int64_t kh = 3, kw = 3;
  std::array<int64_t, 2> stride{1, 1}, dilation{1, 1};
  Padding2d padding{1, 1, 1, 1};
  IntType input_type = kInt8, weight_type = kInt8;
  int64_t input_zero_point = 0, padding_value = 0;
  int64_t weight_zero_point = 0;
  bool weight_zero_point_per_channel = false;
  bool has_bias = true;
  Accumulator accumulator;
  Fill input_fill = Fill::random, weight_fill = Fill::random;
  uint64_t seed = 1;

  std::string text() const {
    std::ostringstream out;
    out << "conv2d_" << kh << "x" << kw << "_" << n << "x" << ih << "x" << iw << "x"
        << groups * group_ic << "_oc" << groups * group_oc << "_g" << groups << "_st" << stride[0]
        << stride[1] << "_dil" << dilation[0] << dilation[1] << "_pad" << padding.top
        << padding.left << padding.bottom << padding.right << "_"
        << (input_type.is_signed ? "i" : "u") << input_type.bits << "x"
        << (weight_type.is_signed ? "i" : "u") << weight_type.bits << "_zx" << input_zero_point
        << "_pv" << padding_value << "_zw" << weight_zero_point
        << (weight_zero_point_per_channel ? "c" : "") << "_acc" << accumulator.bits
        << to_string(accumulator.overflow) << " seed " << seed;
    return out.str();
  }

  Shape input_shape() const { return {n, ih, iw, groups * group_ic}; }
  int64_t oc() const { return groups * group_oc; }
};

inline Tensor filled(IntType type, const Shape& shape, Fill fill, std::mt19937_64& random) {
  Tensor t(type.storage(), shape);
  const auto span = static_cast<uint64_t>(type.max() - type.min()) + 1;
  for (int64_t i = 0; i < t.numel(); ++i) {
    switch (fill) {
      case Fill::random:
        t.set_int(i, type.min() + static_cast<int64_t>(random() % span));
        break;
      case Fill::lowest:
        t.set_int(i, type.min());
        break;
      case Fill::highest:
        t.set_int(i, type.max());
        break;
      case Fill::extremes:
        t.set_int(i, random() % 2 == 0 ? type.min() : type.max());
        break;
    }
  }
  return t;
}

struct Conv2dInstance {
  Conv2dParams params;
  Tensor input;
};

inline Conv2dInstance make_instance(const Conv2dCase& c) {
  std::mt19937_64 random(c.seed);
  Conv2dInstance made;
  Conv2dParams& p = made.params;
  p.window = {{c.kh, c.kw}, c.stride, c.dilation, c.padding};
  p.groups = c.groups;
  p.input_type = c.input_type;
  p.weight_type = c.weight_type;
  p.input_zero_point = c.input_zero_point;
  p.padding_value = c.padding_value;
  p.weight_zero_point = {c.weight_zero_point};
  if (c.weight_zero_point_per_channel) {
    p.weight_zero_point.clear();
    const auto span = static_cast<uint64_t>(c.weight_type.max() - c.weight_type.min()) + 1;
    for (int64_t i = 0; i < c.oc(); ++i) {
      p.weight_zero_point.push_back(c.weight_type.min() + static_cast<int64_t>(random() % span));
    }
  }
  p.accumulator = c.accumulator;
  p.weights = filled(c.weight_type, {c.oc(), c.kh, c.kw, c.group_ic}, c.weight_fill, random);
  if (c.has_bias) p.bias = filled({18, true}, {c.oc()}, Fill::random, random);
  Arguments arguments;
  for (int64_t i = 0; i < c.oc(); ++i) {
    arguments.integers["multiplier"].push_back((int64_t{1} << 30) +
                                               static_cast<int64_t>(random() % (1u << 30)));
    arguments.integers["shift"].push_back(static_cast<int64_t>(random() % 10));
  }
  arguments.integers["left_shift"] = {0};
  arguments.integers["zero_point"] = {-3};
  arguments.integers["clamp_min"] = {-128};
  arguments.integers["clamp_max"] = {127};
  p.requantize = Requantizer(programs::fixed_point_double(kInt8), arguments, kInt8);
  made.input = filled(c.input_type, c.input_shape(), c.input_fill, random);
  return made;
}

inline Shape conv2d_output_shape(const Conv2dParams& p, const Tensor& input) {
  const auto extent = p.window.output_extent(input.shape()[1], input.shape()[2]);
  return {input.shape()[0], extent[0], extent[1], p.weights.shape()[0]};
}

inline Tensor accumulate(const Conv2dInstance& made, const RunContext& context,
                         Events* events = nullptr, AccumulatorStatistics* statistics = nullptr) {
  Tensor acc = Tensor::uninitialized(accumulator_dtype(made.params.accumulator),
                                     conv2d_output_shape(made.params, made.input));
  std::memset(acc.raw(), 0x55, acc.bytes());
  const Events counted =
      statistics == nullptr ? conv2d_accumulate(made.params, made.input, acc, context)
                            : conv2d_accumulate(made.params, made.input, acc, *statistics, context);
  if (events != nullptr) *events = counted;
  return acc;
}

/// Index of the first difference, or -1.
inline int64_t first_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.dtype() == b.dtype());
  REQUIRE(a.shape() == b.shape());
  if (std::memcmp(a.raw(), b.raw(), a.bytes()) == 0) return -1;
  for (int64_t i = 0; i < a.numel(); ++i) {
    if (a.int_at(i) != b.int_at(i)) return i;
  }
  return -1;
}

/// "" if the tensors are equal, else where and how they differ first.
inline std::string difference(const Tensor& got, const Tensor& expected) {
  const int64_t i = first_difference(got, expected);
  if (i < 0) return "";
  return "index " + std::to_string(i) + " got " + std::to_string(got.int_at(i)) + " expected " +
         std::to_string(expected.int_at(i));
}

/// Accumulators, codes and events of every isa and of 1 and 3 threads against the norm.
inline void expect_kernels_equal_norm(const Conv2dCase& c) {
  const Conv2dInstance made = make_instance(c);
  INFO(c.text());
  Events norm_events;
  const Tensor norm = accumulate(made, {Isa::scalar, nullptr, true}, &norm_events);
  const Conv2d conv(made.params);
  const Tensor* const inputs[] = {&made.input};
  Tensor norm_codes(conv.output_dtype(), norm.shape());
  const Events code_events = conv.run(inputs, norm_codes, {Isa::scalar, nullptr, true});
  ThreadPool pool(3);
  for (const Isa isa : available_isas()) {
    for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
      for (const bool count : {false, true}) {
        INFO("isa ", to_string(isa), " threads ", threads == nullptr ? 1 : 3, " count ", count);
        const RunContext context{isa, threads, count};
        Events events;
        const Tensor acc = accumulate(made, context, &events);
        CHECK(difference(acc, norm) == "");
        Tensor codes(conv.output_dtype(), norm.shape());
        const Events run_events = conv.run(inputs, codes, context);
        CHECK(difference(codes, norm_codes) == "");
        if (count) {
          CHECK(events == norm_events);
          CHECK(run_events == code_events);
        }
      }
    }
  }
}

}  // namespace facsim::sim::test
