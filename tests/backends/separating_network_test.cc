// SPDX-License-Identifier: Apache-2.0
#include "tests/backends/separating_network.h"

#include <doctest/doctest.h>

namespace facsim::test {
namespace {

struct Ends {
  int64_t min = 0, max = 0;
  friend bool operator==(const Ends&, const Ends&) = default;
};

/// What the sums of a channel's products can be: sum of min(w * low, w * high) and of max, where w
/// is a weight less its zero point.
Ends possible(const std::vector<int64_t>& weights, int64_t low, int64_t high) {
  Ends ends;
  for (const int64_t w : weights) {
    ends.min += std::min(w * low, w * high);
    ends.max += std::max(w * low, w * high);
  }
  return ends;
}

TEST_CASE("separating network: the images take every channel of the last layer to both ends") {
  int layers = 0;
  for (const std::string& name : backends::list_profiles(backends::ProfileSearch::standard())) {
    const backends::Profile profile =
        backends::load_profile(name, backends::ProfileSearch::standard());
    if (profile.evidence.level != backends::Profile::Evidence::Level::executed) continue;
    SeparatingNetwork network(profile);
    const backends::IntGraph& graph = network.graph();
    const backends::IntNode& node = graph.nodes.back();
    if (node.name != "steep") continue;  // refused
    CAPTURE(name);
    ++layers;
    const auto tensor = [&](int t) -> const backends::IntTensor& {
      return graph.tensors[static_cast<size_t>(t)];
    };
    const std::vector<Tensor> all_images = network.images(256);
    const auto at = std::find(graph.inputs.begin(), graph.inputs.end(), node.inputs[0]);
    REQUIRE(at != graph.inputs.end());
    const Tensor& images = all_images[static_cast<size_t>(at - graph.inputs.begin())];
    const Shape& image = images.shape();
    const quant::QParams& x = *tensor(node.inputs[0]).qparams;
    const backends::IntTensor& weights = tensor(node.inputs[1]);
    const Shape& shape = weights.data->shape();
    // A linear layer takes the whole image, a convolution at its first place the kernel's part.
    const int64_t rows = shape.rank() == 4 ? shape[1] : image[1];
    const int64_t columns = shape.rank() == 4 ? shape[2] : image[2];
    const int64_t taps = rows * columns * image[3];
    for (int64_t channel = 0; channel < shape[0]; ++channel) {
      CAPTURE(channel);
      std::vector<int64_t> w;
      for (int64_t tap = 0; tap < taps; ++tap) {
        w.push_back(weights.data->int_at(channel * taps + tap) - weights.qparams->zero_point[0]);
      }
      Ends reached{INT64_MAX, INT64_MIN};
      for (int64_t n = 0; n < image[0]; ++n) {
        int64_t sum = 0;
        for (int64_t tap = 0; tap < taps; ++tap) {
          const int64_t c = tap % image[3], column = tap / image[3] % columns;
          const int64_t row = tap / image[3] / columns;
          const int64_t pixel = (n * image[1] + row) * image[2] + column;
          sum +=
              w[static_cast<size_t>(tap)] * (images.int_at(pixel * image[3] + c) - x.zero_point[0]);
        }
        reached = {std::min(reached.min, sum), std::max(reached.max, sum)};
      }
      const Ends ends = possible(w, x.type.min() - x.zero_point[0], x.type.max() - x.zero_point[0]);
      CHECK(reached.min == ends.min);
      CHECK(reached.max == ends.max);
    }
  }
  CHECK(layers > 3);
}

}  // namespace
}  // namespace facsim::test
