// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace facsim::detail {
/// Throws std::logic_error: our own mistake, never reached by input.
[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const std::string& values);
}  // namespace facsim::detail

/// Holds always. For our own invariants only; input is refused with facsim::Error before it gets
/// here.
#define FACSIM_CHECK(cond)                                                      \
  do {                                                                          \
    if (!(cond)) ::facsim::detail::check_failed(__FILE__, __LINE__, #cond, ""); \
  } while (false)

#define FACSIM_CHECK_EQ(a, b)                                                         \
  do {                                                                                \
    if (!((a) == (b)))                                                                \
      ::facsim::detail::check_failed(__FILE__, __LINE__, #a " == " #b,                \
                                     std::to_string(a) + " vs " + std::to_string(b)); \
  } while (false)

#ifdef NDEBUG
#define FACSIM_DCHECK(cond) static_cast<void>(0)
#else
#define FACSIM_DCHECK(cond) FACSIM_CHECK(cond)
#endif
