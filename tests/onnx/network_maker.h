// SPDX-License-Identifier: Apache-2.0
// Small quantized ONNX networks, drawn at random, for comparing with a runtime.
#pragma once

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backends/onnx/onnx_model.h"

namespace facsim::test {

/// Scale and zero point of a tensor of 8-bit codes.
struct CodeScale {
  float scale = 1;
  int64_t zero_point = 0;
  backends::OnnxType type = backends::OnnxType::uint8;
};

/// A value of the network: its name and ONNX shape (batch on axis 0).
struct MadeValue {
  std::string name;
  std::vector<int64_t> shape;
};

/// A value of codes with their scale.
struct MadeCodes {
  std::string name;
  std::vector<int64_t> shape;
  CodeScale scale;
};

/// Builds one model and its inputs. Everything drawn comes from `seed`.
class NetworkMaker {
 public:
  using Attributes = std::vector<backends::OnnxAttribute>;

  explicit NetworkMaker(uint64_t seed, int64_t opset = 13);

  int64_t pick(int64_t low, int64_t high);  ///< both included
  bool coin() { return pick(0, 1) == 1; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + pick(0, static_cast<int64_t>(values.size()) - 1));
  }
  float real(float low, float high);

  /// A scale whose codes cover about [-range, range]; the zero point anywhere, or at the lowest
  /// code.
  CodeScale scale(backends::OnnxType type, float range, bool lowest_is_zero = false);

  /// Graph inputs: codes that fill their type, or reals of about [-range, range]. `batch` samples.
  MadeCodes input_codes(std::vector<int64_t> shape, const CodeScale& scale);
  MadeValue input_reals(std::vector<int64_t> shape, float range);
  void output(const std::string& name, backends::OnnxType type);

  std::string constant(backends::OnnxType type, const Tensor& values);
  std::string scalar(float value);
  std::string scalar_code(backends::OnnxType type, int64_t value);
  std::string int64s(std::vector<int64_t> values);
  std::string reals(std::vector<float> values);
  /// Random codes of a type, in all its range.
  Tensor codes(backends::OnnxType type, std::vector<int64_t> shape);

  /// A node with one output; gives its name.
  std::string node(const std::string& op, std::vector<std::string> inputs,
                   Attributes attributes = {}, const std::string& domain = "");
  /// A node with several outputs.
  std::vector<std::string> parts(const std::string& op, std::vector<std::string> inputs,
                                 Attributes attributes, int count);
  std::string quantize(const std::string& x, const CodeScale& scale);
  std::string dequantize(const std::string& x, const CodeScale& scale);
  std::string scale_name(const CodeScale& scale) { return scalar(scale.scale); }
  std::string zero_name(const CodeScale& scale) {
    return scalar_code(scale.type, scale.zero_point);
  }

  /// Weights and int32 bias of a layer.
  struct Layer {
    std::string codes, scale, zero_point, bias, bias_scale, bias_zero_point;
  };
  /// `axis`: that of the output channels; with `per_channel` each has a scale.
  Layer layer(backends::OnnxType type, const std::vector<int64_t>& shape, int axis,
              bool per_channel, float input_scale, float weight_range);

  const backends::OnnxModel& model() const { return model_; }
  const std::vector<std::pair<std::string, Tensor>>& inputs() const { return inputs_; }
  static constexpr int64_t kBatch = 3;

 private:
  std::string fresh(const std::string& stem) { return stem + "_" + std::to_string(names_++); }

  backends::OnnxModel model_;
  std::vector<std::pair<std::string, Tensor>> inputs_;
  std::mt19937_64 random_;
  int names_ = 0;
};

}  // namespace facsim::test
