// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

#include "backends/graph/int_graph.h"
#include "sim/core/tensor.h"

namespace facsim::fused::train {

/// Labelled images as they lie in their files.
struct Dataset {
  Tensor images;  ///< uint8 [N, H, W, C]
  std::vector<int32_t> labels;

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
};

enum class Split { train, test };

/// Reads one split of a data set. `path` is a folder with the IDX files of MNIST and its kin
/// (train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-…), or an .npz with uint8
/// members train_images [N, H, W] or [N, H, W, C] and train_labels [N] (test_…). At most `limit`
/// images (0: all). Error io / bad_value names the file: missing, lying header, counts that differ,
/// no images.
Dataset load_dataset(const std::filesystem::path& path, Split split, int64_t limit);

/// Checks that every image has the network's input shape (C, H, W) and every label is below
/// `classes`.
void check(const Dataset& data, const std::array<int64_t, 3>& input_shape, int64_t classes,
           const std::string& place);

/// real = (raw / 255 - mean) / std per channel, each operation in float32. Absent mean and std mean
/// 0 and 1. raw uint8 [N, H, W, C] to float32 of the same shape.
Tensor preprocess(const Tensor& raw, const backends::Preprocessing& preprocessing);

}  // namespace facsim::fused::train
