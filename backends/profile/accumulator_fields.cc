// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/field_builders-internal.h"
#include "backends/profile/rule_fields-internal.h"
#include "sim/ops/accumulator.h"

namespace facsim::backends::detail {

namespace {

Field term_field() {
  Field term = object(
      "", "what is added for a tap",
      {with_example(with_default(integer("shift", "the product is divided by 2^shift", -16, 62), 0),
                    "3: the accumulator counts steps of 8 products"),
       with_default(rounding_word("rounding", "of that division"), "floor"),
       with_default(integer("bits", "width of the term", 2, 62), 32),
       with_default(overflow_word("overflow", "of that width"), "wrap")});
  return one_of("term", "every product is rounded and cast before it is added",
                {std::move(term), null_value("the exact product")});
}

Field block_field() {
  Field block = object(
      "", "a group of taps",
      {with_default(one_of("taps", "products in a group",
                           {integer("", "a count", 1, sim::Accumulator::Block::kAllTaps),
                            word("", "a count", "", {{"all", "every tap of the layer"}})}),
                    1),
       with_default(integer("bits", "width of a group's sum", 8, 62), 16),
       with_default(overflow_word("overflow", "of that width"), "saturate"),
       with_example(
           with_default(integer("spill_every",
                                "taps after which a register of `bits`, in which groups meet, is "
                                "added to the accumulator; 0: each group is",
                                0, sim::Accumulator::Block::kAllTaps),
                        0),
           "FBGEMM acc16: taps 2, bits 16, spill_every a multiple of 2"),
       with_default(word("span", "a span", "where groups start",
                         {{"layer", "they run on over kh, kw, ic as if those were one axis"},
                          {"position", "each kernel position starts a new one"}}),
                    "layer")});
  return with_example(one_of("block", "groups of taps are summed in a narrower register first",
                             {std::move(block), null_value("every tap is added by itself")}),
                      "taps 2, bits 16, saturate: 255 * 127 + 255 * 127 = 64770 becomes 32767");
}

}  // namespace

Field accumulator_field() {
  return object(
      "accumulator", "how products are summed",
      {with_example(with_default(integer("bits", "width of the sum", 8, 64), 32),
                    "int8 x int8 with K taps needs 16 + log2(K) bits: 32 bits hold 131072 taps"),
       with_default(overflow_word("overflow", "what happens to a sum outside the width"), "wrap"),
       with_example(with_default(word("order", "an order", "in which order taps are added",
                                      {{"any", "not promised; the total alone counts"},
                                       {"sequential",
                                        "kh, kw, ic: every partial sum is brought into "
                                        "the width"}}),
                                 "any"),
                    "8 bits saturating, taps 100 + 100 - 100: any 100, sequential 127 - 100 = 27"),
       with_default(word("init", "an initial value", "what the sum starts with",
                         {{"zero", "0; the bias is added last"}, {"bias", "the bias"}}),
                    "zero"),
       with_default(
           word("operands", "operands", "what the multipliers see",
                {{"centred", "(x - zero_point) * (w - zero_point)"},
                 {"codes", "x * w; the zero points' share is added exactly after the taps"},
                 {"unsigned_codes", "(x + 128) * w for int8 codes, x * w for uint8; the same"}}),
           "centred"),
       with_default(term_field(), nullptr), with_default(block_field(), nullptr)});
}

Field padding_field() {
  return object(
      "padding", "taps outside the image",
      {with_example(with_default(word("value", "a padding value", "the code they hold",
                                      {{"input_zero_point", "real 0: they contribute nothing"},
                                       {"zero", "code 0"},
                                       {"explicit", "the code in `code`"}}),
                                 "input_zero_point"),
                    "zero point -128, weight 3, padding code 0: each padded tap adds 384"),
       with_default(integer("code", "the code of value explicit", -(int64_t{1} << 31),
                            (int64_t{1} << 31) - 1),
                    0),
       with_example(
           with_default(
               boolean("counts_in_sums",
                       "average pools: padded taps add to the sum and the divisor, "
                       "whatever the layer says; convolutions always sum the padding code"),
               false),
           "taps 4 and 8 and two padded taps of code 0: false 12 / 2 = 6, true 12 / 4 = 3")});
}

}  // namespace facsim::backends::detail
