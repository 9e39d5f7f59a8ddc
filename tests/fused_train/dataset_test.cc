// SPDX-License-Identifier: Apache-2.0
#include "fused/train/dataset.h"

#include <doctest/doctest.h>

#include <string>

#include "backends/io/npy.h"
#include "sim/core/error.h"
#include "tests/formats/temp_folder.h"

namespace facsim::fused::train {
namespace {

namespace fs = std::filesystem;

/// Two images of 2 x 3 pixels.
const std::string kImages(
    "\0\0\x8\x3\0\0\0\x2\0\0\0\x2\0\0\0\x3\x1\x2\x3\x4\x5\x6\x7\x8\x9\xa\xb\xc", 28);
const std::string kLabels("\0\0\x8\x1\0\0\0\x2\x3\x9", 10);

ErrorCode code_of(const fs::path& path) {
  try {
    load_dataset(path, Split::train, 0);
  } catch (const Error& e) {
    CHECK(e.infos().front().place.find(path.filename().string()) != std::string::npos);
    return e.code();
  }
  FAIL("accepted");
  return ErrorCode::io;
}

TEST_CASE("dataset: IDX folder") {
  const test::TempFolder folder;
  folder.write("train-images-idx3-ubyte", kImages);
  folder.write("train-labels-idx1-ubyte", kLabels);
  const Dataset data = load_dataset(folder.path(), Split::train, 0);
  CHECK(data.images.shape() == Shape{2, 2, 3, 1});
  CHECK(data.images.int_at(6) == 7);
  CHECK(data.labels == std::vector<int32_t>{3, 9});
  CHECK(load_dataset(folder.path(), Split::train, 1).size() == 1);
  CHECK(load_dataset(folder.path(), Split::train, 100).size() == 2);
}

TEST_CASE("dataset: npz") {
  const test::TempFolder folder;
  const uint8_t pixels[] = {1, 2, 3, 4, 5, 6, 7, 8};
  const int64_t labels[] = {5};
  backends::write_npz(folder / "d.npz",
                      {{"train_images", Tensor::from<uint8_t>({1, 2, 2, 2}, pixels)},
                       {"train_labels", Tensor::from<int64_t>({1}, labels)}});
  const Dataset data = load_dataset(folder / "d.npz", Split::train, 0);
  CHECK(data.images.shape() == Shape{1, 2, 2, 2});
  CHECK(data.labels == std::vector<int32_t>{5});
}

TEST_CASE("dataset: what is wrong is refused") {
  {
    const test::TempFolder folder;
    CHECK(code_of(folder.path()) == ErrorCode::io);  // no files
    CHECK(code_of(folder / "absent.npz") == ErrorCode::io);
    folder.write("train-images-idx3-ubyte", kImages);
    folder.write("train-labels-idx1-ubyte", std::string("\0\0\x8\x1\0\0\0\x1\x3", 9));
    CHECK_THROWS_WITH(load_dataset(folder.path(), Split::train, 0),
                      doctest::Contains("one integer label for each image"));
    folder.write("train-labels-idx1-ubyte", kLabels);
    folder.write("train-images-idx3-ubyte", kImages.substr(0, 20));  // truncated
    CHECK_THROWS_AS(load_dataset(folder.path(), Split::train, 0), Error);
    folder.write("train-images-idx3-ubyte",
                 std::string("\0\0\x8\x3\0\0\0\0\0\0\0\x2\0\0\0\x3", 16));  // no images
    folder.write("train-labels-idx1-ubyte", std::string("\0\0\x8\x1\0\0\0\0", 8));
    CHECK_THROWS_AS(load_dataset(folder.path(), Split::train, 0), Error);
  }
  const test::TempFolder folder;
  folder.write("train-images-idx3-ubyte", kImages);
  folder.write("train-labels-idx1-ubyte", kLabels);
  const Dataset data = load_dataset(folder.path(), Split::train, 0);
  check(data, {1, 2, 3}, 10, "data");
  CHECK_THROWS_WITH_AS(
      check(data, {1, 3, 2}, 10, "data"),
      "data: images of (2, 3, 1) (H, W, C); expected the network's input (3, 2, 1)", Error);
  CHECK_THROWS_WITH_AS(check(data, {1, 2, 3}, 9, "data"),
                       "data: label 9; expected labels below the network's 9 outputs", Error);
}

TEST_CASE("preprocess: (raw / 255 - mean) / std per channel in float32") {
  const uint8_t raw[] = {0, 255, 100, 7};
  const Tensor images = Tensor::from<uint8_t>({1, 1, 2, 2}, raw);
  const Tensor real = preprocess(images, {.mean = {0.5f, 0.25f}, .std = {0.3f, 2.0f}});
  CHECK(real.data<float>()[0] == (0.0f / 255.0f - 0.5f) / 0.3f);
  CHECK(real.data<float>()[1] == (255.0f / 255.0f - 0.25f) / 2.0f);
  CHECK(real.data<float>()[2] == (100.0f / 255.0f - 0.5f) / 0.3f);
  CHECK(preprocess(images, {}).data<float>()[3] == 7.0f / 255.0f);
}

}  // namespace
}  // namespace facsim::fused::train
