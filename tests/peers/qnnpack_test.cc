// SPDX-License-Identifier: Apache-2.0
// Layers by PyTorch's QNNPACK engine (qnnpack.py in a Python process) against the profile qnnpack.
#include <doctest/doctest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "backends/io/npy.h"
#include "tests/formats/temp_folder.h"
#include "tests/peers/random_layers.h"
#include "tests/peers/tally.h"

extern char** environ;

namespace facsim::test {

namespace {

/// Layers as the flat arrays that qnnpack.py reads.
struct Flattened {
  std::vector<int64_t> meta;
  std::vector<float> scale, weight_scale, bias;
  std::vector<int64_t> weight_zero_point;
  std::vector<uint8_t> x;
  std::vector<int8_t> w;

  template <class T>
  static Tensor tensor(const std::vector<T>& values, int64_t columns = 0) {
    const auto count = static_cast<int64_t>(values.size());
    const Shape shape = columns == 0 ? Shape{count} : Shape{count / columns, columns};
    return Tensor::from<T>(shape, values);
  }

  void write(const std::filesystem::path& file, int64_t layers) const {
    backends::write_npz(file, {{"meta", tensor(meta, static_cast<int64_t>(meta.size()) / layers)},
                               {"scale", tensor(scale, 3)},
                               {"x", tensor(x)},
                               {"w", tensor(w)},
                               {"w_scale", tensor(weight_scale)},
                               {"w_zero_point", tensor(weight_zero_point)},
                               {"b", tensor(bias)}});
  }
};

int64_t op_number(const std::string& op) {
  const std::vector<std::string> ops{"conv2d", "linear", "add", "max_pool2d", "global_avg_pool"};
  return std::find(ops.begin(), ops.end(), op) - ops.begin();
}

void append(Flattened& flat, const Layer& layer) {
  const Shape& s = layer.inputs[0].shape();
  const bool linear = layer.op == "linear";
  const bool weights = !layer.weights.empty();
  const Shape w = weights ? layer.weights.shape() : Shape{};
  const sim::Window2d& window = layer.attributes.window;
  const quant::QParams& second = layer.qparams.back();
  const auto scales = static_cast<int64_t>(weights ? layer.weight.scale.size() : 0);
  const int64_t row[] = {op_number(layer.op),
                         s[0],
                         linear ? 1 : s[1],
                         linear ? 1 : s[2],
                         linear ? s[1] : s[3],
                         weights ? w[0] : 0,
                         window.kernel[0],
                         window.kernel[1],
                         weights && !linear ? w[3] : 0,
                         layer.attributes.groups,
                         window.stride[0],
                         window.stride[1],
                         window.dilation[0],
                         window.dilation[1],
                         window.padding.top,
                         window.padding.left,
                         layer.attributes.activation == backends::Activation::relu ? 1 : 0,
                         layer.qparams[0].zero_point.front(),
                         second.zero_point.front(),
                         layer.output.zero_point.front(),
                         layer.bias.empty() ? 0 : 1,
                         scales};
  flat.meta.insert(flat.meta.end(), std::begin(row), std::end(row));
  flat.scale.insert(flat.scale.end(), {layer.qparams[0].scale.front(), second.scale.front(),
                                       layer.output.scale.front()});
  for (const Tensor& x : layer.inputs) {
    const auto codes = x.values<uint8_t>();
    flat.x.insert(flat.x.end(), codes.begin(), codes.end());
  }
  if (!weights) return;
  const auto codes = layer.weights.values<int8_t>();
  flat.w.insert(flat.w.end(), codes.begin(), codes.end());
  flat.weight_scale.insert(flat.weight_scale.end(), layer.weight.scale.begin(),
                           layer.weight.scale.end());
  flat.weight_zero_point.insert(flat.weight_zero_point.end(), layer.weight.zero_point.begin(),
                                layer.weight.zero_point.end());
  for (int64_t c = 0; c < layer.channels() && !layer.bias.empty(); ++c) {
    const float unit = layer.qparams[0].scale.front() * layer.weight_scale(c);
    flat.bias.push_back(static_cast<float>(layer.bias.int_at(c)) * unit);
  }
}

Layer random_add(Dice& dice) {
  Layer layer;
  layer.op = "add";
  const Shape shape{1, dice.between(1, 5), dice.between(1, 5), dice.between(1, 33)};
  const float sy = dice.magnitude(-6, 3);
  const bool powers = dice.one_in(3);
  const auto rounded = [&](float scale) {
    return powers ? std::ldexp(1.0f, std::ilogb(scale)) : scale;
  };
  for (int i = 0; i < 2; ++i) {
    // QNNPACK's domain: 2^-14 <= s_i / s_y < 2^8.
    layer.inputs.push_back(random_codes(dice, sim::kUint8, shape));
    const float ratio = dice.one_in(3) ? dice.magnitude(-12, 6) : dice.magnitude(-2, 1);
    layer.qparams.push_back(random_activation(dice, sim::kUint8, rounded(sy * ratio)));
  }
  layer.output = random_activation(dice, sim::kUint8, rounded(sy));
  // QNNPACK refuses a range of one code.
  if (layer.output.zero_point.front() < 255 && dice.one_in(3)) {
    layer.attributes.activation = backends::Activation::relu;
  }
  return layer;
}

Layer random_pool(Dice& dice, const std::string& op) {
  Layer layer;
  layer.op = op;
  const Shape shape{dice.between(1, 2), dice.between(2, 8), dice.between(2, 8),
                    dice.between(1, 40)};
  layer.inputs.push_back(random_codes(dice, sim::kUint8, shape));
  layer.qparams.push_back(random_activation(dice, sim::kUint8, dice.magnitude(-4, 1)));
  layer.output = layer.qparams.front();
  if (op == "global_avg_pool") return layer;
  sim::Window2d& window = layer.attributes.window;
  const auto fits = [&] {
    return window.kernel != std::array<int64_t, 2>{1, 1} &&
           window.kernel[0] <= shape[1] + 2 * window.padding.top &&
           window.kernel[1] <= shape[2] + 2 * window.padding.left;
  };
  do {
    window = random_window(dice, shape, 4, /*dilation=*/false);
    // PyTorch pads both sides alike, by at most half of the kernel.
    const auto half = [&](size_t i) { return dice.between(0, window.kernel[i] / 2); };
    const int64_t h = half(0), w = half(1);
    window.padding = {h, w, h, w};
  } while (!fits());
  return layer;
}

Layer random_layer(Dice& dice) {
  const int64_t kind = dice.between(0, 9);
  if (kind == 0) return random_add(dice);
  if (kind == 1) return random_pool(dice, "max_pool2d");
  if (kind == 2) return random_pool(dice, "global_avg_pool");
  LayerDomain domain;
  domain.input = domain.output = sim::kUint8;
  domain.weight_zero_point = dice.one_in(2);
  domain.per_channel = dice.one_in(2);
  domain.clamps = LayerDomain::Clamps::relu;
  domain.symmetric_padding = true;
  domain.linear = kind >= 8;
  domain.depthwise = kind == 6 || kind == 7;
  // SSE2's float to int32 conversion has no result from 2^31 on, and a float32 bias must stay the
  // integer it stands for.
  domain.bias_bits = 18;
  domain.smallest_multiplier = -20;
  domain.largest_multiplier = 4;
  return random_linear_layer(dice, domain);
}

void run_python(const std::string& source, const std::string& target) {
  std::string words[] = {FACSIM_PYTHON, FACSIM_SOURCE_DIR "/tests/peers/qnnpack.py", source,
                         target};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  pid_t pid = -1;
  REQUIRE(posix_spawn(&pid, FACSIM_PYTHON, nullptr, nullptr, argv, environ) == 0);
  int status = 0;
  waitpid(pid, &status, 0);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);
}

}  // namespace

