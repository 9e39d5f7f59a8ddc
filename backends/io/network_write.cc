// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "backends/graph/int_ops.h"
#include "backends/io/network_file.h"
#include "backends/io/network_json-internal.h"
#include "backends/io/npz_write-internal.h"

namespace facsim::backends {

namespace detail {

namespace {

using Ordered = nlohmann::ordered_json;

Ordered quantization_to_json(const quant::QParams& qparams) {
  Ordered out;
  out["bits"] = qparams.type.bits;
  out["signed"] = qparams.type.is_signed;
  out["quant_min"] = qparams.quant_min;
  out["quant_max"] = qparams.quant_max;
  if (qparams.per_channel()) out["channel_axis"] = qparams.channel_axis;
  out["scale"] = qparams.scale;
  out["zero_point"] = qparams.zero_point;
  return out;
}

Ordered tensor_to_json(const IntTensor& tensor) {
  Ordered out;
  out["name"] = tensor.name;
  out["dtype"] = to_string(tensor.dtype);
  out["shape"] = tensor.shape.extents();
  if (tensor.data) out["constant"] = true;
  if (tensor.qparams) out["quantization"] = quantization_to_json(*tensor.qparams);
  return out;
}

Ordered attributes_to_json(const NodeAttributes& attributes, const IntOp& op) {
  Ordered out = Ordered::object();
  if (op.has(Attribute::window)) {
    const sim::Window2d& window = attributes.window;
    const sim::Padding2d& pad = window.padding;
    out["kernel"] = window.kernel;
    out["stride"] = window.stride;
    out["dilation"] = window.dilation;
    out["padding"] = {pad.top, pad.left, pad.bottom, pad.right};
  }
  if (op.has(Attribute::groups)) out["groups"] = attributes.groups;
  if (op.has(Attribute::output_padding)) out["output_padding"] = attributes.output_padding;
  if (op.has(Attribute::activation)) out["activation"] = to_string(attributes.activation);
  if (op.has(Attribute::count_include_pad)) {
    out["count_include_pad"] = attributes.count_include_pad;
  }
  if (op.has(Attribute::extents)) out["extents"] = attributes.extents;
  if (op.has(Attribute::order)) {
    out["order"] = attributes.order == sim::ReshapeParams::Order::nchw ? "nchw" : "nhwc";
  }
  if (op.has(Attribute::table)) out["table"] = attributes.table;
  if (op.has(Attribute::axis)) out["axis"] = attributes.axis;
  if (op.has(Attribute::axes)) {
    out["axes"] = attributes.axes;
    out["keep_dims"] = attributes.keep_dims;
  }
  if (op.has(Attribute::permutation)) out["permutation"] = attributes.permutation;
  if (op.has(Attribute::slice)) {
    out["begin"] = attributes.begin;
    out["end"] = attributes.end;
    out["strides"] = attributes.strides;
  }
  if (op.has(Attribute::pad)) {
    out["pad_before"] = attributes.pad_before;
    out["pad_after"] = attributes.pad_after;
    if (attributes.pad_value) out["pad_value"] = *attributes.pad_value;
  }
  if (op.has(Attribute::alpha)) out["alpha"] = attributes.alpha;
  if (op.has(Attribute::beta)) out["beta"] = attributes.beta;
  if (op.has(Attribute::transposed_operands)) {
    out["transpose_lhs"] = attributes.transpose_lhs;
    out["transpose_rhs"] = attributes.transpose_rhs;
  }
  if (op.has(Attribute::resize)) {
    const ResizeAttributes& resize = attributes.resize;
    out["size"] = resize.size;
    out["mode"] = resize.mode == ResizeAttributes::Mode::bilinear ? "bilinear" : "nearest";
    out["align_corners"] = resize.align_corners;
    out["half_pixel_centers"] = resize.half_pixel_centers;
  }
  if (op.has(Attribute::rank)) out["rank"] = attributes.rank;
  if (op.has(Attribute::state)) out["state"] = quantization_to_json(*attributes.state);
  if (op.has(Attribute::cell_clip)) out["cell_clip"] = attributes.cell_clip;
  return out;
}

Ordered names_to_json(const IntGraph& graph, const std::vector<int>& numbers) {
  Ordered out = Ordered::array();
  for (const int number : numbers) out.push_back(graph.tensors[static_cast<size_t>(number)].name);
  return out;
}

Ordered node_to_json(const IntGraph& graph, const IntNode& node) {
  Ordered out;
  out["name"] = node.name;
  out["op"] = node.op;
  out["inputs"] = names_to_json(graph, node.inputs);
  out["output"] = graph.tensors[static_cast<size_t>(node.output)].name;
  if (!node.profile.empty()) out["profile"] = node.profile;
  const Ordered attributes = attributes_to_json(node.attributes, *find_int_op(node.op));
  if (!attributes.empty()) out["attributes"] = attributes;
  return out;
}

/// One line per member of the top level, and one per element where a member is a list of objects.
std::string to_lines(const Ordered& object) {
  std::string text = "{\n";
  std::string_view separator;
  for (const auto& [key, value] : object.items()) {
    text += separator;
    text += "  " + Ordered(key).dump() + ": ";
    separator = ",\n";
    if (!value.is_array() || value.empty() || !value.front().is_object()) {
      text += value.dump();
      continue;
    }
    text += "[\n";
    for (size_t i = 0; i < value.size(); ++i) {
      text += "    " + value[i].dump() + (i + 1 < value.size() ? ",\n" : "\n");
    }
    text += "  ]";
  }
  return text + "\n}\n";
}

}  // namespace

std::string network_to_json(const IntGraph& graph, const ArraysFile& arrays) {
  Ordered out;
  out["format"] = kNetworkFormat;
  out["version"] = kNetworkVersion;
  out["name"] = graph.name;
  out["profile"] = graph.profile;
  out["profile_fingerprint"] = graph.profile_fingerprint;
  out["layout"] = graph.layout == IntGraph::Layout::nchw ? "nchw" : "nhwc";
  out["arrays"] = {{"file", arrays.name}, {"xxh3", arrays.hash}};
  if (graph.preprocessing) {
    out["preprocessing"] = {{"mean", graph.preprocessing->mean}, {"std", graph.preprocessing->std}};
  }
  out["inputs"] = names_to_json(graph, graph.inputs);
  out["outputs"] = names_to_json(graph, graph.outputs);
  out["tensors"] = Ordered::array();
  for (const IntTensor& tensor : graph.tensors) out["tensors"].push_back(tensor_to_json(tensor));
  out["nodes"] = Ordered::array();
  for (const IntNode& node : graph.nodes) out["nodes"].push_back(node_to_json(graph, node));
  return to_lines(out);
}

}  // namespace detail

void write_int_graph(const std::filesystem::path& json_file, const IntGraph& graph) {
  check(graph);
  if (json_file.extension() != ".json") {
    throw Error({ErrorCode::bad_value, json_file.string(), "network file without .json",
                 "a name that ends in .json", ""});
  }
  NamedTensors constants;
  for (const IntTensor& tensor : graph.tensors) {
    if (tensor.data) constants.emplace_back(tensor.name, *tensor.data);
  }
  const std::filesystem::path npz_file = std::filesystem::path(json_file).replace_extension(".npz");
  // Both files are complete beside their places before either takes its place.
  detail::AtomicFile npz(npz_file), json(json_file);
  detail::write_npz(npz, npz_file, constants, {});
  const std::string hash = detail::hash_hex(read_file(npz.temporary()));
  json.write(detail::network_to_json(graph, {npz_file.filename().string(), hash}));
  npz.commit();
  json.commit();
}

}  // namespace facsim::backends
