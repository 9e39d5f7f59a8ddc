// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/error.h"
#include "sim/core/tensor.h"

namespace facsim::backends::detail {

/// Largest array read from a file, header excluded.
inline constexpr uint64_t kMaxArrayBytes = uint64_t{1} << 30;
inline constexpr int kMaxRank = 32;

/// What the header of a .npy says. `descr` is numpy's type string ("<f4").
struct NpyHeader {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

/// Parses the header's Python dict literal {'descr': …, 'fortran_order': …, 'shape': …}: exactly
/// these three keys, literals only, nothing is evaluated. Error bad_value at "PLACE@BYTE", counting
/// from `offset`.
NpyHeader parse_npy_header(std::string_view text, std::string_view place, uint64_t offset);

/// Fills `count` bytes or fewer at the end of the data.
using ReadBytes = std::function<size_t(void* buffer, size_t count)>;

struct ElementType;

/// A .npy whose header was read and agrees with its size; the elements come next.
struct OpenedNpy {
  NpyHeader header;
  const ElementType* type = nullptr;
  DType dtype = DType::int8;  ///< of the tensor that decode_elements gives
  bool as_stored = false;     ///< the bytes are the tensor's, in C order
  uint64_t data_at = 0;
  uint64_t data_bytes = 0;
};
OpenedNpy open_npy(const ReadBytes& read, uint64_t size, std::string_view place);
Tensor decode_elements(const ReadBytes& read, const OpenedNpy& opened, std::string_view place);

/// Reads one .npy of `size` bytes. The header must agree with the size before memory is taken for
/// the elements. Element types the library has no DType for are converted where every value stays
/// exact (float64, uint32, uint64, bool), otherwise Error bad_value; other types are Error
/// unsupported.
Tensor decode_npy(const ReadBytes& read, uint64_t size, std::string_view place);

/// The elements of a float64 vector as they are. Error bad_value for anything else.
std::vector<double> decode_npy_float64(const ReadBytes& read, uint64_t size,
                                       std::string_view place);

/// Whether an array may have this name in a .npz. A leading '/' is a plain letter (ONNX tensors are
/// called "/conv1/Conv_output_0"); `..` and '\\' are refused: they only serve tools that extract.
bool is_array_name(std::string_view name);

/// Magic, version and padded header of a C-order array: what precedes the elements.
std::string encode_npy_header(const Tensor& tensor);

}  // namespace facsim::backends::detail
