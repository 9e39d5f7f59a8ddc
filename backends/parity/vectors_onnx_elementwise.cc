// SPDX-License-Identifier: Apache-2.0
// ONNX's QuantizeLinear, DequantizeLinear, QLinearAdd and pools.
#include <algorithm>
#include <array>

#include "backends/parity/vectors_onnx-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

/// Which scale each element takes: one for all, one per index of `axis`, or one per block of
/// `block_size` along `axis` (the scale tensor then has the rank of x).
class ScaleIndex {
 public:
  ScaleIndex(const CaseData& data, const Shape& x, const Shape& scale)
      : x_(x), scale_(scale), axis_(static_cast<int>(data.integer("axis", 1))) {
    count_ = scale.numel();
    if (count_ == 1) return;
    const int64_t rank = x.rank();
    if (axis_ < 0) axis_ += static_cast<int>(rank);
    if (axis_ < 0 || axis_ >= rank) data.fail("axis", std::to_string(axis_), "an axis of x");
    block_ = data.integer("block_size", 0);
    bool fits = block_ >= 0;
    if (fits && block_ == 0) {
      block_ = 1;
      fits = scale.rank() == 1 && scale[0] == x[axis_];
    } else if (fits) {
      blocked_ = true;
      fits = scale.rank() == rank;
      for (int i = 0; fits && i < rank; ++i) {
        fits = scale[i] == (i == axis_ ? (x[i] + block_ - 1) / block_ : x[i]);
      }
    }
    if (!fits) {
      throw Error({ErrorCode::shape_mismatch, "scale", to_string(scale),
                   "scales along the axis of x " + to_string(x), ""});
    }
  }

  int64_t count() const { return count_; }

  int64_t of(int64_t flat) const {
    if (count_ == 1) return 0;
    int64_t index = 0;
    int64_t stride = 1;
    for (int i = x_.rank(); i-- > 0;) {
      const int64_t at = i == axis_ ? flat % x_[i] / block_ : flat % x_[i];
      flat /= x_[i];
      if (!blocked_ && i != axis_) continue;
      index += at * stride;
      stride *= scale_[blocked_ ? i : 0];
    }
    return index;
  }

 private:
  const Shape& x_;
  const Shape& scale_;
  int axis_;
  int64_t block_ = 1;
  bool blocked_ = false;
  int64_t count_ = 1;
};

template <class T>
void move_elements(const Tensor& from, Tensor& to, const std::vector<int64_t>& places,
                   bool gather) {
  const T* in = from.data<T>();
  T* out = to.data<T>();
  for (size_t i = 0; i < places.size(); ++i) {
    if (gather) {
      out[i] = in[places[i]];
    } else {
      out[places[i]] = in[i];
    }
  }
}

void move_elements(const Tensor& from, Tensor& to, const std::vector<int64_t>& places,
                   bool gather) {
  switch (from.dtype()) {
    case DType::int8:
      return move_elements<int8_t>(from, to, places, gather);
    case DType::uint8:
      return move_elements<uint8_t>(from, to, places, gather);
    case DType::int16:
      return move_elements<int16_t>(from, to, places, gather);
    case DType::uint16:
      return move_elements<uint16_t>(from, to, places, gather);
    case DType::int32:
      return move_elements<int32_t>(from, to, places, gather);
    case DType::int64:
      return move_elements<int64_t>(from, to, places, gather);
    case DType::float32:
      return move_elements<float>(from, to, places, gather);
  }
}

/// Applies make_op(scale, zero_point) to the elements that share a scale.
template <class MakeOp>
Tensor by_scale(const CaseRun& run, const Tensor& x, Roles scale_roles, Roles zero_point_roles,
                const MakeOp& make_op) {
  const CaseData& data = run.data;
  const Tensor& scale = data.any(scale_roles);
  const std::vector<float> scales = reals_of(scale);
  const Tensor* zero_point = data.find(zero_point_roles);
  const std::vector<int64_t> zero_points =
      zero_point != nullptr ? integers_of(*zero_point) : std::vector<int64_t>(scales.size(), 0);
  if (zero_points.size() != scales.size()) {
    throw Error({ErrorCode::shape_mismatch, "zero point", std::to_string(zero_points.size()),
                 std::to_string(scales.size()), ""});
  }
  if (x.shape() != data.golden().shape()) {
    throw Error({ErrorCode::shape_mismatch, "output", to_string(x.shape()),
                 to_string(data.golden().shape()), ""});
  }
  const ScaleIndex index(data, x.shape(), scale.shape());
  std::vector<std::vector<int64_t>> places(static_cast<size_t>(index.count()));
  for (int64_t i = 0; i < x.numel(); ++i) {
    places[static_cast<size_t>(index.of(i))].push_back(i);
  }
  Tensor output(data.golden().dtype(), x.shape());
  for (size_t s = 0; s < scales.size(); ++s) {
    if (places[s].empty()) continue;
    const Shape group{1, static_cast<int64_t>(places[s].size())};
    Tensor elements(x.dtype(), group);
    move_elements(x, elements, places[s], /*gather=*/true);
    const auto op = make_op(scales[s], zero_points[s]);
    const Tensor result = execute(*op, {&elements}, group, run.context);
    if (result.dtype() != output.dtype()) {
      throw Error({ErrorCode::shape_mismatch, "output", std::string(to_string(result.dtype())),
                   std::string(to_string(output.dtype())), ""});
    }
    move_elements(result, output, places[s], /*gather=*/false);
  }
  return output;
}

