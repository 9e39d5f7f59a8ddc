// SPDX-License-Identifier: Apache-2.0
// What the node tests need of ONNX files: a reader of the protobuf wire format for the few messages
// and fields a backend node test has.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sim/core/tensor.h"

namespace facsim::test {

/// An ONNX tensor; 2- and 4-bit codes one per byte, sign-extended.
struct OnnxTensor {
  std::string name;
  std::string type;  ///< ONNX's word in lower case: "uint8", "int4", "float8e4m3fn", …
  Tensor values;     ///< empty for types without one of our dtypes (see `type`)
};

struct OnnxTestNode {
  std::string op;
  std::vector<std::string> inputs, outputs;  ///< names; empty: an optional input left out
  std::map<std::string, std::vector<int64_t>> integers;
  std::map<std::string, std::string> strings;
};

struct OnnxTestModel {
  std::vector<OnnxTestNode> nodes;
  std::vector<std::string> inputs, outputs;
};

/// Throws std::runtime_error with the file's name for damaged data.
OnnxTestModel read_onnx_model(const std::filesystem::path& file);
/// TensorProto in a file of its own (test_data_set_*/input_0.pb).
OnnxTensor read_onnx_tensor(const std::filesystem::path& file);

}  // namespace facsim::test
