// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/isa.h"

#include <hwy/targets.h>

#include <array>

#include "sim/core/check.h"
#include "sim/core/error.h"
#include "sim/kernels/dispatch-internal.h"

namespace facsim::sim {
namespace {

struct IsaEntry {
  Isa isa;
  std::string_view name;
  int64_t cpu;       ///< the Highway target whose features the CPU must have; 0: none
  int64_t compiled;  ///< the Highway target whose code runs
};

// Highway's AVX3_DL differs from AVX3 in no operation our Highway kernels use, so avx3_dl runs AVX3
// code there; what needs VNNI is compiled on its own (conv2d_quads_vnni.cc).
constexpr IsaEntry kIsas[] = {
    {Isa::scalar, "scalar", 0, 0},
#if HWY_ARCH_X86
    {Isa::ssse3, "ssse3", HWY_SSSE3, HWY_SSSE3},
    {Isa::sse4, "sse4", HWY_SSE4, HWY_SSE4},
    {Isa::avx2, "avx2", HWY_AVX2, HWY_AVX2},
    {Isa::avx3, "avx3", HWY_AVX3, HWY_AVX3},
    {Isa::avx3_dl, "avx3_dl", HWY_AVX3_DL, HWY_AVX3},
#elif HWY_ARCH_ARM
    {Isa::neon, "neon", HWY_NEON, HWY_NEON},
#endif
};

/// What the CPU has. Asked once: CPUID costs microseconds in a virtual machine.
int64_t supported_targets() {
  static const int64_t targets = hwy::SupportedTargets();
  return targets;
}

bool is_available(const IsaEntry& entry) {
  if (entry.isa == Isa::scalar) return true;
  return (HWY_TARGETS & entry.compiled) != 0 && (supported_targets() & entry.cpu) != 0;
}

/// By isa: its entry if this build and CPU have it. Every run of a kernel asks, so it is a table.
const IsaEntry* find_available(Isa isa) {
  static const auto entries = [] {
    std::array<const IsaEntry*, static_cast<size_t>(Isa::neon) + 1> by_isa{};
    for (const IsaEntry& entry : kIsas) {
      if (is_available(entry)) by_isa[static_cast<size_t>(entry.isa)] = &entry;
    }
    return by_isa;
  }();
  return entries[static_cast<size_t>(isa)];
}

}  // namespace

std::string_view to_string(Isa isa) {
  switch (isa) {
    case Isa::best:
      return "best";
    case Isa::scalar:
      return "scalar";
    case Isa::ssse3:
      return "ssse3";
    case Isa::sse4:
      return "sse4";
    case Isa::avx2:
      return "avx2";
    case Isa::avx3:
      return "avx3";
    case Isa::avx3_dl:
      return "avx3_dl";
    case Isa::neon:
      return "neon";
  }
  return "?";
}

std::optional<Isa> isa_from_string(std::string_view word) {
  for (Isa isa : {Isa::best, Isa::scalar, Isa::ssse3, Isa::sse4, Isa::avx2, Isa::avx3, Isa::avx3_dl,
                  Isa::neon}) {
    if (to_string(isa) == word) return isa;
  }
  return std::nullopt;
}

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (const IsaEntry& entry : kIsas) {
    if (is_available(entry)) isas.push_back(entry.isa);
  }
  return isas;
}

Isa resolve_isa(Isa isa) {
  if (isa == Isa::best) {
    static const Isa widest = available_isas().back();
    return widest;
  }
  if (find_available(isa) != nullptr) return isa;
  std::string available;
  for (Isa one : available_isas()) available += std::string(to_string(one)) + " ";
  throw Error(ErrorInfo{ErrorCode::unsupported, "isa", std::string(to_string(isa)),
                        "one this build and CPU have: " + available, ""});
}

int64_t highway_target(Isa isa) {
  const IsaEntry* entry = find_available(isa);
  FACSIM_CHECK(entry != nullptr && entry->compiled != 0);
  return entry->compiled;
}

size_t highway_dispatch_index(Isa isa) {
  [[maybe_unused]] const int64_t target = highway_target(isa);
#if (HWY_TARGETS & (HWY_TARGETS - 1)) == 0
  return 0;  // one target compiled: HWY_EXPORT makes a table of one entry
#else
  return hwy::Num0BitsBelowLS1Bit_Nonzero64(static_cast<uint64_t>(HWY_CHOSEN_TARGET_SHIFT(target)));
#endif
}

}  // namespace facsim::sim