std::vector<Computed> quantize_linear(const CaseRun& run) {
  const CaseData& data = run.data;
  const sim::IntType type =
      data.type("logical_dtypes/y_zero_point").value_or(code_type(data.golden()));
  const auto make_op = [&](float scale, int64_t zero_point) {
    return lower_quantize(run.profile, make_qparams({scale}, {zero_point}, type, -1));
  };
  return {{"", by_scale(run, data.any({"in_x"}), {"const_s", "in_y_scale"},
                        {"const_z", "in_y_zero_point"}, make_op)}};
}

std::vector<Computed> dequantize_linear(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& x = data.any({"in_x"});
  const sim::IntType type = data.type("logical_dtypes/x").value_or(code_type(x));
  const auto make_op = [&](float scale, int64_t zero_point) {
    return lower_dequantize(run.profile, make_qparams({scale}, {zero_point}, type, -1));
  };
  return {{"", by_scale(run, x, {"const_s", "const_x_scale", "in_x_scale"},
                        {"const_z", "const_x_zp", "in_x_zero_point"}, make_op)}};
}

std::vector<Computed> qlinear_add(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& a = data.any({"in_a"});
  const Tensor& b = data.any({"in_b", "const_b"});
  const auto op = lower_add(
      run.profile, onnx_qparams(data, {"const_a_scale"}, {"const_a_zp"}, code_type(a), -1),
      onnx_qparams(data, {"const_b_scale"}, {"const_b_zp"}, code_type(b), -1),
      onnx_qparams(data, {"const_c_scale"}, {"const_c_zp"}, code_type(data.golden()), -1),
      Activation::none);
  return {{"", execute(*op, {&a, &b}, data.golden().shape(), run.context)}};
}

std::vector<Computed> pool(const CaseRun& run, bool global) {
  const CaseData& data = run.data;
  const Tensor& x = data.any({"in_x"});
  if (x.shape().rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "in_x", to_string(x.shape()), "(N, C, H, W)", ""});
  }
  if (data.integer("channels_last", 0) != 0) {
    throw Error({ErrorCode::unsupported, "attribute channels_last", "1", "0", ""});
  }
  const sim::Window2d window =
      global ? sim::Window2d{} : onnx_window(data, data.pair("kernel_shape")).window;
  const auto op = lower_avg_pool2d(
      run.profile, window, global, data.integer("count_include_pad", 0) != 0,
      onnx_qparams(data, {"const_x_scale"}, {"const_x_zp"}, code_type(x), -1),
      onnx_qparams(data, {"const_y_scale"}, {"const_y_zp"}, code_type(data.golden()), -1),
      Activation::none, x.shape()[2], x.shape()[3]);
  return {{"", execute_nchw(*op, x, data.golden().shape(), run.context)}};
}

std::vector<Computed> qlinear_average_pool(const CaseRun& run) { return pool(run, false); }
std::vector<Computed> qlinear_global_average_pool(const CaseRun& run) { return pool(run, true); }

constexpr std::array<AdapterEntry, 5> kOnnxElementwise{{
    {"QuantizeLinear", quantize_linear},
    {"DequantizeLinear", dequantize_linear},
    {"QLinearAdd", qlinear_add},
    {"QLinearAveragePool", qlinear_average_pool},
    {"QLinearGlobalAveragePool", qlinear_global_average_pool},
}};

}  // namespace

std::span<const AdapterEntry> onnx_elementwise_adapters() { return kOnnxElementwise; }

}  // namespace facsim::backends::detail
