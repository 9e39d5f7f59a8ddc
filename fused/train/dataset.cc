// SPDX-License-Identifier: Apache-2.0
#include "fused/train/dataset.h"

#include <algorithm>
#include <string>

#include "backends/io/npy.h"
#include "sim/core/error.h"

namespace facsim::fused::train {

namespace fs = std::filesystem;

namespace {

struct Raw {
  Tensor images, labels;
  std::string place;  ///< file of the images, for errors
};

/// The plain file if it is there, else its .gz.
fs::path idx_file(const fs::path& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    fs::path file = folder / (name + suffix);
    if (fs::exists(file)) return file;
  }
  throw Error({ErrorCode::io, folder.string(), "no " + name + " or " + name + ".gz",
               "a folder with IDX files, or an .npz", ""});
}

Raw read_raw(const fs::path& path, Split split) {
  if (fs::is_directory(path)) {
    const std::string prefix = split == Split::train ? "train" : "t10k";
    const fs::path images = idx_file(path, prefix + "-images-idx3-ubyte");
    const fs::path labels = idx_file(path, prefix + "-labels-idx1-ubyte");
    return {backends::read_idx(images), backends::read_idx(labels), images.string()};
  }
  if (path.extension() != ".npz") {
    throw Error({ErrorCode::io, path.string(),
                 fs::exists(path) ? "neither folder nor .npz" : "not found",
                 "a folder with IDX files, or an .npz", ""});
  }
  const std::string prefix = split == Split::train ? "train" : "test";
  const backends::NamedTensors members = backends::read_npz(path);
  return {backends::member(members, prefix + "_images", path.string()),
          backends::member(members, prefix + "_labels", path.string()),
          path.string() + "!" + prefix + "_images"};
}

}  // namespace

Dataset load_dataset(const fs::path& path, Split split, int64_t limit) {
  Raw raw = read_raw(path, split);
  Shape shape = raw.images.shape();
  if (raw.images.dtype() != DType::uint8 || shape.rank() < 3 || shape.rank() > 4) {
    throw Error({ErrorCode::bad_value, raw.place,
                 std::string(to_string(raw.images.dtype())) + " " + to_string(shape),
                 "uint8 images [N, H, W] or [N, H, W, C]", ""});
  }
  if (raw.labels.dtype() == DType::float32 || raw.labels.shape() != Shape{shape[0]}) {
    throw Error({ErrorCode::bad_value, raw.place,
                 to_string(shape) + " images with labels " + to_string(raw.labels.shape()),
                 "one integer label for each image", ""});
  }
  if (raw.images.numel() == 0) {
    throw Error({ErrorCode::bad_value, raw.place, "no images", "at least one image", ""});
  }
  const int64_t n = limit > 0 ? std::min(limit, shape[0]) : shape[0];
  shape = Shape{shape[0], shape[1], shape[2], shape.rank() == 4 ? shape[3] : 1};
  Dataset data{raw.images.reshaped(shape).slice(0, n), {}};
  for (int64_t i = 0; i < n; ++i) {
    const int64_t label = raw.labels.int_at(i);
    if (label < 0 || label > 1'000'000) {
      throw Error({ErrorCode::bad_value, raw.place, "label " + std::to_string(label),
                   "a class number", "image " + std::to_string(i)});
    }
    data.labels.push_back(static_cast<int32_t>(label));
  }
  return data;
}

void check(const Dataset& data, const std::array<int64_t, 3>& input_shape, int64_t classes,
           const std::string& place) {
  const Shape& shape = data.images.shape();
  const auto [c, h, w] = input_shape;
  if (shape[1] != h || shape[2] != w || shape[3] != c) {
    throw Error({ErrorCode::shape_mismatch, place,
                 "images of " + to_string(Shape{shape[1], shape[2], shape[3]}) + " (H, W, C)",
                 "the network's input " + to_string(Shape{h, w, c}), ""});
  }
  const int32_t largest = *std::max_element(data.labels.begin(), data.labels.end());
  if (largest >= classes) {
    throw Error({ErrorCode::bad_value, place, "label " + std::to_string(largest),
                 "labels below the network's " + std::to_string(classes) + " outputs", ""});
  }
}

Tensor preprocess(const Tensor& raw, const backends::Preprocessing& preprocessing) {
  const int64_t channels = raw.shape()[raw.shape().rank() - 1];
  const auto of = [&](const std::vector<float>& values, int64_t c, float absent) {
    if (values.empty()) return absent;
    return values.size() == 1 ? values[0] : values.at(static_cast<size_t>(c));
  };
  std::vector<float> table(static_cast<size_t>(channels) * 256);
  for (int64_t c = 0; c < channels; ++c) {
    const float mean = of(preprocessing.mean, c, 0.0f), std = of(preprocessing.std, c, 1.0f);
    for (int value = 0; value < 256; ++value) {
      table[static_cast<size_t>(c * 256 + value)] =
          (static_cast<float>(value) / 255.0f - mean) / std;
    }
  }
  Tensor real = Tensor::uninitialized(DType::float32, raw.shape());
  const uint8_t* from = raw.data<uint8_t>();
  float* to = real.data<float>();
  for (int64_t i = 0; i < raw.numel(); i += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      to[i + c] = table[static_cast<size_t>(c * 256 + from[i + c])];
    }
  }
  return real;
}

}  // namespace facsim::fused::train
