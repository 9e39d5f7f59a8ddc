// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/min_max.h"

#include <algorithm>
#include <string>

#include "sim/ops/broadcast-internal.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

namespace {

struct Smaller {
  template <class T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Larger {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

template <class T, class Choose>
void choose_elements(const Tensor& lhs, const Tensor& rhs, Tensor& output, Choose choose,
                     ThreadPool* pool) {
  const detail::BroadcastRuns runs(lhs.shape(), rhs.shape(), output.shape());
  const T* a = lhs.data<T>();
  const T* b = rhs.data<T>();
  T* y = output.data<T>();
  detail::for_blocks(pool, output.numel(), detail::kElementBlock, [&](int64_t begin, int64_t end) {
    runs.for_each(begin, end,
                  [&](int64_t first, int64_t l, int64_t l_stride, int64_t r, int64_t r_stride,
                      int64_t count) {
                    const T* __restrict x0 = a + l;
                    const T* __restrict x1 = b + r;
                    T* __restrict to = y + first;
                    if (l_stride == 1 && r_stride == 1) {
                      for (int64_t i = 0; i < count; ++i) to[i] = choose(x0[i], x1[i]);
                    } else if (l_stride == 1) {
                      for (int64_t i = 0; i < count; ++i) to[i] = choose(x0[i], *x1);
                    } else {
                      for (int64_t i = 0; i < count; ++i) to[i] = choose(*x0, x1[i * r_stride]);
                    }
                  });
    return Events{};
  });
}

}  // namespace

Shape MinMax::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 2);
  return detail::broadcast(kind(), inputs[0], inputs[1]);
}

Events MinMax::run(std::span<const Tensor* const> inputs, Tensor& output,
                   const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  detail::check_codes(kind(), "lhs", *inputs[0], params_.type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.type);
  detail::with_integer(output.dtype(), [&]<class T>() {
    if (params_.kind == MinMaxParams::Kind::minimum) {
      choose_elements<T>(*inputs[0], *inputs[1], output, Smaller{}, context.pool);
    } else {
      choose_elements<T>(*inputs[0], *inputs[1], output, Larger{}, context.pool);
    }
  });
  return {};
}

std::vector<SourceElement> MinMax::sources(std::span<const Shape> inputs,
                                           int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  return detail::broadcast_sources(inputs, out, flat_index);
}

Explanation MinMax::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_codes(kind(), "lhs", *inputs[0], params_.type);
  detail::check_codes(kind(), "rhs", *inputs[1], params_.type);
  const int64_t a = inputs[0]->int_at(detail::BroadcastIndex(inputs[0]->shape(), out)(flat_index));
  const int64_t b = inputs[1]->int_at(detail::BroadcastIndex(inputs[1]->shape(), out)(flat_index));
  Explanation explanation;
  explanation.result =
      params_.kind == MinMaxParams::Kind::minimum ? std::min(a, b) : std::max(a, b);
  explanation.steps = {detail::integer_step("lhs", a), detail::integer_step("rhs", b),
                       detail::integer_step(std::string(kind()), explanation.result)};
  return explanation;
}

}  // namespace facsim::sim
