// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/io/npy.h"
#include "backends/io/provenance.h"
#include "backends/profile/profile.h"
#include "sim/graph/graph.h"
#include "tools/facsim/command.h"
#include "tools/facsim/model_file.h"

namespace facsim::cli {

/// A quantized network from a file, bound to a profile: what `run` and `compare` execute.
class DeployedNetwork {
 public:
  /// The profile is --profile, or the one the network names; a node that names one of its own keeps
  /// it. Error unsupported for formats that this build does not read.
  DeployedNetwork(const ModelFile& model, const Globals& globals);

  const backends::IntGraph& graph() const { return graph_; }
  const backends::Profile& profile() const { return profile_; }
  const sim::Graph& executable() const { return executable_; }

  /// One tensor per network input, NHWC inside, from arrays in the file's own layout, matched by
  /// name (a single array needs none). Real inputs of a quantized network go through the network
  /// input's quantizer by the profile's rule and must be finite; integers of any width are codes
  /// and must fit its type.
  std::vector<Tensor> inputs(const backends::NamedTensors& arrays, const std::string& file) const;

  /// One input of the network from an array in the file's own layout, as `inputs` makes it. Errors
  /// name `place`.
  Tensor input(const backends::IntTensor& tensor, const Tensor& array,
               const std::string& place) const;

  /// What a file of this network's results says about the run on `inputs`.
  backends::Provenance provenance(const std::vector<Tensor>& inputs) const;

  /// A tensor as the network's file lays it out (NCHW or NHWC).
  Tensor to_file_layout(const Tensor& nhwc) const;
  /// The flat index inside an NHWC tensor of element `flat_index` of the same tensor in the file's
  /// layout.
  int64_t internal_index(int64_t flat_index, const Shape& nhwc) const;
  /// An index into an NHWC tensor as an index into the same tensor in the file's layout.
  std::vector<int64_t> file_index(std::vector<int64_t> nhwc) const;
  /// The name or path of the network's profile: --profile, or the one that the network names.
  const std::string& profile_name(const Globals& globals) const {
    return globals.profile.empty() ? graph_.profile : globals.profile;
  }

 private:
  backends::IntGraph graph_;
  backends::Profile profile_;
  sim::Graph executable_;
};

/// Arrays of an .npz, or the one of an .npy under the file's stem. Arrays of an archive that no
/// Tensor holds (text) are passed over with a note, unless it holds no others.
backends::NamedTensors read_arrays(const std::filesystem::path& file);

}  // namespace facsim::cli
