// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/deployed_network.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "backends/lower/lower.h"
#include "backends/text/did_you_mean.h"
#include "fused/value.h"
#include "sim/core/error.h"
#include "tools/facsim/layer_profiles.h"
#include "tools/facsim/layout_check.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

std::string expected_shape(Shape shape) {
  std::string text = to_string(shape);
  return text.replace(1, 1, "N");
}

/// A hint for axes in the order of the other layout. `expected`: as the network's file lays it out.
std::string layout_hint(const Shape& expected, const Shape& found,
                        backends::IntGraph::Layout layout) {
  if (expected == found || in_layout(found, other(layout), layout) != expected) return "";
  return fmt::format("{} where the network is {}: np.transpose(x, {})", to_string(other(layout)),
                     to_string(layout),
                     layout == backends::IntGraph::Layout::nhwc ? "(0, 2, 3, 1)" : "(0, 3, 1, 2)");
}

/// The same integers in another storage. Error bad_value names the first that does not fit.
Tensor converted(const Tensor& array, sim::IntType type, const std::string& place) {
  Tensor codes = Tensor::uninitialized(type.storage(), array.shape());
  for (int64_t i = 0; i < array.numel(); ++i) {
    const int64_t code = array.int_at(i);
    if (code < type.min() || code > type.max()) {
      throw Error({ErrorCode::bad_value, fmt::format("{}[{}]", place, i), fmt::format("{}", code),
                   fmt::format("codes {}..{}", type.min(), type.max()), ""});
    }
    codes.set_int(i, code);
  }
  return codes;
}

/// Error bad_value names the first NaN or infinity: no code means it.
void require_finite(const Tensor& array, const std::string& place) {
  const std::span<const float> values = array.values<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    throw Error({ErrorCode::bad_value, fmt::format("{}[{}]", place, i),
                 fmt::format("{}", values[i]), "finite numbers", ""});
  }
}

/// The network under `profile`; the profiles that single nodes name are found as --profile is.
sim::Graph lowered(const backends::IntGraph& graph, const backends::Profile& profile,
                   const backends::ProfileSearch& search) {
  LayerProfiles others(search);
  return backends::lower(graph, profile, [&](std::string_view name) -> const backends::Profile& {
    return others.find(name);
  });
}

}  // namespace

DeployedNetwork::DeployedNetwork(const ModelFile& model, const Globals& globals)
    : graph_(model.read()), profile_(globals.load_profile(graph_.profile)) {
  executable_ = lowered(graph_, profile_, globals.search());
  if (!graph_.profile_fingerprint.empty() && graph_.profile_fingerprint != profile_.fingerprint) {
    note(fmt::format("{} was made for profile {} ({}), and runs under {} ({})",
                     printable(model.name()), printable(graph_.profile),
                     printable(graph_.profile_fingerprint), printable(profile_.name),
                     profile_.fingerprint));
  }
}

backends::Provenance DeployedNetwork::provenance(const std::vector<Tensor>& inputs) const {
  return {backends::fingerprint(graph_), profile_.name, profile_.fingerprint,
          backends::fingerprint(inputs)};
}

Tensor DeployedNetwork::to_file_layout(const Tensor& nhwc) const {
  return graph_.layout == backends::IntGraph::Layout::nchw ? fused::nchw_from_nhwc(nhwc) : nhwc;
}

int64_t DeployedNetwork::internal_index(int64_t flat_index, const Shape& nhwc) const {
  if (graph_.layout == backends::IntGraph::Layout::nhwc || nhwc.rank() != 4) return flat_index;
  const int64_t pixels = nhwc[1] * nhwc[2], channels = nhwc[3];
  const int64_t pixel = flat_index % pixels;
  const int64_t channel = flat_index / pixels % channels;
  const int64_t image = flat_index / pixels / channels;
  return (image * pixels + pixel) * channels + channel;
}

std::vector<int64_t> DeployedNetwork::file_index(std::vector<int64_t> nhwc) const {
  if (graph_.layout == backends::IntGraph::Layout::nhwc || nhwc.size() != 4) return nhwc;
  return {nhwc[0], nhwc[3], nhwc[1], nhwc[2]};
}

Tensor DeployedNetwork::input(const backends::IntTensor& tensor, const Tensor& array,
                              const std::string& place) const {
  const bool nchw = graph_.layout == backends::IntGraph::Layout::nchw;
  Shape expected = tensor.shape;
  if (nchw && expected.rank() == 4) {
    expected = Shape{expected[0], expected[3], expected[1], expected[2]};
  }
  Shape found = array.shape();
  if (found.rank() == expected.rank() && found.rank() > 0) found[0] = 1;
  if (found != expected || array.empty()) {
    throw Error({ErrorCode::shape_mismatch, place, "shape " + to_string(array.shape()),
                 expected_shape(expected) + ", N at least 1",
                 layout_hint(expected, found, graph_.layout)});
  }
  const Tensor inside = nchw ? fused::nhwc_from_nchw(array) : array;
  const bool real_array = array.dtype() == DType::float32;
  if (real_array) require_finite(array, place);
  if (tensor.dtype == DType::float32) {
    if (real_array) return inside;
    throw Error({ErrorCode::bad_value, place, fmt::format("dtype {}", to_string(array.dtype())),
                 "float32", "the network takes real inputs"});
  }
  if (!tensor.qparams) {
    throw Error({ErrorCode::missing_key, place, "a network input without scale", "", ""});
  }
  if (!real_array) return converted(inside, tensor.qparams->type, place);
  const auto quantize = backends::lower_quantize(profile_, *tensor.qparams);
  Tensor codes = Tensor::uninitialized(quantize->output_dtype(), inside.shape());
  const std::array<const Tensor*, 1> reals = {&inside};
  quantize->run(reals, codes, {});
  return codes;
}

std::vector<Tensor> DeployedNetwork::inputs(const backends::NamedTensors& arrays,
                                            const std::string& file) const {
  std::vector<Tensor> tensors;
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) names.push_back(name);
  for (const int t : graph_.inputs) {
    const backends::IntTensor& tensor = graph_.tensors[static_cast<size_t>(t)];
    auto found = std::find(names.begin(), names.end(), tensor.name);
    const bool only_one = graph_.inputs.size() == 1 && names.size() == 1;
    if (found == names.end() && only_one) found = names.begin();
    if (found == names.end()) {
      throw Error({ErrorCode::missing_key, file, "no array \"" + tensor.name + "\"",
                   "one per network input; the file holds " +
                       (names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))),
                   backends::did_you_mean_hint(tensor.name, names)});
    }
    const Tensor& array = arrays[static_cast<size_t>(found - names.begin())].second;
    tensors.push_back(input(tensor, array, fmt::format("{}: {}", file, *found)));
  }
  return tensors;
}

backends::NamedTensors read_arrays(const std::filesystem::path& file) {
  if (file.extension() != ".npz") return {{file.stem().string(), backends::read_npy(file)}};
  const backends::NpzFile archive(file);
  backends::NamedTensors arrays;
  std::optional<Error> passed_over;
  for (const std::string& name : archive.names()) {
    try {
      arrays.emplace_back(name, archive.read(name));
    } catch (const Error& error) {  // text beside the arrays, as recordings have
      if (error.code() != ErrorCode::unsupported) throw;
      if (!passed_over) passed_over = error;
    }
  }
  if (!passed_over) return arrays;
  if (arrays.empty()) throw *passed_over;
  note(fmt::format("passed over: {}", printable(passed_over->what())));
  return arrays;
}

}  // namespace facsim::cli
