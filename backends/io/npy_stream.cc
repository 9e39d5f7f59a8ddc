// SPDX-License-Identifier: Apache-2.0
#include "backends/io/npy_stream-internal.h"

#include <algorithm>
#include <cstring>

#include "backends/io/file-internal.h"

namespace facsim::backends {

namespace detail {

void require_end(const ReadBytes& read, uint64_t size, std::string_view place) {
  char extra = 0;
  if (read(&extra, 1) != 0) {
    throw Error({ErrorCode::bad_value, std::string(place), "more data than the directory claims",
                 std::to_string(size) + " bytes", ""});
  }
}

}  // namespace detail

ArrayStream::ArrayStream(const std::filesystem::path& npy) {
  auto in = std::make_shared<detail::RegularFile>(detail::open_regular_file(npy));
  const uint64_t size = in->size;
  impl_ = std::make_unique<Impl>(
      [in = std::move(in), npy](void* buffer, size_t count) {
        return detail::read_fully(in->fd.get(), buffer, count, npy);
      },
      size, npy.string());
}

ArrayStream::ArrayStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ArrayStream::~ArrayStream() = default;
ArrayStream::ArrayStream(ArrayStream&&) noexcept = default;
ArrayStream& ArrayStream::operator=(ArrayStream&&) noexcept = default;

DType ArrayStream::dtype() const { return impl_->opened.dtype; }
const Shape& ArrayStream::shape() const { return impl_->opened.header.shape; }

int64_t ArrayStream::read(void* elements, int64_t count) {
  Impl& in = *impl_;
  const int64_t taken = std::min(count, in.elements_left);
  if (taken <= 0) return 0;
  const size_t bytes = static_cast<size_t>(taken) * size_of(dtype());
  if (in.opened.as_stored) {
    const size_t got = in.read(elements, bytes);
    if (got != bytes) {
      throw Error({ErrorCode::bad_value, in.place, "data end here",
                   std::to_string(bytes - got) + " more bytes (file truncated)", ""});
    }
  } else {
    if (!in.decoded) in.decoded = detail::decode_elements(in.read, in.opened, in.place);
    const auto first = static_cast<size_t>(in.decoded->numel() - in.elements_left);
    std::memcpy(elements,
                static_cast<const std::byte*>(in.decoded->raw()) + first * size_of(dtype()), bytes);
  }
  in.elements_left -= taken;
  if (in.elements_left == 0) detail::require_end(in.read, in.size, in.place);
  return taken;
}

}  // namespace facsim::backends
