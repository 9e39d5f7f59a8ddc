// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>

namespace facsim::backends::detail {

/// A seeded source of choices.
class VectorDice {
 public:
  explicit VectorDice(uint64_t seed) : random_(seed) {}
  int64_t between(int64_t low, int64_t high);  ///< both included
  bool one_in(int64_t n) { return between(1, n) == 1; }
  template <class T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[between(0, static_cast<int64_t>(choices.size()) - 1)];
  }
  /// 2^x with x uniform in low..high: every order of magnitude is as likely.
  float magnitude(float low, float high);

 private:
  std::mt19937_64 random_;
};

}  // namespace facsim::backends::detail
