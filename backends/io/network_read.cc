// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "backends/graph/int_ops.h"
#include "backends/io/network_file.h"
#include "backends/io/network_json-internal.h"
#include "backends/io/npy.h"
#include "backends/json/object_reader-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends {

namespace detail {

namespace {

using json::ObjectReader;
using Presence = ObjectReader::Presence;

constexpr size_t kMaxTensors = 100000;
constexpr size_t kMaxChannels = 1 << 20;
constexpr int64_t kMaxTensorExtent = int64_t{1} << 32;
constexpr json::IntegerRange kAnyInteger{std::numeric_limits<int64_t>::min(),
                                         std::numeric_limits<int64_t>::max()};

const std::vector<std::string>& dtype_words() {
  static const std::vector<std::string> words{"int8",  "uint8", "int16",  "uint16",
                                              "int32", "int64", "float32"};
  return words;
}

DType dtype_from(std::string_view word) {
  for (const DType dtype :
       {DType::int8, DType::uint8, DType::int16, DType::uint16, DType::int32, DType::int64}) {
    if (to_string(dtype) == word) return dtype;
  }
  return DType::float32;
}

std::vector<std::string> activation_words() {
  std::vector<std::string> words;
  for (const Activation a :
       {Activation::none, Activation::relu, Activation::relu6, Activation::relu_n1_to_1}) {
    words.emplace_back(to_string(a));
  }
  return words;
}

/// Reads a document of the current version into a graph.
class NetworkReader {
 public:
  explicit NetworkReader(const json::Document& document) : document_(document) {}

  ParsedNetwork read() {
    ObjectReader top(document_, document_.value, "", errors_);
    read_version(top);
    ParsedNetwork network;
    IntGraph& graph = network.graph;
    graph.name = top.text("name");
    graph.profile = top.text("profile");
    graph.profile_fingerprint = top.text("profile_fingerprint");
    static const std::vector<std::string> kLayouts{"nhwc", "nchw"};
    graph.layout = top.word("layout", kLayouts, "a layout") == "nchw" ? IntGraph::Layout::nchw
                                                                      : IntGraph::Layout::nhwc;
    network.arrays = read_arrays(top);
    graph.preprocessing = read_preprocessing(top);
    const auto tensors = top.list("tensors", kMaxTensors, Presence::required);
    for (size_t i = 0; i < tensors.size(); ++i) {
      graph.tensors.push_back(read_tensor(tensors[i], json::child("/tensors", i)));
    }
    const auto nodes = top.list("nodes", kMaxTensors, Presence::required);
    for (size_t i = 0; i < nodes.size(); ++i) {
      graph.nodes.push_back(read_node(nodes[i], json::child("/nodes", i)));
    }
    graph.inputs = tensor_numbers(top, "inputs", kMaxTensors);
    graph.outputs = tensor_numbers(top, "outputs", kMaxTensors);
    top.finish();
    if (!errors_.empty()) throw Error(std::move(errors_));
    return network;
  }

 private:
  /// A file of another format or version is refused at once: its other findings would mislead.
  void read_version(ObjectReader& top) {
    const std::string format = top.text("format");
    if (errors_.empty() && format != kNetworkFormat) {
      top.fail("format", "\"" + format + "\"", "\"" + std::string(kNetworkFormat) + "\"");
    }
    if (!errors_.empty()) throw Error(std::move(errors_));
    const int64_t version = top.integer("version", kAnyInteger);
    if (errors_.empty() && (version < 1 || version > kNetworkVersion)) {
      top.fail("version", "version " + std::to_string(version),
               fmt::format("1..{}", kNetworkVersion), "", ErrorCode::unsupported);
    }
    if (!errors_.empty()) throw Error(std::move(errors_));
  }

  ArraysFile read_arrays(ObjectReader& top) {
    const json::Json* value = top.member("arrays", Presence::required);
    if (value == nullptr) return {};
    ObjectReader reader(document_, *value, "/arrays", errors_);
    ArraysFile arrays{reader.text("file"), reader.text("xxh3")};
    const std::filesystem::path name(arrays.name);
    if (reader.has("file") && (arrays.name.empty() || name.filename() != name ||
                               arrays.name == "." || arrays.name == "..")) {
      reader.fail("file", "\"" + arrays.name + "\"", "a file name in the network's folder");
    }
    reader.finish();
    return arrays;
  }

  std::optional<Preprocessing> read_preprocessing(ObjectReader& top) {
    const json::Json* value = top.member("preprocessing", Presence::optional);
    if (value == nullptr) return {};
    ObjectReader reader(document_, *value, "/preprocessing", errors_);
    Preprocessing out{reader.numbers("mean", {1, kMaxChannels}),
                      reader.numbers("std", {1, kMaxChannels})};
    reader.finish();
    return out;
  }

