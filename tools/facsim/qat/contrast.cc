// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/qat/contrast.h"

#include <algorithm>

#include "backends/parity/compare.h"
#include "fused/train/loss.h"
#include "tools/facsim/interrupt.h"

namespace facsim::cli {

namespace {

constexpr int64_t kContrastBatch = 200;

using Values = std::vector<std::pair<std::string, fused::Value>>;

/// One comparator per quantized layer, made at the first batch for all `images`.
void compare(const Values& device, const Values& fake, int64_t images,
             std::vector<backends::TensorComparator>& layers) {
  size_t layer = 0;
  for (size_t i = 0; i < device.size(); ++i) {
    if (!device[i].second.quantized() || !fake[i].second.quantized()) continue;
    const Tensor& codes = device[i].second.codes();
    if (layer == layers.size()) {
      Shape shape = codes.shape();
      shape[0] = images;
      layers.emplace_back(device[i].first, codes.dtype(), shape, 0);
    }
    layers[layer++].add(fake[i].second.codes(), codes);
  }
}

}  // namespace

int64_t Contrast::compared() const {
  int64_t sum = 0;
  for (const LayerContrast& layer : layers) sum += layer.compared;
  return sum;
}

int64_t Contrast::mismatches() const {
  int64_t sum = 0;
  for (const LayerContrast& layer : layers) sum += layer.mismatches;
  return sum;
}

std::map<int64_t, int64_t> Contrast::histogram() const {
  std::map<int64_t, int64_t> sum;
  for (const LayerContrast& layer : layers) {
    for (const auto& [difference, count] : layer.histogram) sum[difference] += count;
  }
  return sum;
}

Contrast contrast_with_fake_quantize(fused::Network& network, const fused::train::Dataset& data,
                                     const backends::Preprocessing& preprocessing,
                                     sim::ThreadPool* pool) {
  fused::Context device;
  device.pool = pool;
  device.batch_norm = fused::BatchNormMode::frozen;
  fused::Context fake = device;
  fake.mode = fused::ForwardMode::fake_quantize;

  Contrast result;
  std::vector<backends::TensorComparator> layers;
  for (int64_t first = 0; first < data.size(); first += kContrastBatch) {
    throw_if_interrupted();
    const int64_t count = std::min(kContrastBatch, data.size() - first);
    const Tensor input = fused::train::preprocess(data.images.slice(first, count), preprocessing);
    const std::vector<int32_t> device_classes =
        fused::train::classes_of(network.forward(input, device).real());
    const Values device_values = network.values();
    const std::vector<int32_t> fake_classes =
        fused::train::classes_of(network.forward(input, fake).real());
    compare(device_values, network.values(), data.size(), layers);
    for (size_t i = 0; i < fake_classes.size(); ++i) {
      result.flips += fake_classes[i] != device_classes[i];
      result.correct += fake_classes[i] == data.labels[static_cast<size_t>(first) + i];
    }
    result.images += count;
  }
  for (const backends::TensorComparator& layer : layers) {
    const backends::TensorComparison& comparison = layer.result();
    result.layers.push_back({.name = comparison.name,
                             .compared = comparison.compared,
                             .mismatches = comparison.mismatches,
                             .histogram = comparison.histogram});
  }
  return result;
}

}  // namespace facsim::cli
