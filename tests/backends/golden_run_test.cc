// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/golden_run-internal.h"

#include <doctest/doctest.h>

namespace facsim::backends::detail {
namespace {

Tensor counted(const Shape& shape) {
  Tensor tensor(DType::int8, shape);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, i * 7 % 251 - 125);
  return tensor;
}

/// [N, C, H, W] of [N, H, W, C].
Tensor nchw(const Tensor& nhwc) {
  const Shape& s = nhwc.shape();
  Tensor out(nhwc.dtype(), nchw_of(s));
  for (int64_t n = 0, i = 0; n < s[0]; ++n) {
    for (int64_t c = 0; c < s[3]; ++c) {
      for (int64_t p = 0; p < s[1] * s[2]; ++p) {
        out.set_int(i++, nhwc.int_at((n * s[1] * s[2] + p) * s[3] + c));
      }
    }
  }
  return out;
}

TEST_CASE("golden: NCHW is seen by values where C = H = W") {
  const Tensor own = counted({2, 3, 3, 3});
  const Tensor transposed = nchw(own);
  CHECK(count_of(differing(nhwc_from_nchw(transposed), own)) == 0);
  CHECK(is_nchw_by_values(own, transposed));
  CHECK_FALSE(is_nchw_by_values(own, own));
  Tensor close = own.clone();
  close.set_int(5, close.int_at(5) + 1);
  CHECK_FALSE(is_nchw_by_values(own, close));
  CHECK_FALSE(is_nchw_by_values(own, counted({2, 3, 3, 3})));
  Tensor noisy = transposed.clone();  // a device that also rounds otherwise
  for (int64_t i = 0; i < noisy.numel(); i += 5) noisy.set_int(i, noisy.int_at(i) ^ 1);
  CHECK(is_nchw_by_values(own, noisy));
  CHECK_FALSE(is_nchw_by_values(counted({2, 2, 2, 3}), counted({2, 2, 2, 3})));
}

TEST_CASE("golden: elements of every width are compared by their bytes") {
  for (const DType type : {DType::int8, DType::int16, DType::int32, DType::int64}) {
    Tensor a(type, {1, 9}), b(type, {1, 9});
    for (int64_t i = 0; i < 9; ++i) {
      a.set_int(i, i - 4);
      b.set_int(i, i == 3 ? 99 : i - 4);
    }
    const std::vector<char> flags = differing(a, b);
    CHECK(count_of(flags) == 1);
    CHECK(flags[3] == 1);
  }
}

}  // namespace
}  // namespace facsim::backends::detail
