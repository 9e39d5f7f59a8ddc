// SPDX-License-Identifier: Apache-2.0
// A layer as XNNPACK's qc8 convolution (per-channel weights); a linear layer as its 1x1
// convolution.
#include <pthreadpool.h>
#include <xnnpack.h>

#include <cmath>
#include <stdexcept>

#include "tools/bench/runner.h"

namespace facsim::bench {

namespace {

void require(xnn_status status, const char* what) {
  if (status != xnn_status_success) {
    throw std::runtime_error(std::string("XNNPACK refused ") + what);
  }
}

class XnnpackRunner final : public LayerRunner {
 public:
  XnnpackRunner(const LayerCase& layer, int threads)
      : pool_(threads > 1 ? pthreadpool_create(static_cast<size_t>(threads)) : nullptr,
              pthreadpool_destroy),
        input_(layer.input),
        output_(Tensor::uninitialized(DType::int8, layer.output_shape())) {
    require(xnn_initialize(nullptr), "to start");
    const LayerGeometry& g = layer.geometry;
    std::vector<int32_t> bias;
    const float sx = layer.input_qparams.scale.front();
    for (size_t c = 0; c < layer.bias.size(); ++c) {
      bias.push_back(static_cast<int32_t>(
          std::lround(layer.bias[c] / (static_cast<double>(sx) * layer.weight_qparams.scale[c]))));
    }
    const auto pad = static_cast<uint32_t>(g.kernel / 2);
    const auto kernel = static_cast<uint32_t>(g.kernel);
    const auto stride = static_cast<uint32_t>(g.stride);
    const auto size = [](int64_t v) { return static_cast<size_t>(v); };
    xnn_operator_t op = nullptr;
    require(xnn_create_convolution2d_nhwc_qc8(
                pad, pad, pad, pad, kernel, kernel, stride, stride, 1, 1,
                static_cast<uint32_t>(g.groups), size(g.ic / g.groups), size(g.oc / g.groups),
                size(g.ic), size(g.oc), static_cast<int8_t>(layer.input_qparams.zero_point.front()),
                sx, layer.weight_qparams.scale.data(), layer.weights.data<int8_t>(), bias.data(),
                static_cast<int8_t>(layer.output_qparams.zero_point.front()),
                layer.output_qparams.scale.front(), -128, 127, 0, &op),
            "the layer");
    op_.reset(op);
    require(xnn_setup_convolution2d_nhwc_qc8(op, size(g.batch), size(g.extent), size(g.extent),
                                             input_.data<int8_t>(), output_.data<int8_t>(),
                                             pool_.get()),
            "the shapes");
  }

  void run() override { require(xnn_run_operator(op_.get(), pool_.get()), "to run"); }
  const Tensor& output() const override { return output_; }
  std::string implementation() const override { return "qc8"; }

 private:
  std::unique_ptr<pthreadpool, decltype(&pthreadpool_destroy)> pool_;
  Tensor input_, output_;
  std::unique_ptr<xnn_operator, decltype(&xnn_delete_operator)> op_{nullptr, xnn_delete_operator};
};

}  // namespace

std::unique_ptr<LayerRunner> make_xnnpack_runner(const LayerCase& layer, int threads) {
  return std::make_unique<XnnpackRunner>(layer, threads);
}

}  // namespace facsim::bench
