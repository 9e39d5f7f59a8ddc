// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/permute.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "sim/core/error.h"

namespace facsim::backends {

Tensor permuted(const Tensor& tensor, std::span<const int> axes) {
  const Shape& from = tensor.shape();
  const auto rank = static_cast<size_t>(from.rank());
  std::vector<int> sorted(axes.begin(), axes.end());
  std::sort(sorted.begin(), sorted.end());
  bool is_permutation = axes.size() == rank;
  for (size_t i = 0; i < sorted.size(); ++i) is_permutation &= sorted[i] == static_cast<int>(i);
  if (!is_permutation) {
    throw Error({ErrorCode::shape_mismatch, "", "tensor of shape " + to_string(from),
                 "rank " + std::to_string(axes.size()), ""});
  }
  std::vector<int64_t> from_strides(rank, 1);
  for (size_t i = rank; i-- > 1;) from_strides[i - 1] = from_strides[i] * from[static_cast<int>(i)];
  std::vector<int64_t> extents(rank), strides(rank);
  for (size_t i = 0; i < rank; ++i) {
    extents[i] = from[axes[i]];
    strides[i] = from_strides[static_cast<size_t>(axes[i])];
  }
  Tensor out = Tensor::uninitialized(tensor.dtype(), Shape(extents));
  const size_t bytes = size_of(tensor.dtype());
  const auto* in = static_cast<const std::byte*>(tensor.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  std::vector<int64_t> index(rank, 0);
  int64_t offset = 0;
  for (int64_t i = 0; i < out.numel(); ++i) {
    std::memcpy(to + static_cast<size_t>(i) * bytes, in + static_cast<size_t>(offset) * bytes,
                bytes);
    for (size_t axis = rank; axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < extents[axis]) break;
      offset -= strides[axis] * extents[axis];
      index[axis] = 0;
    }
  }
  return out;
}

}  // namespace facsim::backends
