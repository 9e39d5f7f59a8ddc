// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "backends/io/npy.h"
#include "backends/io/npy_codec-internal.h"

namespace facsim::backends {

namespace detail {

/// Error bad_value if the source has more bytes than the `size` that its directory or file claims.
/// Of an archive's member the checksum is verified when the end is met.
void require_end(const ReadBytes& read, uint64_t size, std::string_view place);

}  // namespace detail

struct ArrayStream::Impl {
  Impl(detail::ReadBytes bytes, uint64_t bytes_in_all, std::string where)
      : read(std::move(bytes)),
        size(bytes_in_all),
        place(std::move(where)),
        opened(detail::open_npy(read, size, place)),
        elements_left(opened.header.shape.numel()) {}

  detail::ReadBytes read;
  uint64_t size;
  std::string place;
  detail::OpenedNpy opened;
  int64_t elements_left;
  std::optional<Tensor> decoded{};  ///< of arrays that are not stored as a Tensor is
};

}  // namespace facsim::backends
