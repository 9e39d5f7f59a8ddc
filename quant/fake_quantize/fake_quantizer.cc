// SPDX-License-Identifier: Apache-2.0
#include "quant/fake_quantize/fake_quantizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "quant/fake_quantize/fixed.h"
#include "quant/fake_quantize/learnable.h"
#include "quant/fbgemm_qparams.h"
#include "sim/core/error.h"

namespace facsim::quant {

FakeQuantizer::FakeQuantizer(TensorSpec spec, std::unique_ptr<Observer> observer)
    : scale_(DType::float32, {observer->channels()}),
      zero_point_(DType::float32, {observer->channels()}),
      spec_(spec),
      observer_(std::move(observer)),
      ready_(DType::int64, {1}) {
  const bool per_channel = spec_.granularity == TensorSpec::Granularity::per_channel;
  FACSIM_CHECK_EQ(observer_->channel_axis(), per_channel ? spec_.channel_axis : -1);
  for (float& scale : scale_.values<float>()) scale = 1.0f;
}

bool FakeQuantizer::ready() const { return ready_.int_at(0) != 0; }

void FakeQuantizer::observe(const Tensor& x) {
  const Range range = range_of(x, observer_->channel_axis());
  if (static_cast<int64_t>(range.min.size()) != observer_->channels()) {
    throw Error(
        {ErrorCode::shape_mismatch, "fake quantizer", "tensor " + to_string(x.shape()),
         fmt::format("{} channels on axis {}", observer_->channels(), observer_->channel_axis()),
         ""});
  }
  observe_range(range.min, range.max);
}

void FakeQuantizer::observe_range(std::span<const float> min, std::span<const float> max) {
  observer_->observe_range(min, max);
  const bool fbgemm = spec_.range_rule == TensorSpec::RangeRule::fbgemm;
  set_qparams(fbgemm ? choose_qparams_fbgemm(observer_->min(), observer_->max(), spec_)
                     : choose_qparams(observer_->min(), observer_->max(), spec_));
}

void FakeQuantizer::set_qparams(const QParams& qparams) {
  check(qparams, "fake quantizer");
  FACSIM_CHECK_EQ(static_cast<int64_t>(qparams.scale.size()), scale_.numel());
  for (size_t c = 0; c < qparams.scale.size(); ++c) {
    scale_.values<float>()[c] = qparams.scale[c];
    zero_point_.values<float>()[c] = static_cast<float>(qparams.zero_point[c]);
  }
  ready_.set_int(0, 1);
}

QParams FakeQuantizer::qparams() const {
  if (!ready()) {
    throw Error({ErrorCode::bad_value, "fake quantizer", "no range observed yet",
                 "a calibrated quantizer", "run some batches with observers on first"});
  }
  QParams out;
  out.scale.assign(scale_.values<float>().begin(), scale_.values<float>().end());
  out.zero_point.clear();
  for (const float z : zero_point_.values<float>()) {
    out.zero_point.push_back(static_cast<int64_t>(z));
  }
  out.channel_axis = observer_->channel_axis();
  out.type = spec_.type;
  out.quant_min = spec_.quant_min();
  out.quant_max = spec_.quant_max();
  return out;
}

FakeQuantized FakeQuantizer::forward(const Tensor& x, sim::ThreadPool* pool) const {
  return fake_quantize(x, qparams(), spec_, pool);
}

State FakeQuantizer::state() const {
  State out{{"scale", scale_}, {"zero_point", zero_point_}, {"ready", ready_}};
  for (auto& entry : observer_->state()) {
    out.push_back({"activation_post_process." + entry.name, entry.value});
  }
  return out;
}

std::unique_ptr<FakeQuantizer> make_fake_quantizer(std::string_view name, const TensorSpec& spec,
                                                   std::unique_ptr<Observer> observer) {
#define FACSIM_FAKE_QUANTIZE(word, Class) \
  if (name == #word) return std::make_unique<Class>(spec, std::move(observer));
#include "quant/fake_quantize/fake_quantize.def"
#undef FACSIM_FAKE_QUANTIZE
  throw Error({ErrorCode::bad_value, "fake quantizer", std::string(name),
               fmt::format("one of {}", fmt::join(all_fake_quantizers(), ", ")), ""});
}

std::unique_ptr<FakeQuantizer> make_fake_quantizer(std::string_view name, const TensorSpec& spec,
                                                   std::string_view observer, int64_t channels) {
  const bool per_channel = spec.granularity == TensorSpec::Granularity::per_channel;
  return make_fake_quantizer(
      name, spec,
      make_observer(observer, per_channel ? spec.channel_axis : -1, per_channel ? channels : 1));
}

const std::vector<std::string_view>& all_fake_quantizers() {
  static const std::vector<std::string_view> words = {
#define FACSIM_FAKE_QUANTIZE(word, Class) #word,
#include "quant/fake_quantize/fake_quantize.def"
#undef FACSIM_FAKE_QUANTIZE
  };
  return words;
}

}  // namespace facsim::quant
