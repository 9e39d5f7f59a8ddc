// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace facsim::sim {

/// Which implementation of a kernel runs. `best` picks the widest the CPU has; `scalar` is the
/// norm. The others are Highway targets (avx3_dl: AVX-512 with VNNI).
enum class Isa { best, scalar, ssse3, sse4, avx2, avx3, avx3_dl, neon };

std::string_view to_string(Isa isa);
std::optional<Isa> isa_from_string(std::string_view word);
/// The isas compiled in that this CPU can run, `scalar` first, widest last.
std::vector<Isa> available_isas();
/// The isa that runs for `isa`: `best` becomes the widest available, any other itself. Error
/// unsupported if this build or CPU does not have it; nothing else runs in its place.
Isa resolve_isa(Isa isa);

}  // namespace facsim::sim
