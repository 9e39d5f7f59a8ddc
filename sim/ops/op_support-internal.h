// SPDX-License-Identifier: Apache-2.0
// What every op's .cc needs besides its numbers: checks of its inputs, typed dispatch, blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/core/types.h"
#include "sim/core/with_dtype.h"
#include "sim/ops/op.h"

namespace facsim::sim::detail {

/// Error shape_mismatch: the op takes another number of inputs.
void check_input_count(std::string_view kind, size_t found, size_t expected);

/// Error shape_mismatch unless `shape` is NHWC with channels >= 1.
void check_nhwc(std::string_view kind, const Shape& shape);

/// Error bad_value: dtype other than `type.storage()`, or a code outside a type that does not fill
/// its storage (int4 in int8), named with its flat index.
void check_codes(std::string_view kind, std::string_view role, const Tensor& codes, IntType type);

/// Error bad_value.
void check_dtype(std::string_view kind, std::string_view role, DType found, DType expected);
void check_flat_index(std::string_view kind, int64_t flat_index, int64_t numel);

/// Our callers allocate the output: CHECK.
void check_output(const Op& op, std::span<const Tensor* const> inputs, const Tensor& output);

std::vector<Shape> shapes_of(std::span<const Tensor* const> inputs);

using facsim::with_dtype;
using facsim::with_integer;

/// Not inlined, so that no float operation leaves the FloatMode scope of for_blocks.
template <class Body>
__attribute__((noinline)) Events run_block(const Body& body, int64_t begin, int64_t end) {
  return body(begin, end);
}

/// Calls body(begin, end) -> Events for blocks that cover [0, count), in any order, and sums their
/// events (integers: the order does not matter). Blocks run in the default floating-point mode, so
/// that one on the caller's thread has the same bits as one on a worker's.
template <class Body>
Events for_blocks(ThreadPool* pool, int64_t count, int64_t block, const Body& body) {
  Events total;
  std::mutex mutex;
  parallel_for(pool, (count + block - 1) / block, [&](int64_t i) {
    const FloatMode mode;
    const Events events = run_block(body, i * block, std::min(count, (i + 1) * block));
    const std::lock_guard lock(mutex);
    total += events;
  });
  return total;
}

/// Elements of one block of an elementwise op: input and output stay in the L1 cache.
inline constexpr int64_t kElementBlock = 8192;

/// An explanation's step with an integer result.
inline TracedStep integer_step(std::string step, int128 value) {
  return {std::move(step), false, value, 0};
}
inline TracedStep real_step(std::string step, float value) {
  return {std::move(step), true, 0, value};
}

/// What explains an element that is copied from element `source` of `input`.
Explanation copied_element(const Tensor& input, int64_t source);

}  // namespace facsim::sim::detail
