// SPDX-License-Identifier: Apache-2.0
// A data set and a float network small enough to train in a test.
#pragma once

#include "tests/tools/command_runner.h"

namespace facsim::test {

/// Big-endian, as IDX headers are.
inline std::string idx_header(std::initializer_list<uint32_t> words) {
  std::string bytes;
  for (const uint32_t word : words) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(word >> shift);
  }
  return bytes;
}

class TrainingFixture {
 public:
  TrainingFixture() {
    write_split("train", 160);
    write_split("t10k", 48);
    folder.write("net.json", R"({
      "format": "facsim-float-network", "version": 1, "name": "tiny",
      "input": {"shape": [1, 8, 8], "mean": [0.3], "std": [0.4]},
      "nodes": [
        {"name": "conv", "op": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3,
         "stride": 2, "padding": 1, "bias": false},
        {"name": "bn", "op": "BatchNorm2d", "num_features": 4},
        {"name": "relu", "op": "ReLU"},
        {"name": "flatten", "op": "Flatten"},
        {"name": "fc", "op": "Linear", "in_features": 64, "out_features": 2}],
      "outputs": ["fc"]})");
  }

  std::string file(std::string_view name) const { return (folder / name).string(); }

  /// facsim qat on this data, with more options behind.
  std::vector<std::string> qat(std::vector<std::string> more) const {
    std::vector<std::string> words = {
        "qat",      "--profile", "tflite-micro", "--network", file("net.json"), "--data", file(""),
        "--output", file("out"), "--batch",      "16",        "--float-epochs", "1",      "--seed",
        "5"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  TempFolder folder;

 private:
  /// Class 1 is bright on the right half.
  void write_split(const std::string& name, uint32_t count) const {
    std::string images = idx_header({0x803, count, 8, 8}), labels = idx_header({0x801, count});
    uint32_t noise = count;
    for (uint32_t i = 0; i < count; ++i) {
      labels += static_cast<char>(i % 2);
      for (uint32_t p = 0; p < 64; ++p) {
        noise = noise * 1664525 + 1013904223;
        const bool bright = (p % 8 >= 4) == (i % 2 == 1);
        images += static_cast<char>((noise >> 24) % 100 + (bright ? 100 : 0));
      }
    }
    folder.write(name + "-images-idx3-ubyte", images);
    folder.write(name + "-labels-idx1-ubyte", labels);
  }
};

}  // namespace facsim::test
