// SPDX-License-Identifier: Apache-2.0
#include "quant/observers/observer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/observers/ema_min_max.h"
#include "quant/observers/min_max.h"
#include "quant/observers/moving_average_min_max.h"
#include "sim/core/error.h"

namespace facsim::quant {

Observer::Observer(int channel_axis, int64_t channels)
    : channel_axis_(channel_axis),
      min_(DType::float32, {channels}),
      max_(DType::float32, {channels}),
      batches_(DType::int64, {1}) {
  FACSIM_CHECK(channels >= 1 && (channel_axis >= 0 || channels == 1));
}

bool Observer::empty() const { return batches_.int_at(0) == 0; }

void Observer::observe(const Tensor& x) {
  const Range range = range_of(x, channel_axis_);
  if (static_cast<int64_t>(range.min.size()) != channels()) {
    throw Error({ErrorCode::shape_mismatch, "observer", "tensor " + to_string(x.shape()),
                 fmt::format("{} channels on axis {}", channels(), channel_axis_), ""});
  }
  observe_range(range.min, range.max);
}

void Observer::observe_range(std::span<const float> batch_min, std::span<const float> batch_max) {
  FACSIM_CHECK_EQ(static_cast<int64_t>(batch_min.size()), channels());
  FACSIM_CHECK_EQ(batch_max.size(), batch_min.size());
  const bool first = empty();
  const auto min = min_.values<float>();
  const auto max = max_.values<float>();
  for (size_t c = 0; c < batch_min.size(); ++c) {
    min[c] = first ? batch_min[c] : next(min[c], batch_min[c], End::min);
    max[c] = first ? batch_max[c] : next(max[c], batch_max[c], End::max);
  }
  batches_.set_int(0, batches_.int_at(0) + 1);
}

State Observer::state() const {
  return {{"min_val", min_}, {"max_val", max_}, {"batches", batches_}};
}

Range range_of(const Tensor& x, int channel_axis) {
  const Shape& shape = x.shape();
  int64_t outer = 1, channels = 1, inner = x.numel();
  if (channel_axis >= 0) {
    if (channel_axis >= shape.rank()) {
      throw Error({ErrorCode::shape_mismatch, "observer", "tensor " + to_string(shape),
                   fmt::format("a channel axis {}", channel_axis), ""});
    }
    for (int i = 0; i < channel_axis; ++i) outer *= shape[i];
    channels = shape[channel_axis];
    inner = outer * channels == 0 ? 0 : x.numel() / (outer * channels);
  }
  const auto count = static_cast<size_t>(channels);
  Range range{std::vector<float>(count, std::numeric_limits<float>::infinity()),
              std::vector<float>(count, -std::numeric_limits<float>::infinity())};
  const float* v = x.data<float>();
  for (int64_t o = 0; o < outer; ++o) {
    for (size_t c = 0; c < count; ++c, v += inner) {
      float min = range.min[c], max = range.max[c];
      bool finite = true;
      for (int64_t i = 0; i < inner; ++i) {
        min = v[i] < min ? v[i] : min;
        max = v[i] > max ? v[i] : max;
        finite = finite & (std::fabs(v[i]) <= std::numeric_limits<float>::max());
      }
      if (!finite) {
        throw Error({ErrorCode::bad_value, "observer", "a value that is not finite",
                     "finite values", "a diverged training, or a bad input"});
      }
      range.min[c] = min;
      range.max[c] = max;
    }
  }
  if (x.numel() == 0) {
    throw Error({ErrorCode::bad_value, "observer", "an empty tensor", "at least one value", ""});
  }
  return range;
}

std::unique_ptr<Observer> make_observer(std::string_view name, int channel_axis, int64_t channels) {
#define FACSIM_OBSERVER(word, Class) \
  if (name == #word) return std::make_unique<Class>(channel_axis, channels);
#include "quant/observers/observers.def"
#undef FACSIM_OBSERVER
  throw Error({ErrorCode::bad_value, "observer", std::string(name),
               fmt::format("one of {}", fmt::join(all_observers(), ", ")), ""});
}

const std::vector<std::string_view>& all_observers() {
  static const std::vector<std::string_view> words = {
#define FACSIM_OBSERVER(word, Class) #word,
#include "quant/observers/observers.def"
#undef FACSIM_OBSERVER
  };
  return words;
}

}  // namespace facsim::quant
