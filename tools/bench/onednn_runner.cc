// SPDX-License-Identifier: Apache-2.0
// A layer as oneDNN's convolution or matrix product: layouts of its choice for the weights, NHWC
// for activations as ours, scratchpad and primitive made beforehand.
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "tools/bench/runner.h"

namespace facsim::bench {

namespace {

using dnnl::memory;
using Dims = memory::dims;
using Tag = memory::format_tag;
using Type = memory::data_type;

Type dnnl_type(const Tensor& codes) { return codes.dtype() == DType::uint8 ? Type::u8 : Type::s8; }

/// s_x * s_w / s_y per channel, and the zero points, as the parity tests give them.
dnnl::primitive_attr attributes_of(const LayerCase& layer) {
  dnnl::primitive_attr attr;
  std::vector<float> scale;
  for (const float sw : layer.weight_qparams.scale) {
    scale.push_back(layer.input_qparams.scale.front() * sw / layer.output_qparams.scale.front());
  }
  attr.set_output_scales(1 << 1, scale);
  const auto zx = static_cast<int32_t>(layer.input_qparams.zero_point.front());
  const auto zy = static_cast<int32_t>(layer.output_qparams.zero_point.front());
  if (zx != 0) attr.set_zero_points(DNNL_ARG_SRC, 0, {zx});
  if (zy != 0) attr.set_zero_points(DNNL_ARG_DST, 0, {zy});
  return attr;
}

class OneDnnRunner final : public LayerRunner {
 public:
  OneDnnRunner(const LayerCase& layer, int threads)
      : threads_(threads), input_(layer.input), weights_(layer.weights) {
    omp_set_num_threads(threads_);
    output_ = Tensor::uninitialized(layer.output_qparams.type.storage(), layer.output_shape());
    for (size_t c = 0; c < layer.bias.size(); ++c) {
      // oneDNN's bias counts accumulator units.
      bias_.push_back(static_cast<float>(layer.bias[c]) /
                      (layer.input_qparams.scale.front() * layer.weight_qparams.scale[c]));
    }
    layer.linear() ? make_linear(layer) : make_convolution(layer);
    stream_.wait();
  }

  void run() override {
    omp_set_num_threads(threads_);
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  const Tensor& output() const override { return output_; }
  std::string implementation() const override { return implementation_; }

 private:
  memory view(const memory::desc& desc, const void* data) {
    return memory(desc, engine_, const_cast<void*>(data));
  }

  template <class PrimitiveDesc>
  void finish(const PrimitiveDesc& primitive, const memory::desc& x, const memory::desc& user_w,
              const memory::desc& b, const memory::desc& y) {
    implementation_ = primitive.impl_info_str();
    memory user = view(user_w, weights_.raw());
    memory packed = user;
    if (primitive.weights_desc() != user_w) {
      packed = memory(primitive.weights_desc(), engine_);
      dnnl::reorder(user, packed).execute(stream_, user, packed);
    }
    arguments_ = {{DNNL_ARG_SRC, view(x, input_.raw())},
                  {DNNL_ARG_WEIGHTS, packed},
                  {DNNL_ARG_BIAS, view(b, bias_.data())},
                  {DNNL_ARG_DST, view(y, output_.raw())}};
  }

  void make_convolution(const LayerCase& layer) {
    const LayerGeometry& g = layer.geometry;
    const int64_t pad = g.kernel / 2;
    const Dims weights = g.groups == 1
                             ? Dims{g.oc, g.ic, g.kernel, g.kernel}
                             : Dims{g.groups, g.oc / g.groups, g.ic / g.groups, g.kernel, g.kernel};
    const memory::desc x(Dims{g.batch, g.ic, g.extent, g.extent}, dnnl_type(input_), Tag::nhwc);
    const memory::desc y(Dims{g.batch, g.oc, g.output_extent(), g.output_extent()},
                         dnnl_type(output_), Tag::nhwc);
    const memory::desc w(weights, Type::s8, g.groups == 1 ? Tag::ohwi : Tag::gohwi);
    const memory::desc b(Dims{g.oc}, Type::f32, Tag::x);
    using Forward = dnnl::convolution_forward;
    const Forward::desc desc(dnnl::prop_kind::forward_inference,
                             dnnl::algorithm::convolution_direct, x,
                             memory::desc(weights, Type::s8, Tag::any), b, y,
                             Dims{g.stride, g.stride}, Dims{0, 0}, Dims{pad, pad}, Dims{pad, pad});
    const Forward::primitive_desc primitive(desc, attributes_of(layer), engine_);
    finish(primitive, x, w, b, y);
    primitive_ = Forward(primitive);
  }

  void make_linear(const LayerCase& layer) {
    const LayerGeometry& g = layer.geometry;
    const memory::desc x(Dims{g.batch, g.ic}, dnnl_type(input_), Tag::ab);
    const memory::desc y(Dims{g.batch, g.oc}, dnnl_type(output_), Tag::ab);
    const memory::desc w(Dims{g.ic, g.oc}, Type::s8, Tag::ba);
    const memory::desc b(Dims{1, g.oc}, Type::f32, Tag::ab);
    const dnnl::matmul::desc desc(x, memory::desc(Dims{g.ic, g.oc}, Type::s8, Tag::any), b, y);
    const dnnl::matmul::primitive_desc primitive(desc, attributes_of(layer), engine_);
    finish(primitive, x, w, b, y);
    primitive_ = dnnl::matmul(primitive);
  }

  int threads_;
  Tensor input_, weights_, output_;
  std::vector<float> bias_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> arguments_;
  std::string implementation_;
};

}  // namespace

std::unique_ptr<LayerRunner> make_onednn_runner(const LayerCase& layer, int threads) {
  return std::make_unique<OneDnnRunner>(layer, threads);
}

}  // namespace facsim::bench
