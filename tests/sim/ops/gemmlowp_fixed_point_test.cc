// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/gemmlowp_fixed_point.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

namespace facsim::sim::test {

namespace {

struct Pair {
  int32_t raw, result;
};

double real(int32_t raw, int integer_bits) { return std::ldexp(raw, integer_bits - 31); }

}  // namespace

// The recorded numbers are what libgemmlowp-dev 0.0~git20211220 computes (scalar path).
TEST_CASE("gemmlowp fixed point: exp of Q5.26 equals the recorded results") {
  for (const Pair c :
       {Pair{0, 2147483647}, Pair{-1, 2147483124}, Pair{-2, 2147483093}, Pair{-67108864, 790015308},
        Pair{-67108863, 790015319}, Pair{-16777216, 1672462419}, Pair{-33554433, 1302514356},
        Pair{-123456789, 341177383}, Pair{-1000000007, 725}, Pair{-2080374784, 0},
        Pair{INT32_MIN, 0}}) {
    CAPTURE(c.raw);
    CHECK(gemmlowp::exp_of_negative<5>(c.raw) == c.result);
  }
}

TEST_CASE("gemmlowp fixed point: logistic and tanh of Q4.27 equal the recorded results") {
  for (const Pair c :
       {Pair{0, 1073741824}, Pair{1, 1073741948}, Pair{-1, 1073741699}, Pair{134217728, 1569936226},
        Pair{-134217728, 577547421}, Pair{67108864, 1336721090}, Pair{-67108864, 810762557},
        Pair{1000000007, 2146236460}, Pair{-1000000007, 1247187}, Pair{INT32_MAX, 2147483406},
        Pair{-INT32_MAX, 241}, Pair{8388608, 1107285342}, Pair{-8388608, 1040198305}}) {
    CAPTURE(c.raw);
    CHECK(gemmlowp::logistic<4>(c.raw) == c.result);
  }
  for (const Pair c :
       {Pair{0, 0}, Pair{1, 260}, Pair{-1, -260}, Pair{134217728, 1635510876},
        Pair{-134217728, -1635510876}, Pair{67108864, 992388804}, Pair{-67108864, -992388804},
        Pair{1000000007, 2147482200}, Pair{-1000000007, -2147482200}, Pair{INT32_MAX, INT32_MAX},
        Pair{-INT32_MAX, -INT32_MAX}, Pair{8388608, 134043240}}) {
    CAPTURE(c.raw);
    CHECK(gemmlowp::tanh<4>(c.raw) == c.result);
  }
}

TEST_CASE("gemmlowp fixed point: 1 / (1 + x) equals the recorded results") {
  for (const Pair c :
       {Pair{0, INT32_MAX}, Pair{1, INT32_MAX}, Pair{1 << 30, 1431655762},
        Pair{INT32_MAX, 1073741820}, Pair{123456789, 2030738432}, Pair{2000000000, 1111923858}}) {
    CAPTURE(c.raw);
    CHECK(gemmlowp::one_over_one_plus(c.raw) == c.result);
  }
}

// The series and Newton's steps are approximations: the bounds are what 2 million random arguments
// stay below, and keep a wrong constant from passing.
TEST_CASE("gemmlowp fixed point: the functions approximate what they are named after") {
  std::mt19937 random(73);
  for (int i = 0; i < 100000; ++i) {
    const auto raw = static_cast<int32_t>(static_cast<uint32_t>(random())) >> (i % 20);
    if (raw == INT32_MIN) continue;
    const int32_t negative = raw > 0 ? -raw : raw;
    CAPTURE(raw);
    REQUIRE(std::abs(real(gemmlowp::exp_of_negative<5>(negative), 0) -
                     std::exp(real(negative, 5))) < 5e-7);
    REQUIRE(std::abs(real(gemmlowp::logistic<4>(raw), 0) - 1 / (1 + std::exp(-real(raw, 4)))) <
            5e-7);
    REQUIRE(std::abs(real(gemmlowp::tanh<4>(raw), 0) - std::tanh(real(raw, 4))) < 5e-7);
  }
}

TEST_CASE("gemmlowp fixed point: halves of odd sums go away from zero, powers of two saturate") {
  CHECK(gemmlowp::rounding_half_sum(2, 1) == 2);
  CHECK(gemmlowp::rounding_half_sum(-2, -1) == -2);
  CHECK(gemmlowp::rounding_half_sum(-2, 1) == -1);
  CHECK(gemmlowp::rounding_half_sum(INT32_MAX, INT32_MAX) == INT32_MAX);
  CHECK(gemmlowp::rounding_half_sum(INT32_MIN, INT32_MIN) == INT32_MIN);
  CHECK(gemmlowp::multiply_by_pot<2>(1 << 28) == 1 << 30);
  CHECK(gemmlowp::multiply_by_pot<2>(1 << 29) == INT32_MAX);
  CHECK(gemmlowp::multiply_by_pot<2>(-(1 << 29)) == INT32_MIN);
  CHECK(gemmlowp::multiply_by_pot<2>(-(1 << 29) - 1) == INT32_MIN);
  CHECK(gemmlowp::multiply_by_pot<-1>(3) == 2);
  CHECK(gemmlowp::multiply_by_pot<-1>(-3) == -2);
  CHECK(gemmlowp::multiply_by_pot<0>(-3) == -3);
}

TEST_CASE("gemmlowp fixed point: reciprocals of Q12.19 sums") {
  struct Case {
    int32_t sum, significand;
    int bits;
  };
  // 1, 2, 3, 4095 and the smallest number.
  for (const Case c : {Case{1 << 19, INT32_MAX, 0}, Case{1 << 20, INT32_MAX, 1},
                       Case{3 << 19, 1431655762, 1}, Case{1, INT32_MAX, -19}}) {
    CAPTURE(c.sum);
    const gemmlowp::Reciprocal r = gemmlowp::reciprocal(c.sum, 12);
    CHECK(r.significand == c.significand);
    CHECK(r.bits_over_unit == c.bits);
  }
}

}  // namespace facsim::sim::test
