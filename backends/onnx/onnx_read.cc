// SPDX-License-Identifier: Apache-2.0
// The messages and fields of onnx.proto that facsim reads; others are skipped.
#include <cstring>
#include <unordered_set>

#include "backends/io/npy.h"
#include "backends/onnx/onnx_check-internal.h"
#include "backends/onnx/onnx_tensor-internal.h"

namespace facsim::backends {

namespace {

using detail::OnnxMessage;

constexpr uint64_t kMaxOnnxFile = uint64_t{1} << 31;
constexpr size_t kMaxOnnxNodes = size_t{1} << 17;
constexpr size_t kMaxOnnxMetadata = size_t{1} << 24;
constexpr int kMaxOnnxNesting = 100;  ///< protobuf's own limit

/// Domain "ai.onnx" is written "" here.
std::string domain_of(const OnnxMessage& message) {
  std::string domain = message.text();
  return domain == "ai.onnx" ? "" : domain;
}

class OnnxModelReader {
 public:
  OnnxModelReader(detail::OnnxFolder* folder, std::string place)
      : tensors_(folder, place), place_(std::move(place)) {}

  OnnxModel read(std::string_view bytes) {
    OnnxModel model;
    model.ir_version = 0;
    bool has_graph = false;
    OnnxMessage message(bytes, 0, place_);
    while (message.next()) {
      switch (message.field()) {
        case 1:
          model.ir_version = static_cast<int64_t>(message.number());
          break;
        case 2:
          model.producer_name = message.text();
          break;
        case 3:
          model.producer_version = message.text();
          break;
        case 7:
          if (has_graph) message.fail("two graphs");
          has_graph = true;
          model.graph = read_graph(message.message());
          break;
        case 8:
          model.opsets.push_back(read_opset(message.message()));
          break;
        case 14:
          model.metadata.push_back(read_metadata(message.message()));
          break;
        default:
          break;
      }
    }
    if (!has_graph) {
      throw Error({ErrorCode::bad_value, place_, "not an ONNX model: no graph", "", ""});
    }
    detail::check_and_sort(model, place_);
    return model;
  }

 private:
  /// AttributeProto.AttributeType.
  enum AttributeKind : uint64_t {
    kFloat = 1,
    kInt = 2,
    kString = 3,
    kTensor = 4,
    kFloats = 6,
    kInts = 7,
    kStrings = 8,
    kLastKind = 14,
  };

  static OnnxOpset read_opset(OnnxMessage message) {
    OnnxOpset opset;
    while (message.next()) {
      if (message.field() == 1) opset.domain = domain_of(message);
      if (message.field() == 2) opset.version = static_cast<int64_t>(message.number());
    }
    return opset;
  }

  static std::pair<std::string, std::string> read_metadata(OnnxMessage message) {
    std::pair<std::string, std::string> entry;
    while (message.next()) {
      if (message.field() == 1) entry.first = message.text();
      if (message.field() == 2) entry.second = message.text(kMaxOnnxMetadata);
    }
    return entry;
  }

  OnnxGraph read_graph(OnnxMessage message) {
    OnnxGraph graph;
    while (message.next()) {
      switch (message.field()) {
        case 1:
          if (graph.nodes.size() == kMaxOnnxNodes) {
            message.fail("more than " + std::to_string(kMaxOnnxNodes) + " nodes");
          }
          graph.nodes.push_back(read_node(message.message()));
          break;
        case 2:
          graph.name = message.text();
          break;
        case 5:
          graph.initializers.push_back(tensors_.read(message.message(), "initializer"));
          break;
        case 11:
          graph.inputs.push_back(read_value(message.message()));
          break;
        case 12:
          graph.outputs.push_back(read_value(message.message()));
          break;
        case 13:
          graph.values.push_back(read_value(message.message()));
          break;
        case 15:
          throw Error({ErrorCode::unsupported, place_, "sparse initializers", "dense ones", ""});
        default:
          break;
      }
    }
    return graph;
  }