TEST_CASE("QNNPACK: convolutions, depthwise convolutions, linear layers, add, pools") {
  const uint64_t seed = from_environment("FACSIM_PEER_SEED", 20221113);
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000));
  MESSAGE("seed ", seed);
  const backends::Profile profile =
      backends::load_profile("qnnpack", backends::ProfileSearch::standard());
  Tally tally("QNNPACK of PyTorch 1.13.1");
  std::vector<Layer> layers;
  Flattened flat;
  for (int64_t i = 0; i < count; ++i) {
    Dice dice(seed * 1000003 + static_cast<uint64_t>(i));
    layers.push_back(random_layer(dice));
    append(flat, layers.back());
  }
  const TempFolder folder;
  flat.write(folder / "layers.npz", count);
  run_python((folder / "layers.npz").string(), (folder / "outputs.npz").string());
  const backends::NamedTensors outputs = backends::read_npz(folder / "outputs.npz");
  const auto codes = backends::member(outputs, "y", "outputs.npz").values<uint8_t>();
  size_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Layer& layer = layers[static_cast<size_t>(i)];
    const sim::Isa isa = i % 2 == 0 ? sim::Isa::best : sim::Isa::scalar;
    const Tensor ours = simulate(layer, profile, isa);
    const auto size = static_cast<size_t>(ours.numel());
    REQUIRE(at + size <= codes.size());
    tally.add(layer, Tensor::from<uint8_t>(ours.shape(), codes.subspan(at, size)), ours);
    at += size;
  }
  CHECK(at == codes.size());
  CHECK(tally.mismatches() == 0);
  CHECK(tally.layers() == count);
}

}  // namespace facsim::test