  IntTensor read_tensor(const json::Json& value, const std::string& pointer) {
    ObjectReader reader(document_, value, pointer, errors_);
    IntTensor tensor;
    tensor.name = reader.text("name");
    tensor.dtype = dtype_from(reader.word("dtype", dtype_words(), "an element type"));
    tensor.shape = Shape(reader.integers("shape", {1, kMaxTensorExtent}, {0, 8}));
    if (reader.boolean("constant", false)) tensor.data = Tensor();
    if (const json::Json* quantization = reader.member("quantization", Presence::optional)) {
      tensor.qparams = read_quantization(*quantization, reader.pointer("quantization"));
    }
    reader.finish();
    const auto number = static_cast<int>(numbers_.size());
    if (!numbers_.emplace(tensor.name, number).second) {
      reader.fail("name", "a second tensor \"" + tensor.name + "\"", "", "",
                  ErrorCode::duplicate_key);
      numbers_.emplace(tensor.name + "\n" + std::to_string(number), number);
    }
    return tensor;
  }

  quant::QParams read_quantization(const json::Json& value, const std::string& pointer) {
    ObjectReader reader(document_, value, pointer, errors_);
    quant::QParams out;
    out.type.bits = static_cast<int>(reader.integer("bits", {1, 64}));
    out.type.is_signed = reader.boolean("signed");
    out.quant_min = reader.integer("quant_min", kAnyInteger);
    out.quant_max = reader.integer("quant_max", kAnyInteger);
    out.channel_axis = static_cast<int>(reader.integer("channel_axis", {0, 7}, -1));
    out.scale = reader.numbers("scale", {1, kMaxChannels});
    out.zero_point = reader.integers("zero_point", kAnyInteger, {1, kMaxChannels});
    reader.finish();
    if (!out.type.is_signed && out.type.bits == 64) {
      reader.fail("bits", "64 bits unsigned", "1..63 when unsigned");
    }
    return out;
  }

  IntNode read_node(const json::Json& value, const std::string& pointer) {
    ObjectReader reader(document_, value, pointer, errors_);
    static const std::vector<std::string> kOps = [] {
      std::vector<std::string> words;
      for (const IntOp& op : int_ops()) words.emplace_back(op.name);
      return words;
    }();
    IntNode node;
    node.name = reader.text("name");
    node.op = reader.word("op", kOps, "an op");
    node.inputs = tensor_numbers(reader, "inputs", 64);
    const std::string output = reader.text("output");
    if (reader.has("output")) node.output = tensor_number(output, reader.place("output"));
    node.profile = reader.text("profile", "");
    const IntOp& op = *find_int_op(node.op);
    const bool any = op.attributes.size() != 0;
    const json::Json* attributes = any ? reader.member("attributes", Presence::required) : nullptr;
    if (attributes != nullptr) {
      node.attributes = read_attributes(*attributes, reader.pointer("attributes"), op);
    }
    reader.finish();
    return node;
  }

  NodeAttributes read_attributes(const json::Json& value, const std::string& pointer,
                                 const IntOp& op) {
    constexpr json::IntegerRange kWindow{1, 65536};
    constexpr json::CountRange kPair{2, 2};
    constexpr json::CountRange kAxes{1, 8};
    ObjectReader reader(document_, value, pointer, errors_);
    const auto pair = [&](std::string_view key) {
      const std::vector<int64_t> values = reader.integers(key, kWindow, kPair);
      return std::array<int64_t, 2>{values[0], values[1]};
    };
    NodeAttributes out;
    if (op.has(Attribute::window)) {
      out.window.kernel = pair("kernel");
      out.window.stride = pair("stride");
      out.window.dilation = pair("dilation");
      const std::vector<int64_t> padding = reader.integers("padding", {0, 65536}, {4, 4});
      out.window.padding = {padding[0], padding[1], padding[2], padding[3]};
    }
    if (op.has(Attribute::groups)) out.groups = reader.integer("groups", {1, kMaxTensorExtent});
    if (op.has(Attribute::output_padding)) {
      const std::vector<int64_t> added = reader.integers("output_padding", {0, 65536}, kPair);
      out.output_padding = {added[0], added[1]};
    }
    if (op.has(Attribute::activation)) {
      out.activation =
          *activation_from_string(reader.word("activation", activation_words(), "an activation"));
    }
    if (op.has(Attribute::count_include_pad)) {
      out.count_include_pad = reader.boolean("count_include_pad");
    }
    if (op.has(Attribute::extents)) {
      out.extents = reader.integers("extents", {-1, kMaxTensorExtent}, kAxes);
    }
    if (op.has(Attribute::order)) {
      static const std::vector<std::string> kOrders{"nhwc", "nchw"};
      out.order = reader.word("order", kOrders, "an order") == "nchw"
                      ? sim::ReshapeParams::Order::nchw
                      : sim::ReshapeParams::Order::nhwc;
    }
    if (op.has(Attribute::table)) out.table = reader.integers("table", kAnyInteger, {2, 65536});
    read_axis_attributes(reader, op, out);
    if (op.has(Attribute::alpha)) out.alpha = reader.number("alpha");
    if (op.has(Attribute::beta)) out.beta = reader.number("beta");
    if (op.has(Attribute::rank)) out.rank = reader.integer("rank", {1, kMaxTensorExtent});
    if (op.has(Attribute::state)) {
      if (const json::Json* state = reader.member("state", Presence::required)) {
        out.state = read_quantization(*state, reader.pointer("state"));
      }
    }
    if (op.has(Attribute::cell_clip)) out.cell_clip = reader.number("cell_clip");
    if (op.has(Attribute::transposed_operands)) {
      out.transpose_lhs = reader.boolean("transpose_lhs");
      out.transpose_rhs = reader.boolean("transpose_rhs");
    }
    if (op.has(Attribute::resize)) {
      static const std::vector<std::string> kModes{"nearest", "bilinear"};
      out.resize.size = pair("size");
      out.resize.mode = reader.word("mode", kModes, "a mode") == "bilinear"
                            ? ResizeAttributes::Mode::bilinear
                            : ResizeAttributes::Mode::nearest;
      out.resize.align_corners = reader.boolean("align_corners");
      out.resize.half_pixel_centers = reader.boolean("half_pixel_centers");
    }
    reader.finish();
    return out;
  }