  OnnxNode read_node(OnnxMessage message) {
    OnnxNode node;
    while (message.next()) {
      switch (message.field()) {
        case 1:
          node.inputs.push_back(message.text());
          break;
        case 2:
          node.outputs.push_back(message.text());
          break;
        case 3:
          node.name = message.text();
          break;
        case 4:
          node.op_type = message.text();
          break;
        case 5:
          node.attributes.push_back(read_attribute(message.message()));
          break;
        case 7:
          node.domain = domain_of(message);
          break;
        default:
          break;
      }
    }
    std::unordered_set<std::string_view> names;
    for (const OnnxAttribute& attribute : node.attributes) {
      if (names.insert(attribute.name).second) continue;
      throw Error({ErrorCode::bad_value, place_of(node),
                   "attribute \"" + attribute.name + "\" twice", "once", ""});
    }
    return node;
  }

  OnnxAttribute read_attribute(OnnxMessage message) {
    OnnxAttribute out;
    uint64_t kind = 0;     // as the file says
    uint64_t present = 0;  // of the last field with a value
    int64_t integer = 0;
    float real = 0;
    std::string string;
    OnnxTensor tensor;
    std::vector<int64_t> integers;
    std::vector<float> reals;
    std::vector<std::string> strings;
    const auto value_field = [&](uint64_t its_kind) {
      if (present != 0 && present != its_kind) message.fail("an attribute with two values");
      present = its_kind;
    };
    while (message.next()) {
      switch (message.field()) {
        case 1:
          out.name = message.text();
          break;
        case 2:
          value_field(kFloat);
          real = message.real();
          break;
        case 3:
          value_field(kInt);
          integer = static_cast<int64_t>(message.number());
          break;
        case 4:
          value_field(kString);
          string = std::string(message.data());
          break;
        case 5:
          value_field(kTensor);
          tensor = tensors_.read(message.message(), "tensor of an attribute");
          break;
        case 7: {
          value_field(kFloats);
          const std::string_view data = message.fixed_width(sizeof(float));
          const size_t count = reals.size();
          reals.resize(count + data.size() / sizeof(float));
          if (!data.empty()) std::memcpy(reals.data() + count, data.data(), data.size());
          break;
        }
        case 8:
          value_field(kInts);
          message.append_integers(integers);
          break;
        case 9:
          value_field(kStrings);
          strings.emplace_back(message.data());
          break;
        case 6:   // subgraph
        case 11:  // subgraphs
          value_field(message.field() - 1);
          check_nesting(message.message(), Nested::graph, 3);
          break;
        case 20:
          kind = message.number();
          if (kind > kLastKind) message.fail("attribute type " + std::to_string(kind));
          break;
        default:
          break;
      }
    }
    if (kind == 0) kind = present;
    if (present != 0 && present != kind && !(is_opaque(present) && is_opaque(kind))) {
      message.fail("attribute \"" + out.name + "\" of type " + std::to_string(kind) +
                   " with a value of type " + std::to_string(present));
    }
    switch (kind) {
      case kFloat:
        out.value = real;
        break;
      case kInt:
        out.value = integer;
        break;
      case kString:
        out.value = std::move(string);
        break;
      case kTensor:
        if (present == 0) message.fail("attribute \"" + out.name + "\" without its tensor");
        out.value = std::move(tensor);
        break;
      case kFloats:
        out.value = std::move(reals);
        break;
      case kInts:
        out.value = std::move(integers);
        break;
      case kStrings:
        out.value = std::move(strings);
        break;
      default:
        out.value = OnnxOpaque{static_cast<int>(kind)};
    }
    return out;
  }

  static bool is_opaque(uint64_t kind) { return kind == 5 || kind > kStrings; }

  /// Messages that can hold themselves again.
  enum class Nested { graph, node, attribute };

  /// Subgraphs are not read, but walked: no deeper than protobuf allows.
  static void check_nesting(OnnxMessage message, Nested what, int depth) {
    if (depth > kMaxOnnxNesting) {
      message.fail("nesting of more than " + std::to_string(kMaxOnnxNesting) + " messages");
    }
    while (message.next()) {
      const uint64_t field = message.field();
      if (what == Nested::graph && field == 1) {
        check_nesting(message.message(), Nested::node, depth + 1);
      } else if (what == Nested::node && field == 5) {
        check_nesting(message.message(), Nested::attribute, depth + 1);
      } else if (what == Nested::attribute && (field == 6 || field == 11)) {
        check_nesting(message.message(), Nested::graph, depth + 1);
      }
    }
  }

