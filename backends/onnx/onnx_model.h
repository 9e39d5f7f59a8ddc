// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/core/error.h"
#include "sim/core/tensor.h"

namespace facsim::backends {

/// Element types of an ONNX tensor (TensorProto.DataType in onnx.proto), with ONNX's numbers.
enum class OnnxType : int32_t {
  undefined = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  string = 8,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bfloat16 = 16,
  float8e4m3fn = 17,
  float8e4m3fnuz = 18,
  float8e5m2 = 19,
  float8e5m2fnuz = 20,
  uint4 = 21,
  int4 = 22,
  float4e2m1 = 23,
  float8e8m0 = 24,
  uint2 = 25,
  int2 = 26,
};

/// "float32", "int4", "bool", …; "type 99" for a number without a name.
std::string to_string(OnnxType type);

/// How facsim holds the values of a type: float16, bfloat16 and float64 as float32 (float64 rounds,
/// half even), bool and the unsigned 2- and 4-bit types as uint8, their signed fellows as int8, one
/// per element, uint32 and uint64 as int64. Nothing for types it does not hold (string, complex, 4-
/// and 8-bit floats).
std::optional<DType> storage_of(OnnxType type);
/// The logical integer type of codes ("int4" for 4 bits in int8); nothing for other types.
std::optional<sim::IntType> code_type(OnnxType type);
/// The reverse, for the types of 2, 4, 8, 16 and 32 bits that ONNX has.
std::optional<OnnxType> onnx_type(sim::IntType type);

/// A TensorProto. `values` has the file's shape (rank 0: a scalar), and nothing in it for a type
/// that storage_of() does not know.
struct OnnxTensor {
  std::string name;
  OnnxType type = OnnxType::undefined;
  Tensor values;
};

/// What facsim does not read of an attribute: subgraphs, sparse tensors, types, lists of tensors.
struct OnnxOpaque {
  int kind = 0;  ///< AttributeProto.AttributeType
};

struct OnnxAttribute {
  std::string name;
  std::variant<OnnxOpaque, int64_t, float, std::string, OnnxTensor, std::vector<int64_t>,
               std::vector<float>, std::vector<std::string>>
      value;
};

struct OnnxNode {
  std::string op_type;
  std::string domain;                        ///< "" is ONNX's own, also written "ai.onnx" in files
  std::string name;                          ///< may be empty
  std::vector<std::string> inputs, outputs;  ///< value names; empty: an optional one left out
  std::vector<OnnxAttribute> attributes;
};

/// A size that is known, or the name it has in the file ("batch", or "" for one without a name).
using OnnxDim = std::variant<int64_t, std::string>;

struct OnnxValueInfo {
  std::string name;
  OnnxType type = OnnxType::undefined;       ///< undefined: no tensor, or not said
  std::optional<std::vector<OnnxDim>> dims;  ///< nothing: the rank is not said
};

struct OnnxGraph {
  std::string name;
  std::vector<OnnxNode> nodes;  ///< in topological order
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxValueInfo> inputs, outputs, values;  ///< `inputs` may name initializers too
};

struct OnnxOpset {
  std::string domain;
  int64_t version = 0;
};

/// An ONNX file as plain data: what is written in it, without a meaning of its operators. Doc
/// strings, training information, quantization annotations and functions are left out.
struct OnnxModel {
  int64_t ir_version = 8;
  std::string producer_name, producer_version;
  std::vector<OnnxOpset> opsets;
  OnnxGraph graph;
  std::vector<std::pair<std::string, std::string>> metadata;
};

inline constexpr int64_t kMaxOnnxIrVersion = 13;
inline constexpr int64_t kMaxOnnxOpset = 26;

/// Reads a model. Nodes come out in topological order (the file's, where that is one). External
/// data are read from regular files below the model's own folder, reached through no symbolic or
/// hard link. Checked: wire format, lengths before anything is allocated, nesting, UTF-8 of names,
/// element counts, opsets, and that every value has one maker and no cycle leads back to it.
/// Errors: io; bad_value or unsupported with "FILE@BYTE" for damage, else with the tensor's or
/// node's name.
OnnxModel read_onnx_model(const std::filesystem::path& file);
/// A model in memory. External data are refused.
OnnxModel parse_onnx_model(std::string_view bytes, std::string_view place);
/// A TensorProto in a file of its own.
OnnxTensor read_onnx_tensor(const std::filesystem::path& file);

/// Writes a model into one file, tensors as raw data; atomic. Reading it gives the same model.
/// Error unsupported for tensors and attributes whose values facsim does not hold; bad_value for a
/// value outside its type, or a file of more than 2 GiB.
void write_onnx_model(const std::filesystem::path& file, const OnnxModel& model);
std::string onnx_bytes(const OnnxModel& model);

/// node "conv1" (Conv), or by its first output where it has no name.
std::string place_of(const OnnxNode& node);
/// Version of a domain that the model imports ("" and "ai.onnx" are one), 0 if none.
int64_t opset_version(const OnnxModel& model, std::string_view domain);

const OnnxAttribute* find_attribute(const OnnxNode& node, std::string_view name);
/// Value of an attribute, or `fallback` when it is absent. Error bad_value with the node's name if
/// it has another kind.
int64_t integer_attribute(const OnnxNode& node, std::string_view name, int64_t fallback);
float real_attribute(const OnnxNode& node, std::string_view name, float fallback);
std::string string_attribute(const OnnxNode& node, std::string_view name, std::string fallback);
std::vector<int64_t> integers_attribute(const OnnxNode& node, std::string_view name,
                                        std::vector<int64_t> fallback);

}  // namespace facsim::backends
