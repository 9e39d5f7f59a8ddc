// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/requantize.h"

#include <doctest/doctest.h>

#include <cfenv>
#include <set>

#include "sim/core/error.h"
#include "sim/kernels/dispatch-internal.h"
#include "sim/kernels/requantize_fused-internal.h"
#include "tests/sim/requantize/program_cases.h"

namespace facsim::sim {
namespace {

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

constexpr int64_t kChannels = 21;

std::vector<Isa> fast_isas() {
  std::vector<Isa> isas = available_isas();
  isas.erase(isas.begin());
  return isas;
}

TEST_CASE("requantize kernel: every program equals the norm on every isa") {
  std::set<std::string> forms;
  // The narrow range is what layers have; in the wide one fewer short cuts are proved.
  for (const int64_t limit : {int64_t{1} << 22, int64_t{1} << 31}) {
    const std::vector<int32_t> acc = directed_accumulators(limit, 400, 7);
    std::vector<int32_t> spread;  // every accumulator in every channel
    for (int32_t v : acc) spread.insert(spread.end(), kChannels, v);
    for (const ProgramCase& c : program_cases(kChannels)) {
      CAPTURE(c.name);
      CAPTURE(limit);
      const Requantizer norm(c.program, c.arguments, c.output);
      const RequantizeKernel kernel(norm, -limit, limit - 1);
      forms.insert(std::string(kernel.form()));
      if (kernel.form() == "norm") continue;
      // One isa a case: all of them together see every program many times.
      static size_t turn = 0;
      const std::vector<Isa> isas = fast_isas();
      const Compared one = compare(norm, kernel, spread, kChannels, isas[turn++ % isas.size()], false);
      REQUIRE(one.mismatches == 0);
    }
  }
  CHECK(forms.contains("fixed_double"));
  CHECK(forms.contains("fixed_single"));
  CHECK(forms.contains("rounding_shift"));
  CHECK(forms.contains("float_half_even"));
  CHECK(forms.contains("block"));
}

}  // namespace
}  // namespace facsim::sim
