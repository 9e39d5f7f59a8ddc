// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "backends/onnx/onnx_external-internal.h"
#include "backends/onnx/onnx_message-internal.h"
#include "backends/onnx/onnx_model.h"

namespace facsim::backends::detail {

/// Bits of one element in raw data, 0 for types without storage.
int raw_bits(OnnxType type);
/// A type that onnx.proto defines, other than undefined.
bool is_known(OnnxType type);

/// Reads TensorProto messages of one model.
class OnnxTensorReader {
 public:
  /// `folder` has external data; null: there is none. `place` names the file.
  OnnxTensorReader(OnnxFolder* folder, std::string place)
      : folder_(folder), place_(std::move(place)) {}

  /// `what` says in errors what an unnamed tensor is.
  OnnxTensor read(OnnxMessage message, std::string_view what);

 private:
  struct Fields;
  Fields fields_of(OnnxMessage message) const;
  void read_elements(OnnxMessage message, const Fields& fields, OnnxTensor& out,
                     const std::string& where) const;
  void allocate(OnnxTensor& out, const Shape& shape, const std::string& where);

  OnnxFolder* folder_;
  std::string place_;
  uint64_t bytes_ = 0;  ///< of all tensors so far
};

/// Elements as in raw_data: little endian, codes of less than 8 bits packed, the first in the
/// lowest bits.
void decode_raw(std::string_view raw, OnnxTensor& out, const std::string& where);
std::string encode_raw(const OnnxTensor& tensor, const std::string& where);

/// Bit patterns of 16-bit floats as float32 (exact).
float from_float16(uint16_t bits);
float from_bfloat16(uint16_t bits);
/// The nearest, ties to even; too large: infinity.
uint16_t to_float16(float value);
uint16_t to_bfloat16(float value);

}  // namespace facsim::backends::detail
