// SPDX-License-Identifier: Apache-2.0
// One tester for every op: all kernels and thread counts against the scalar norm, the norm against
// explain(), element by element.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/ops/in_place.h"
#include "sim/ops/op.h"
#include "sim/ops/sources.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim::test {

/// Uniform codes of a type; the first elements are its extremes.
inline Tensor random_codes(IntType type, const Shape& shape, uint64_t seed) {
  std::mt19937_64 random(seed);
  Tensor codes(type.storage(), shape);
  const auto span = static_cast<uint64_t>(type.max() - type.min()) + 1;
  for (int64_t i = 0; i < codes.numel(); ++i) {
    codes.set_int(i, type.min() + static_cast<int64_t>(random() % span));
  }
  if (codes.numel() > 0) codes.set_int(0, type.min());
  if (codes.numel() > 1) codes.set_int(1, type.max());
  return codes;
}

/// A requantizer that leaves the accumulator as it is.
inline Requantizer accumulator_as_output(IntType output) {
  StepProgram program;
  program.steps = {{.kind = StepKind::add, .a = Operand::constant(0), .b = {}}};
  return Requantizer(program, {}, output);
}

template <class T>
Tensor tensor(const Shape& shape, const std::vector<T>& values) {
  return Tensor::from<T>(shape, values);
}

inline Tensor run(const Op& op, const std::vector<const Tensor*>& inputs, const RunContext& context,
                  Events* events = nullptr) {
  std::vector<Shape> shapes;
  for (const Tensor* input : inputs) shapes.push_back(input->shape());
  Tensor output = Tensor::uninitialized(op.output_dtype(), op.output_shape(shapes));
  std::memset(output.raw(), 0x55, output.bytes());
  const Events counted = op.run(inputs, output, context);
  if (events != nullptr) *events = counted;
  return output;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

/// The same tensor with every element but those of `kept` as its first one.
inline Tensor only(const Tensor& tensor, const std::vector<int64_t>& kept) {
  Tensor other = tensor.clone();
  const size_t width = size_of(tensor.dtype());
  auto* to = static_cast<std::byte*>(other.raw());
  const auto* from = static_cast<const std::byte*>(tensor.raw());
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    std::memcpy(to + static_cast<size_t>(i) * width, from, width);
  }
  for (const int64_t i : kept) {
    const size_t at = static_cast<size_t>(i) * width;
    std::memcpy(to + at, from + at, width);
  }
  return other;
}

/// An element depends on its sources and on no other element of the inputs.
inline void check_sources(const Op& op, const std::vector<const Tensor*>& inputs,
                          const Tensor& norm) {
  if (norm.empty()) return;
  std::vector<Shape> shapes;
  for (const Tensor* input : inputs) shapes.push_back(input->shape());
  // An element of padding has no source; an op that cannot say has none at all.
  const bool says = op.kind() == "pad" || !sources_of(op, shapes, 0).empty();
  if (!says) return;
  const size_t width = size_of(norm.dtype());
  const auto* expected = static_cast<const std::byte*>(norm.raw());
  for (int64_t i = 0; i < norm.numel(); i += std::max<int64_t>(1, norm.numel() / 12)) {
    CAPTURE(i);
    std::vector<std::vector<int64_t>> kept(inputs.size());
    for (const auto& [input, flat_index] : sources_of(op, shapes, i)) {
      kept.at(static_cast<size_t>(input)).push_back(flat_index);
    }
    std::vector<Tensor> others;
    std::vector<const Tensor*> pointers;
    for (size_t k = 0; k < inputs.size(); ++k) others.push_back(only(*inputs[k], kept[k]));
    for (const Tensor& other : others) pointers.push_back(&other);
    const Tensor output = run(op, pointers, {Isa::scalar, nullptr, false});
    const size_t at = static_cast<size_t>(i) * width;
    CHECK(std::memcmp(static_cast<const std::byte*>(output.raw()) + at, expected + at, width) == 0);
  }
}

/// The norm's output, after checking that every other way to run gives the same bits, in the
/// input's memory as well where the op may work there.
inline Tensor run_everywhere(const Op& op, const std::vector<const Tensor*>& inputs,
                             Events* events = nullptr) {
  Events norm_events;
  const Tensor norm = run(op, inputs, {Isa::scalar, nullptr, true}, &norm_events);
  ThreadPool pool(3);
  const auto* in_place = dynamic_cast<const InPlaceOp*>(&op);
  for (const Isa isa : available_isas()) {
    for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
      for (const bool count : {false, true}) {
        CAPTURE(to_string(isa));
        CAPTURE(count);
        Events counted;
        CHECK(same_bits(norm, run(op, inputs, {isa, threads, count}, &counted)));
        CHECK(counted == (count ? norm_events : Events{}));
        if (in_place == nullptr || !in_place->may_overwrite_input()) continue;
        Tensor memory = inputs[0]->clone();
        const Tensor* const same[] = {&memory};
        op.run(same, memory, {isa, threads, count});
        CHECK(same_bits(norm, memory));
      }
    }
  }
  check_sources(op, inputs, norm);
  if (norm.dtype() != DType::float32) {
    for (int64_t i = 0; i < norm.numel(); ++i) {
      const Explanation explanation = op.explain(inputs, i);
      CAPTURE(i);
      REQUIRE(explanation.result == norm.int_at(i));
      REQUIRE_FALSE(explanation.steps.empty());
      const TracedStep& last = explanation.steps.back();
      if (!last.is_real) REQUIRE(last.integer == explanation.result);
    }
  }
  CHECK_THROWS_AS(op.explain(inputs, norm.numel()), Error);
  CHECK_THROWS_AS(op.explain(inputs, -1), Error);
  if (events != nullptr) *events = norm_events;
  return norm;
}

inline std::vector<int64_t> ints(const Tensor& t) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < t.numel(); ++i) values.push_back(t.int_at(i));
  return values;
}

/// The code of the Error that `body` throws; fails if it throws none. `text` must occur in it.
template <class Body>
ErrorCode error_of(const Body& body, const std::string& text) {
  try {
    body();
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(std::string(error.what()).find(text) != std::string::npos);
    return error.code();
  }
  FAIL("no error; expected one about \"" << text << "\"");
  return ErrorCode::io;
}

}  // namespace facsim::sim::test
