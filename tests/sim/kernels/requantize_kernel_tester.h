// SPDX-License-Identifier: Apache-2.0
// Compares requantize kernels with the norm, element by element.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "sim/kernels/isa.h"
#include "sim/kernels/requantize.h"
#include "tests/sim/requantize/program_cases.h"

namespace facsim::sim {

/// Elements of any output type, read back as int64.
struct Output {
  Output(DType output_type, size_t size) : type(output_type), bytes(size * size_of(output_type)) {}
  int64_t operator[](size_t i) const {
    switch (type) {
      case DType::int8:
        return reinterpret_cast<const int8_t*>(bytes.data())[i];
      case DType::uint8:
        return reinterpret_cast<const uint8_t*>(bytes.data())[i];
      default:
        return reinterpret_cast<const int16_t*>(bytes.data())[i];
    }
  }
  DType type;
  std::vector<uint8_t> bytes;
};

struct Compared {
  int64_t mismatches = 0;
  Events events, expected_events;
};

/// Runs `acc` as dense rows of `channels` on `isa`, and compares every element with the norm.
template <class Acc>
Compared compare(const Requantizer& norm, const RequantizeKernel& kernel,
                 const std::vector<Acc>& acc, int64_t channels, Isa isa, bool count_events) {
  const int64_t rows = static_cast<int64_t>(acc.size()) / channels;
  Output out(norm.output_type().storage(), acc.size());
  Compared result;
  result.events = kernel.run(acc.data(), channels, rows, 0, channels, out.bytes.data(), channels,
                             isa, count_events);
  for (size_t i = 0; i < static_cast<size_t>(rows * channels); ++i) {
    const int64_t channel = norm.channels() == 1 ? 0 : static_cast<int64_t>(i) % channels;
    const int64_t expected = norm.apply(acc[i], channel, result.expected_events);
    if (out[i] == expected) continue;
    if (result.mismatches++ == 0) {
      MESSAGE("acc " << acc[i] << " channel " << channel << " isa " << to_string(isa) << " form "
                     << kernel.form() << ": expected " << expected << ", got " << out[i]);
    }
  }
  return result;
}

inline constexpr int64_t kChannels = 21;

/// All instruction sets of this machine but the norm.
inline std::vector<Isa> fast_isas() {
  std::vector<Isa> isas = available_isas();
  isas.erase(isas.begin());
  return isas;
}

/// Every accumulator in every channel.
inline std::vector<int32_t> spread(const std::vector<int32_t>& acc, int64_t channels) {
  std::vector<int32_t> out;
  for (int32_t v : acc) out.insert(out.end(), static_cast<size_t>(channels), v);
  return out;
}

}  // namespace facsim::sim
