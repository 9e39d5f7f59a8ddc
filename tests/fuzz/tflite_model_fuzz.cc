// SPDX-License-Identifier: Apache-2.0
// .tflite files whose flatbuffer is intact and whose contents are not: the input is a list of
// changes to the fields of a small network. Gets past the verifier, to our own checks and to what
// runs then.
#include <algorithm>
#include <array>
#include <memory>

#include "backends/tflite/read_tflite.h"
#include "backends/tflite/schema-internal.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tflite_files.h"

namespace facsim::fuzz {

namespace {

namespace tflite = backends::tflite;

/// Takes numbers from the input; 0 at its end.
class Numbers {
 public:
  Numbers(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ >= size_; }
  uint8_t byte() { return empty() ? uint8_t{0} : data_[at_++]; }
  size_t below(size_t end) { return end == 0 ? 0 : byte() % end; }
  /// Mostly small, sometimes an end of a range.
  int32_t value() {
    constexpr std::array<int32_t, 12> kEnds{INT32_MAX, INT32_MIN, 65535, 65536, 65537, -65536,
                                            1 << 20,   1 << 30,   127,   -128,  255,   32768};
    const uint8_t b = byte();
    return b < 224 ? b % 16 - 4 : kEnds[b % kEnds.size()];
  }
  float real() {
    constexpr std::array<float, 10> kReals{0.0f, -1.0f, 1e-40f, 1e-13f, 1e30f,
                                           0.5f, 0.1f,  1e38f,  1.0f,   0x1p-15f};
    return kReals[below(kReals.size())];
  }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

template <class T>
void change_list(std::vector<T>& list, Numbers& in) {
  const uint8_t kind = in.byte();
  if (kind % 8 == 0) list.push_back(static_cast<T>(in.value()));
  if (kind % 8 == 1 && !list.empty()) list.pop_back();
  if (kind % 8 > 1 && !list.empty()) {
    list[in.below(list.size())] = static_cast<T>(in.value());
  }
}

void change_tensor(tflite::TensorT& tensor, Numbers& in) {
  switch (in.below(8)) {
    case 0:
      tensor.type = static_cast<tflite::TensorType>(in.below(20));
      break;
    case 1:
      tensor.buffer = static_cast<uint32_t>(in.below(12));
      break;
    case 2:
      tensor.is_variable = !tensor.is_variable;
      break;
    case 3:
      if (tensor.quantization) change_list(tensor.quantization->zero_point, in);
      break;
    case 4:
      if (tensor.quantization) tensor.quantization->quantized_dimension = in.value();
      break;
    case 5:
      if (!tensor.quantization) {
        tensor.quantization = std::make_unique<tflite::QuantizationParametersT>();
      }
      if (tensor.quantization->scale.empty() || in.byte() % 4 == 0) {
        tensor.quantization->scale.push_back(in.real());
        tensor.quantization->zero_point.push_back(0);
      } else {
        tensor.quantization->scale[in.below(tensor.quantization->scale.size())] = in.real();
      }
      break;
    default:
      change_list(tensor.shape, in);
  }
}

void change_options(tflite::BuiltinOptionsUnion& options, Numbers& in) {
  const auto activation = [&] { return static_cast<tflite::ActivationFunctionType>(in.below(6)); };
  const auto window = [&](auto& o) {
    o.stride_h = in.value();
    o.stride_w = in.value();
    o.padding = static_cast<tflite::Padding>(in.below(3));
    o.fused_activation_function = activation();
  };
  if (auto* conv = options.AsConv2DOptions()) {
    window(*conv);
    conv->dilation_h_factor = in.value();
  } else if (auto* depthwise = options.AsDepthwiseConv2DOptions()) {
    window(*depthwise);
    depthwise->depth_multiplier = in.value();
  } else if (auto* pool = options.AsPool2DOptions()) {
    window(*pool);
    pool->filter_height = in.value();
  } else if (auto* transposed = options.AsTransposeConvOptions()) {
    window(*transposed);
  } else if (auto* concat = options.AsConcatenationOptions()) {
    concat->axis = in.value();
  } else if (auto* pack = options.AsPackOptions()) {
    pack->axis = in.value();
  } else if (auto* gather = options.AsGatherOptions()) {
    gather->axis = in.value();
    gather->batch_dims = in.value();
  } else if (auto* unpack = options.AsUnpackOptions()) {
    unpack->axis = in.value();
  } else if (auto* svdf = options.AsSVDFOptions()) {
    svdf->rank = in.value();
  } else if (auto* slice = options.AsStridedSliceOptions()) {
    slice->begin_mask = in.value();
    slice->end_mask = in.value();
    slice->shrink_axis_mask = in.value();
    slice->offset = in.byte() % 2 == 0;
  } else {
    options.Reset();
  }
}

void change_operator(tflite::OperatorT& op, size_t codes, Numbers& in) {
  switch (in.below(5)) {
    case 0:
      change_list(op.inputs, in);
      break;
    case 1:
      change_list(op.outputs, in);
      break;
    case 2:
      op.opcode_index = static_cast<uint32_t>(in.below(codes + 1));
      break;
    default:
      change_options(op.builtin_options, in);
  }
}

void change_buffer(std::vector<uint8_t>& bytes, Numbers& in) {
  const uint8_t kind = bytes.empty() ? uint8_t{0} : in.byte();
  if (kind % 8 == 0) {
    bytes.resize(in.below(128));
  } else if (kind % 8 == 1) {
    constexpr std::array<int64_t, 6> kEnds{INT64_MAX,     INT64_MIN,        INT64_MAX - 1,
                                           INT64_MIN + 1, int64_t{1} << 62, int64_t{1} << 32};
    const auto value = static_cast<uint64_t>(kEnds[in.below(kEnds.size())]);
    const size_t at = in.below(bytes.size()) & ~size_t{7};
    for (size_t i = 0; i < 8 && at + i < bytes.size(); ++i) {
      bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
    }
  } else {
    // Little-endian integers, such as axes and sizes.
    const auto value = static_cast<uint32_t>(in.value());
    const size_t at = in.below(bytes.size()) & ~size_t{3};
    for (size_t i = 0; i < 4 && at + i < bytes.size(); ++i) {
      bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
    }
  }
}

void change(tflite::ModelT& model, Numbers& in) {
  tflite::SubGraphT& graph = *model.subgraphs[0];
  switch (in.below(8)) {
    case 0:
    case 1:
      return change_tensor(*graph.tensors[in.below(graph.tensors.size())], in);
    case 2:
    case 3:
      return change_operator(*graph.operators[in.below(graph.operators.size())],
                             model.operator_codes.size(), in);
    case 4:
      return change_buffer(model.buffers[in.below(model.buffers.size())]->data, in);
    case 5:
      return change_list(graph.inputs, in);
    case 6:
      return change_list(graph.outputs, in);
    default: {
      auto& code = *model.operator_codes[in.below(model.operator_codes.size())];
      code.builtin_code = static_cast<tflite::BuiltinOperator>(in.byte());
      code.deprecated_builtin_code =
          static_cast<int8_t>(std::min<int32_t>(static_cast<int32_t>(code.builtin_code), 127));
    }
  }
}

}  // namespace

/// The first byte names the network; every seed ends in changes that keep it good or nearly so.
std::vector<std::string> seeds() {
  std::vector<std::string> out;
  for (size_t i = 0; i < tflite_files().size(); ++i) {
    out.push_back(std::string(1, static_cast<char>(i)));
    out.push_back(out.back() + std::string(24, '\x07'));
  }
  return out;
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  static const std::vector<std::string> files = fuzz::tflite_files();
  fuzz::Numbers in(data, std::min<size_t>(size, 256));
  const std::string& file = files[in.below(files.size())];
  const std::unique_ptr<backends::tflite::ModelT> model =
      backends::tflite::UnPackModel(file.data());
  while (!in.empty()) fuzz::change(*model, in);
  flatbuffers::FlatBufferBuilder builder;
  backends::tflite::FinishModelBuffer(builder, backends::tflite::Model::Pack(builder, model.get()));
  try {
    fuzz::run_network(backends::parse_tflite(
        {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()}, "input"));
  } catch (const Error&) {
  }
  return 0;
}
