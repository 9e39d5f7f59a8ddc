// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/map.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/real_kernel-internal.h"

namespace facsim::sim {

namespace {

constexpr std::array<std::string_view, 6> kKinds = {"quantize", "dequantize", "requantize",
                                                    "relu",     "relu6",      "clamp"};
constexpr int64_t kCodes = 256;
constexpr int64_t kMaxTableChannels = 64;

/// The norm for one element.
template <class Out, class In>
Out apply(const Requantizer& requantize, In value, int64_t channel, Events& events) {
  if constexpr (std::is_same_v<Out, float>) {
    return requantize.apply_to_real(value, channel, events);
  } else if constexpr (std::is_same_v<In, float>) {
    return static_cast<Out>(requantize.apply_real(value, channel, events));
  } else {
    return static_cast<Out>(requantize.apply(value, channel, events));
  }
}

/// f.operator()<In, Out>() for the pairs a program can have (float32 to float32 is none of them).
template <class F>
void with_types(DType in, DType out, const F& f) {
  detail::with_dtype(in, [&]<class In>() {
    detail::with_dtype(out, [&]<class Out>() {
      if constexpr (std::is_same_v<In, float> && std::is_same_v<Out, float>) {
        FACSIM_CHECK(in != out);
      } else {
        f.template operator()<In, Out>();
      }
    });
  });
}

}  // namespace

Map::Map(MapParams params) : params_(std::move(params)) {
  const auto refuse = [&](std::string_view field, std::string found, std::string expected) {
    throw Error({ErrorCode::bad_value, fmt::format("{} {}", params_.kind, field), std::move(found),
                 std::move(expected), ""});
  };
  if (std::find(kKinds.begin(), kKinds.end(), params_.kind) == kKinds.end()) {
    refuse("kind", "not an elementwise op", fmt::format("{}", fmt::join(kKinds, ", ")));
  }
  const Requantizer& requantize = params_.requantize;
  const bool real_input = params_.input_dtype == DType::float32;
  if (requantize.program().input_is_real != real_input) {
    refuse("requantize", real_input ? "a program over integers" : "a program over float32",
           fmt::format("a program over {}", to_string(params_.input_dtype)));
  }
  if (real_input && requantize.output_is_real()) {
    refuse("requantize", "a program from float32 to float32", "an integer on one side");
  }
  if (params_.channel_axis < -1) {
    refuse("channel_axis", fmt::format("{}", params_.channel_axis), "-1 (the last) or an axis");
  }
  make_table();
  if (auto kernel = detail::RealKernel::make(requantize)) {
    real_kernel_ = std::make_shared<const detail::RealKernel>(std::move(*kernel));
  }
}

void Map::make_table() {
  const DType in = params_.input_dtype;
  const Requantizer& requantize = params_.requantize;
  if (size_of(in) != 1 || requantize.channels() > kMaxTableChannels) return;
  Tensor table(output_dtype(), Shape{requantize.channels(), kCodes});
  Events ignored;
  try {
    with_types(in, output_dtype(), [&]<class In, class Out>() {
      Out* entry = table.data<Out>();
      for (int64_t channel = 0; channel < requantize.channels(); ++channel) {
        for (int64_t bits = 0; bits < kCodes; ++bits) {
          *entry++ = apply<Out>(requantize, static_cast<In>(bits), channel, ignored);
        }
      }
    });
  } catch (const Error&) {
    return;  // the norm reports the element, if the code occurs at all
  }
  table_ = std::move(table);
}

Shape Map::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& shape = inputs[0];
  const int64_t channels = params_.requantize.channels();
  if (channels == 1) return shape;
  const int axis = params_.channel_axis < 0 ? shape.rank() - 1 : params_.channel_axis;
  if (axis < 0 || axis >= shape.rank() || shape[axis] != channels) {
    throw Error({ErrorCode::shape_mismatch, params_.kind, "input shape " + to_string(shape),
                 fmt::format("{} channels on axis {}", channels, axis), ""});
  }
  return shape;
}

DType Map::output_dtype() const {
  return params_.requantize.output_is_real() ? DType::float32
                                             : params_.requantize.output_type().storage();
}

int64_t Map::channel_of(int64_t flat_index, const Shape& shape) const {
  if (params_.requantize.channels() == 1) return 0;
  const int axis = params_.channel_axis < 0 ? shape.rank() - 1 : params_.channel_axis;
  int64_t inner = 1;
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  return flat_index / inner % shape[axis];
}

Events Map::run(std::span<const Tensor* const> inputs, Tensor& output,
                const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), params_.input_dtype);
  const bool use_table = !table_.empty() && context.isa != Isa::scalar && !context.count_events;
  const bool use_real_kernel = real_kernel_ != nullptr && context.isa != Isa::scalar;
  const bool per_tensor = params_.requantize.channels() == 1;
  Events events;
  with_types(input.dtype(), output.dtype(), [&]<class In, class Out>() {
    const In* x = input.data<In>();
    Out* y = output.data<Out>();
    events = detail::for_blocks(
        context.pool, input.numel(), detail::kElementBlock, [&](int64_t begin, int64_t end) {
          Events counted;
          if (use_real_kernel) {
            if constexpr (std::is_same_v<In, float>) {
              counted = real_kernel_->run(x + begin, end - begin, y + begin, context.isa,
                                          context.count_events);
            }
          } else if (!use_table) {
            for (int64_t i = begin; i < end; ++i) {
              y[i] = apply<Out>(params_.requantize, x[i], channel_of(i, input.shape()), counted);
            }
          } else if constexpr (sizeof(In) == 1) {
            const Out* table = table_.data<Out>();
            for (int64_t i = begin; i < end; ++i) {
              const int64_t channel = per_tensor ? 0 : channel_of(i, input.shape());
              y[i] = table[channel * kCodes + static_cast<uint8_t>(x[i])];
            }
          }
          return counted;
        });
  });
  return context.count_events ? events : Events{};
}

Explanation Map::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), params_.input_dtype);
  const int64_t channel = channel_of(flat_index, out);
  const Requantizer& requantize = params_.requantize;
  Explanation explanation;
  Events ignored;
  if (input.dtype() == DType::float32) {
    const float value = input.data<float>()[flat_index];
    explanation.steps = requantize.trace_real(value, channel);
    explanation.result = requantize.apply_real(value, channel, ignored);
  } else {
    const int64_t code = input.int_at(flat_index);
    explanation.steps = requantize.trace(code, channel);
    // A real result has no integer form: the last step holds it.
    if (!requantize.output_is_real()) {
      explanation.result = requantize.apply(code, channel, ignored);
    }
  }
  return explanation;
}

}  // namespace facsim::sim