  /// What moves or cuts axes: lists with one entry per axis, checked against the shape later.
  static void read_axis_attributes(ObjectReader& reader, const IntOp& op, NodeAttributes& out) {
    constexpr json::CountRange kAxes{1, 8};
    if (op.has(Attribute::axis)) out.axis = reader.integer("axis", {0, 7});
    if (op.has(Attribute::axes)) {
      out.axes = reader.integers("axes", {0, 7}, kAxes);
      out.keep_dims = reader.boolean("keep_dims");
    }
    if (op.has(Attribute::permutation)) {
      out.permutation = reader.integers("permutation", {0, 7}, kAxes);
    }
    if (op.has(Attribute::slice)) {
      out.begin = reader.integers("begin", {0, kMaxTensorExtent}, kAxes);
      out.end = reader.integers("end", {0, kMaxTensorExtent}, kAxes);
      out.strides = reader.integers("strides", {1, kMaxTensorExtent}, kAxes);
    }
    if (op.has(Attribute::pad)) {
      out.pad_before = reader.integers("pad_before", {0, 65536}, kAxes);
      out.pad_after = reader.integers("pad_after", {0, 65536}, kAxes);
      if (reader.has("pad_value")) out.pad_value = reader.integer("pad_value", kAnyInteger);
    }
  }

  int tensor_number(const std::string& name, const std::string& place) {
    const auto found = numbers_.find(name);
    if (found != numbers_.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& entry : numbers_) names.push_back(entry.first);
    errors_.push_back({ErrorCode::bad_value, place, "\"" + name + "\" is not a tensor", "",
                       did_you_mean_hint(name, names)});
    return 0;
  }

  std::vector<int> tensor_numbers(ObjectReader& reader, std::string_view key, size_t max) {
    std::vector<int> numbers;
    const size_t findings = errors_.size();
    const std::vector<std::string> names = reader.texts(key, {1, max});
    if (errors_.size() != findings) return numbers;
    for (size_t i = 0; i < names.size(); ++i) {
      numbers.push_back(
          tensor_number(names[i], document_.place(json::child(reader.pointer(key), i))));
    }
    return numbers;
  }

  const json::Document& document_;
  std::vector<ErrorInfo> errors_;
  std::map<std::string, int> numbers_;
};

}  // namespace

ParsedNetwork network_from_json(const json::Document& document) {
  return NetworkReader(document).read();
}

}  // namespace detail

IntGraph read_int_graph(const std::filesystem::path& json_file) {
  const json::Document document =
      json::read_json(json_file, {.max_bytes = uint64_t{64} << 20, .max_depth = 8});
  detail::ParsedNetwork network = detail::network_from_json(document);
  const std::filesystem::path npz_file = json_file.parent_path() / network.arrays.name;
  const std::string bytes = read_file(npz_file);
  if (detail::hash_hex(bytes) != network.arrays.hash) {
    throw Error({ErrorCode::bad_value, npz_file.string(),
                 "not the arrays " + json_file.string() + " was saved with (hash differs)",
                 "xxh3 " + network.arrays.hash, "save the network again"});
  }
  const NamedTensors arrays = NpzFile::from_bytes(bytes, npz_file.string()).read_all();
  size_t constants = 0;
  for (IntTensor& tensor : network.graph.tensors) {
    if (!tensor.data) continue;
    tensor.data = member(arrays, tensor.name, npz_file.string());
    ++constants;
  }
  if (constants != arrays.size()) {
    throw Error({ErrorCode::bad_value, npz_file.string(), std::to_string(arrays.size()) + " arrays",
                 std::to_string(constants) + ", one per constant", ""});
  }
  try {
    check(network.graph);
  } catch (const Error& error) {
    std::vector<ErrorInfo> infos = error.infos();
    for (ErrorInfo& info : infos) info.place = json_file.string() + ": " + info.place;
    throw Error(std::move(infos));
  }
  return std::move(network.graph);
}

}  // namespace facsim::backends
