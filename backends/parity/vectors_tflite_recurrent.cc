// SPDX-License-Identifier: Apache-2.0
// svdf and lstm as CMSIS-NN records them. The vectors are [time, batch, size] (lstm: or batch
// first), ours [batch, time, size].
#include <array>
#include <cstddef>
#include <cstring>

#include "backends/lower/recurrent.h"
#include "backends/lower/requantize-internal.h"
#include "backends/parity/vectors_tflite-internal.h"

namespace facsim::backends::detail {

namespace {

/// [a, b, size] as [b, a, size].
Tensor swap_leading_axes(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  Tensor swapped(tensor.dtype(), Shape{shape[1], shape[0], shape[2]});
  const size_t row = static_cast<size_t>(shape[2]) * size_of(tensor.dtype());
  const auto* from = static_cast<const std::byte*>(tensor.raw());
  auto* to = static_cast<std::byte*>(swapped.raw());
  for (int64_t a = 0; a < shape[0]; ++a) {
    for (int64_t b = 0; b < shape[1]; ++b) {
      std::memcpy(to + static_cast<size_t>(b * shape[0] + a) * row,
                  from + static_cast<size_t>(a * shape[1] + b) * row, row);
    }
  }
  return swapped;
}

/// An array of the case, which stores some flat, under its shape.
Tensor array_as(const CaseData& data, const std::string& role, const Shape& shape) {
  const Tensor& array = data.array(role);
  if (array.numel() == shape.numel()) return array.reshaped(shape);
  throw Error({ErrorCode::shape_mismatch, role, to_string(array.shape()), to_string(shape), ""});
}

GivenMultiplier recurrent_multiplier(const CaseData& data, const std::string& prefix,
                                     int64_t zero_point = 0, ClampBounds clamp = {},
                                     sim::IntType output = sim::kInt32) {
  return given_multiplier({data.integer(prefix + "multiplier")}, {data.integer(prefix + "shift")},
                          zero_point, clamp, output);
}

std::vector<Computed> svdf(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& sequence = data.array("input_sequence");
  const Tensor& state = data.array("initial_state");
  if (sequence.shape().rank() != 3 || sequence.shape()[0] < 1) {
    throw Error({ErrorCode::shape_mismatch, "input_sequence", to_string(sequence.shape()),
                 "(time, batch, size)", ""});
  }
  const int64_t steps = sequence.shape()[0], batch = sequence.shape()[1];
  GivenSvdf given;
  given.input_type = code_type(sequence);
  given.input_zero_point = data.integer("input_zero_point");
  given.rank = data.integer("rank");
  given.feature_weights = data.array("weights_feature");
  given.time_weights = data.array("weights_time");
  if (const Tensor* bias = data.find({"bias"})) given.bias = *bias;
  given.state = recurrent_multiplier(
      data, "in_", 0, {data.integer("state_min"), data.integer("state_max")}, code_type(state));
  given.output = recurrent_multiplier(data, "out_", data.integer("output_zero_point"),
                                      read_clamp(data), code_type(data.golden()));
  const auto op = make_svdf(run.profile, std::move(given));
  const Tensor input = swap_leading_axes(sequence);
  const Shape& golden = data.golden().shape();
  if (golden.rank() != 2 || golden[0] != batch) {
    throw Error({ErrorCode::shape_mismatch, "golden", to_string(golden), "(batch, units)", ""});
  }
  const Tensor all = execute(*op, {&input, &state}, Shape{batch, steps, golden[1]}, run.context);
  const Tensor by_time = swap_leading_axes(all);
  return {{"", by_time.slice(steps - 1, 1).reshaped(golden)}};
}

std::vector<Computed> lstm(const CaseRun& run) {
  const CaseData& data = run.data;
  const auto extent = [&](const char* attribute) {
    const int64_t value = data.integer(attribute);
    if (value < 1 || value > 1 << 16) data.fail(attribute, std::to_string(value), "1..65536");
    return value;
  };
  const int64_t batch = extent("batch_size"), steps = extent("time_steps");
  const int64_t size = extent("input_size"), hidden = extent("hidden_size");
  const bool time_major = data.integer("time_major") != 0;
  const auto gate = [&](const std::string& name) {
    GivenLstmGate own;
    own.input_weights = array_as(data, name + "_input_weights", Shape{hidden, size});
    own.hidden_weights = array_as(data, name + "_hidden_weights", Shape{hidden, hidden});
    own.bias = array_as(data, name + "_bias", Shape{hidden});
    own.input = recurrent_multiplier(data, name + "_input_");
    own.hidden = recurrent_multiplier(data, name + "_hidden_");
    return own;
  };
  GivenLstm given;
  given.type = code_type(data.array("input_tensor"));
  // CMSIS-NN's own attributes: what it adds to inputs, and the zero point of outputs.
  const int64_t offset = data.integer("input_zero_point");
  if (offset < INT16_MIN || offset > INT16_MAX + 1) {
    data.fail("input_zero_point", std::to_string(offset), "-32768..32768");
  }
  given.input_zero_point = -offset;
  given.input_gate = gate("input_gate");
  given.forget_gate = gate("forget_gate");
  given.cell_gate = gate("cell_gate");
  given.output_gate = gate("output_gate");
  const int64_t power = data.integer("cell_scale_power");
  if (power < -31 || power > 0) data.fail("cell_scale_power", std::to_string(power), "-31..0");
  given.cell_scale_power = static_cast<int>(power);
  given.cell_clip = data.integer("cell_clip");
  given.forget_to_cell = recurrent_multiplier(data, "forget_to_cell_");
  given.input_to_cell = recurrent_multiplier(data, "input_to_cell_");
  given.output = recurrent_multiplier(data, "output_", data.integer("output_zero_point"));
  const auto op = make_lstm(run.profile, std::move(given));
  Tensor input = array_as(data, "input_tensor",
                          time_major ? Shape{steps, batch, size} : Shape{batch, steps, size});
  if (time_major) input = swap_leading_axes(input);
  Tensor output = execute(*op, {&input}, Shape{batch, steps, hidden}, run.context);
  if (time_major) output = swap_leading_axes(output);
  if (output.numel() != data.golden().numel()) {
    throw Error({ErrorCode::shape_mismatch, "golden", to_string(data.golden().shape()),
                 to_string(output.shape()), ""});
  }
  return {{"", output.reshaped(data.golden().shape())}};
}

constexpr std::array<AdapterEntry, 2> kTfliteRecurrent{{
    {"svdf", svdf},
    {"unidirectional_lstm", lstm},
}};

}  // namespace

std::span<const AdapterEntry> tflite_recurrent_adapters() { return kTfliteRecurrent; }

}  // namespace facsim::backends::detail
