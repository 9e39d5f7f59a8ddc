// SPDX-License-Identifier: Apache-2.0
// The vendor's walk-through of configs/README.md: a chip that no shipped profile matches, in JSON
// only.
#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "backends/profile/profile.h"
#include "sim/core/error.h"
#include "sim/kernels/requantize.h"

namespace facsim::backends {
namespace {

const std::filesystem::path kVendorProfile =
    std::filesystem::path(FACSIM_SOURCE_DIR) / "tests/profiles/vendor/narrow-requant.json";

sim::Requantizer vendor_requantizer(float output_scale, int64_t zero_point, Activation activation) {
  const Profile profile = load_profile(kVendorProfile.string(), ProfileSearch::standard());
  LinearScales scales;
  scales.input_scale = 0.02f;
  scales.weight_scale = {0.01f, 0.005f};
  scales.output.scale = {output_scale};
  scales.output.zero_point = {zero_point};
  scales.activation = activation;
  return make_requantizer(profile.rules("conv2d"), scales, {});
}

TEST_CASE("profile vendor: the guide's chip lints clean and is the guide's text") {
  CHECK(lint_profile(kVendorProfile.string(), ProfileSearch::standard()).empty());
  const std::string guide =
      read_file(std::filesystem::path(FACSIM_SOURCE_DIR) / "configs/README.md");
  CHECK(guide.find(read_file(kVendorProfile)) != std::string::npos);
}

TEST_CASE("profile vendor: the guide's numbers") {
  const Profile profile = load_profile(kVendorProfile.string(), ProfileSearch::standard());
  CHECK(to_string(profile.rules("conv2d").requantize) ==
        "resize int17 saturate\nclamp activation_min activation_max\nmul multiplier\n"
        "shr 12 half_up\nshr shift half_away_from_zero\nadd zero_point\nresize int8 saturate\n"
        "clamp clamp_min clamp_max\n");
  sim::Events events;
  const auto code = [&](const sim::Requantizer& requantizer, int64_t acc) {
    return requantizer.apply(acc, 0, events);
  };
  const sim::Requantizer fine = vendor_requantizer(0.05f, -10, Activation::none);
  CHECK(fine.arguments().integers.at("multiplier") == std::vector<int64_t>{2097, 2097});
  CHECK(fine.arguments().integers.at("shift") == std::vector<int64_t>{7, 8});
  CHECK(code(fine, 12345) == 39);  // 25887465 -> 6320 -> 49, - 10
  CHECK(code(fine, -12345) == -59);
  const sim::Requantizer coarse = vendor_requantizer(0.2f, 0, Activation::none);
  events = {};
  CHECK(code(coarse, 70000) == 66);  // 65535 * 2097 -> 33551 -> 65.53; not 70
  CHECK(events.saturated == 1);
  CHECK(code(vendor_requantizer(0.2f, -10, Activation::relu), -70000) == -10);
  CHECK(code(vendor_requantizer(0.2f, -10, Activation::none), -70000) == -76);
  // A real multiplier of 5 needs a left shift.
  CHECK_THROWS_WITH_AS(vendor_requantizer(0.00004f, 0, Activation::none),
                       doctest::Contains("12..27"), Error);
}

TEST_CASE("profile vendor: layers run in SIMD blocks with the norm's bits") {
  for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6}) {
    const sim::Requantizer requantizer = vendor_requantizer(0.2f, -10, activation);
    const sim::RequantizeKernel kernel(requantizer, INT32_MIN, INT32_MAX);
    CHECK(kernel.form() == "block");
    std::vector<int32_t> acc;
    for (int64_t v = -140000; v < 140000; v += 7) acc.push_back(static_cast<int32_t>(v));
    acc.insert(acc.end(), {INT32_MIN, INT32_MAX, 65535, 65536, -65536, -65537});
    const auto rows = static_cast<int64_t>(acc.size()) / 2;
    std::vector<int8_t> out(acc.size());
    kernel.run(acc.data(), 2, rows, 0, 2, out.data(), 2, sim::Isa::best, false);
    sim::Events events;
    int64_t mismatches = 0;
    for (size_t i = 0; i < static_cast<size_t>(rows) * 2; ++i) {
      mismatches += out[i] != requantizer.apply(acc[i], static_cast<int64_t>(i % 2), events);
    }
    CHECK(mismatches == 0);
  }
}

}  // namespace
}  // namespace facsim::backends