  static OnnxValueInfo read_value(OnnxMessage message) {
    OnnxValueInfo value;
    while (message.next()) {
      if (message.field() == 1) value.name = message.text();
      if (message.field() == 2) read_type(message.message(), value);
    }
    return value;
  }

  static void read_type(OnnxMessage message, OnnxValueInfo& value) {
    while (message.next()) {
      if (message.field() != 1) continue;  // sequences, maps, optionals
      OnnxMessage tensor = message.message();
      while (tensor.next()) {
        if (tensor.field() == 1) {
          const uint64_t number = tensor.number();
          value.type = static_cast<OnnxType>(number > 1000 ? 1000 : number);
        }
        if (tensor.field() == 2) value.dims = read_dims(tensor.message());
      }
    }
  }

  static std::vector<OnnxDim> read_dims(OnnxMessage message) {
    constexpr size_t kMaxRank = 32;
    std::vector<OnnxDim> dims;
    while (message.next()) {
      if (message.field() != 1) continue;
      if (dims.size() == kMaxRank) message.fail("a value of more than 32 dimensions");
      OnnxDim dim = std::string();
      OnnxMessage entry = message.message();
      while (entry.next()) {
        if (entry.field() == 1) {
          const auto extent = static_cast<int64_t>(entry.number());
          if (extent < -1) entry.fail("dimension " + std::to_string(extent));
          // -1 is how some exporters say that an extent is open.
          if (extent >= 0) dim = extent;
        }
        if (entry.field() == 2) dim = entry.text();
      }
      dims.push_back(std::move(dim));
    }
    return dims;
  }

  detail::OnnxTensorReader tensors_;
  std::string place_;
};

}  // namespace

OnnxModel read_onnx_model(const std::filesystem::path& file) {
  const std::string bytes = read_file(file, kMaxOnnxFile);
  detail::OnnxFolder folder(file);
  return OnnxModelReader(&folder, file.string()).read(bytes);
}

OnnxModel parse_onnx_model(std::string_view bytes, std::string_view place) {
  return OnnxModelReader(nullptr, std::string(place)).read(bytes);
}

OnnxTensor read_onnx_tensor(const std::filesystem::path& file) {
  const std::string bytes = read_file(file, kMaxOnnxFile);
  detail::OnnxFolder folder(file);
  const std::string place = file.string();
  return detail::OnnxTensorReader(&folder, place).read(OnnxMessage(bytes, 0, place), "tensor");
}

std::string place_of(const OnnxNode& node) {
  std::string place = "node ";
  if (!node.name.empty()) {
    place += "\"" + node.name + "\"";
  } else {
    place += "that makes \"" + (node.outputs.empty() ? "" : node.outputs.front()) + "\"";
  }
  return place + " (" + node.op_type + ")";
}

int64_t opset_version(const OnnxModel& model, std::string_view domain) {
  for (const OnnxOpset& opset : model.opsets) {
    if (opset.domain == (domain == "ai.onnx" ? "" : domain)) return opset.version;
  }
  return 0;
}

const OnnxAttribute* find_attribute(const OnnxNode& node, std::string_view name) {
  for (const OnnxAttribute& attribute : node.attributes) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

namespace {

template <class T>
T attribute_value(const OnnxNode& node, std::string_view name, T fallback, const char* kind) {
  const OnnxAttribute* attribute = find_attribute(node, name);
  if (attribute == nullptr) return fallback;
  if (const T* value = std::get_if<T>(&attribute->value)) return *value;
  throw Error({ErrorCode::bad_value, place_of(node),
               "attribute \"" + std::string(name) + "\" of another type", kind, ""});
}

}  // namespace

int64_t integer_attribute(const OnnxNode& node, std::string_view name, int64_t fallback) {
  return attribute_value(node, name, fallback, "an integer");
}

float real_attribute(const OnnxNode& node, std::string_view name, float fallback) {
  return attribute_value(node, name, fallback, "a float");
}

std::string string_attribute(const OnnxNode& node, std::string_view name, std::string fallback) {
  return attribute_value(node, name, std::move(fallback), "a string");
}

std::vector<int64_t> integers_attribute(const OnnxNode& node, std::string_view name,
                                        std::vector<int64_t> fallback) {
  return attribute_value(node, name, std::move(fallback), "a list of integers");
}

}  // namespace facsim::backends
