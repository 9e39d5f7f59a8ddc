// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace facsim::sim {

/// to[i] = from[i] - zero modulo 2^8, for codes of either sign, i in [0, count), for each of some
/// pixels, whose codes are from_step and to_step bytes apart.
using CopyBytes = void (*)(const uint8_t* from, int64_t count, int64_t from_step, int64_t pixels,
                           uint8_t zero, uint8_t* to, int64_t to_step);
/// to[i] = from[i] - zero; every difference must fit 16 bits.
template <class Code>
using CopyWidened = void (*)(const Code* from, int64_t count, int16_t zero, int16_t* to);

/// For an index of Highway's dispatch table. Nothing is read or written beyond `count`.
CopyBytes copy_bytes(size_t dispatch_index);
CopyWidened<int8_t> copy_widened_int8(size_t dispatch_index);
CopyWidened<uint8_t> copy_widened_uint8(size_t dispatch_index);

}  // namespace facsim::sim
